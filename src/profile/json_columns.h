/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of a profile file in JSON while it is read, and their names. */
#ifndef AP_PROFILE_JSON_COLUMNS_H
#define AP_PROFILE_JSON_COLUMNS_H

#include "base/error.h"
#include "profile/json.h"
#include "profile/read.h"

/* By enum ap_json_column. */
extern const struct ap_json_name {
	const char *object, *member;
} ap_json_columns[AP_JSON_COLUMN_MAX];

struct ap_json_table {
	AP_VEC(uint64_t) columns[AP_JSON_COLUMN_MAX];
	struct ap_error *err;
};

/* -EINVAL, with what is wrong with entry `i` of a column. */
int ap_json_bad_entry(const struct ap_json_table *t, enum ap_json_column c, size_t i);
/* Entry `i`: a number up to `max`, or the id that `map` has for it. 0 or -EINVAL. */
int ap_json_number_at(const struct ap_json_table *t, enum ap_json_column c, size_t i, uint64_t max,
		      uint64_t *ret);
int ap_json_u32_at(const struct ap_json_table *t, enum ap_json_column c, size_t i, uint32_t *ret);
int ap_json_id_at(const struct ap_json_table *t, enum ap_json_column c, size_t i,
		  const struct ap_id_map *map, uint32_t *ret);

/* Adds the rows of "syscalls" to `p`. 0, -EINVAL or -ENOMEM. */
int ap_json_read_syscalls(const struct ap_json_table *t, const struct ap_id_map *strings,
			  const struct ap_id_map *label_sets, struct ap_profile *p);

#endif
