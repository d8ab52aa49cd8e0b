/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of /proc and /sys. Processes choose their names and those of the files that they map, so that lines may hold
 * anything: what is read of them lies within them, and ranges hold together. */
#include "agent/cpus.h"
#include "agent/data_maps.h"
#include "agent/proc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(struct ap_str line)
{
	struct ap_proc_map m;

	if (ap_proc_map_parse(line, &m) < 0)
		return;
	if (m.start >= m.end ||
	    (m.path.n && (m.path.p < line.p || m.path.p + m.path.n > line.p + line.n)))
		abort();
	ap_proc_is_file(m.path);
}

static void check_data_maps(struct ap_str text)
{
	struct ap_data_maps m = {0};
	uint64_t before = 0;

	if (ap_data_maps_parse(text, &m) < 0)
		abort();
	if (m.ranges.n > AP_DATA_MAPS_MAX)
		abort();
	AP_VEC_FOREACH(&m.ranges, r) {
		if (r->start < before || r->start >= r->end || r->name >= m.names.n ||
		    !memchr(m.names.p + r->name, 0, m.names.n - r->name) ||
		    ap_data_maps_find(&m, r->start) != r)
			abort();
		before = r->end;
	}
	ap_data_maps_free(&m);
}

static int take_cpu(void *ctx, uint32_t cpu)
{
	return cpu < AP_CPUS_MAX ? 0 : -ERANGE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ap_str text = {(const char *)data, size}, rest = text;
	struct ap_proc_stat stat;
	uint64_t idle[4];

	if (ap_proc_stat_parse(text, &stat) == 0 && !memchr(stat.comm, 0, sizeof(stat.comm)))
		abort();
	if (ap_cpu_list_parse(text, take_cpu, NULL) == -ERANGE)
		abort();
	ap_cpu_idle_parse(text, idle, AP_ARRAY_SIZE(idle));
	while (rest.n)
		check_line(ap_str_cut(&rest, '\n'));
	check_data_maps(text);
	return 0;
}
