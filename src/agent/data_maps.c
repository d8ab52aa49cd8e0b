/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/data_maps.h"

#include "agent/proc.h"

#define DELETED " (deleted)"

void ap_data_maps_free(struct ap_data_maps *m)
{
	ap_vec_free(&m->ranges);
	ap_buf_free(&m->names);
	*m = (struct ap_data_maps){0};
}

static uint32_t add_name(struct ap_data_maps *m, struct ap_str name)
{
	uint32_t at = (uint32_t)m->names.n;

	if (ap_str_ends(name, AP_STR(DELETED)))
		name.n -= strlen(DELETED);
	ap_buf_str(&m->names, name);
	ap_buf_byte(&m->names, 0);
	return at;
}

int ap_data_maps_parse(struct ap_str text, struct ap_data_maps *m)
{
	struct ap_data_maps fresh = {.read_ns = m->read_ns, .rows_serial = m->rows_serial};
	struct ap_proc_map file = {0}, map; /* the last line that was a file's */
	uint64_t before = 0;

	while (text.n && fresh.ranges.n < AP_DATA_MAPS_MAX) {
		struct ap_data_map r;

		if (ap_proc_map_parse(ap_str_cut(&text, '\n'), &map) < 0)
			continue;
		r = (struct ap_data_map){map.start, map.end, map.pgoff, 0, false};
		if (map.path.n == 0 && file.path.n && file.end == map.start) {
			r.tail = true;
			r.offset = file.pgoff + (map.start - file.start);
			map.path = file.path;
		} else if (ap_str_starts(map.path, AP_STR("/"))) {
			file = map;
		}
		/* The kernel's lines ascend; whoever looks an address up relies on it. */
		if (!map.write || map.start < before)
			continue;
		before = map.end;
		r.name = add_name(&fresh, map.path);
		if (ap_vec_push(&fresh.ranges, r) < 0)
			break;
	}
	if (ap_buf_error(&fresh.names) || ap_vec_reserve(&fresh.ranges, (size_t)1) < 0) {
		ap_data_maps_free(&fresh);
		return -ENOMEM;
	}
	ap_data_maps_free(m);
	*m = fresh;
	return 0;
}

int ap_data_maps_read(int32_t pid, struct ap_data_maps *m)
{
	_cleanup_buf_ struct ap_buf b = {0};
	int r = ap_proc_maps_text(pid, &b);

	return r < 0 ? r : ap_data_maps_parse(ap_buf_view(&b), m);
}

const struct ap_data_map *ap_data_maps_find(const struct ap_data_maps *m, uint64_t address)
{
	size_t i = ap_first(m->ranges.p, m->ranges.n, r, r->end > address);

	return i < m->ranges.n && m->ranges.p[i].start <= address ? &m->ranges.p[i] : NULL;
}
