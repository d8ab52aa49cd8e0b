/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cpus.h"

#include <fcntl.h>

#include "base/clock.h"
#include "base/io.h"

#define STAT_BYTES_MAX (4u << 20)

int ap_cpu_list_parse(struct ap_str list, int (*fn)(void *ctx, uint32_t cpu), void *ctx)
{
	list = ap_str_trim(list);
	while (list.n) {
		struct ap_str last = ap_str_cut(&list, ','), first = ap_str_cut(&last, '-');
		uint64_t from, to;

		if (ap_parse_u64(first, &from) < 0 || from >= AP_CPUS_MAX)
			return -EINVAL;
		to = from;
		if (last.p && (ap_parse_u64(last, &to) < 0 || to >= AP_CPUS_MAX || to < from))
			return -EINVAL;
		for (uint64_t i = from; i <= to; i++) {
			int r = fn(ctx, (uint32_t)i);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* "cpu3 user nice system idle iowait …" in ticks. */
static bool parse_line(struct ap_str line, uint64_t *ret_cpu, uint64_t *ret_ticks)
{
	struct ap_str name = ap_str_cut(&line, ' ');
	uint64_t idle, iowait;

	if (!ap_str_starts(name, AP_STR("cpu")))
		return false;
	name.p += 3;
	name.n -= 3;
	for (int i = 0; i < 3; i++)
		ap_str_cut(&line, ' ');
	if (ap_parse_u64(name, ret_cpu) < 0 || ap_parse_u64(ap_str_cut(&line, ' '), &idle) < 0 ||
	    ap_parse_u64(ap_str_cut(&line, ' '), &iowait) < 0)
		return false;
	*ret_ticks = idle + iowait;
	return true;
}

int ap_cpu_idle_parse(struct ap_str text, uint64_t *idle_ns, uint32_t n)
{
	uint64_t tick_ns = AP_NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
	bool any = false;

	while (text.n) {
		uint64_t cpu, ticks;

		if (!parse_line(ap_str_cut(&text, '\n'), &cpu, &ticks))
			continue;
		any = true;
		if (cpu < n)
			idle_ns[cpu] = ticks * tick_ns;
	}
	return any ? 0 : -EINVAL;
}

int ap_cpu_idle_read(uint64_t *idle_ns, uint32_t n)
{
	_cleanup_buf_ struct ap_buf b = {0};
	int r = ap_read_file(AT_FDCWD, "/proc/stat", STAT_BYTES_MAX, &b);

	return r < 0 ? r : ap_cpu_idle_parse(ap_buf_view(&b), idle_ns, n);
}
