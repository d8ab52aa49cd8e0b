/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/json_columns.h"

const struct ap_json_name ap_json_columns[AP_JSON_COLUMN_MAX] = {
#define X(id, object, member) [AP_JSON_##id] = {object, member},
	AP_JSON_COLUMNS(X)
#undef X
};

int ap_json_bad_entry(const struct ap_json_table *t, enum ap_json_column c, size_t i)
{
	return ap_error_set(t->err, -EINVAL, "not a valid Aperture profile: %s.%s[%zu] is %s",
			    ap_json_columns[c].object, ap_json_columns[c].member, i,
			    i < t->columns[c].n ? "out of range" : "missing");
}

int ap_json_number_at(const struct ap_json_table *t, enum ap_json_column c, size_t i, uint64_t max,
		      uint64_t *ret)
{
	if (i >= t->columns[c].n || t->columns[c].p[i] > max)
		return ap_json_bad_entry(t, c, i);
	*ret = t->columns[c].p[i];
	return 0;
}

int ap_json_u32_at(const struct ap_json_table *t, enum ap_json_column c, size_t i, uint32_t *ret)
{
	uint64_t v = 0;
	int rc = ap_json_number_at(t, c, i, UINT32_MAX, &v);

	if (rc == 0)
		*ret = (uint32_t)v;
	return rc;
}

int ap_json_id_at(const struct ap_json_table *t, enum ap_json_column c, size_t i,
		  const struct ap_id_map *map, uint32_t *ret)
{
	if (i >= t->columns[c].n || !ap_id_at(map, t->columns[c].p[i], ret))
		return ap_json_bad_entry(t, c, i);
	return 0;
}
