/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <time.h>

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * AP_NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t ap_clock_mono_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t ap_clock_boot_ns(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

int64_t ap_clock_unix_ns(void)
{
	return (int64_t)read_clock(CLOCK_REALTIME);
}

uint64_t ap_clock_cpu_ns(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static int compare_i64(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int64_t ap_clock_mono_to_unix(void)
{
	int64_t d[5];

	for (size_t i = 0; i < AP_ARRAY_SIZE(d); i++) {
		uint64_t before = ap_clock_mono_ns();
		int64_t wall = ap_clock_unix_ns();
		uint64_t after = ap_clock_mono_ns();

		d[i] = wall - (int64_t)(before + (after - before) / 2);
	}
	qsort(d, AP_ARRAY_SIZE(d), sizeof(d[0]), compare_i64);
	return d[AP_ARRAY_SIZE(d) / 2];
}

static int parse_rfc3339(struct ap_str s, int64_t *ret_ms)
{
	_cleanup_free_ char *text = ap_str_dup(s);
	struct tm tm = {0};
	const char *end;
	time_t t;

	if (!text)
		return -ENOMEM;
	end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!end || strcmp(end, "Z") != 0)
		return -EINVAL;
	t = timegm(&tm);
	*ret_ms = (int64_t)t * 1000;
	return 0;
}

int ap_time_parse(struct ap_str s, int64_t now_ms, int64_t *ret_ms)
{
	uint64_t ns;

	s = ap_str_trim(s);
	if (ap_str_is(s, "now")) {
		*ret_ms = now_ms;
		return 0;
	}
	if (ap_str_starts(s, AP_STR("now-"))) {
		struct ap_str d = {s.p + 4, s.n - 4};

		if (ap_parse_duration(d, &ns) < 0 || ns > 100ull * 365 * 86400 * AP_NSEC_PER_SEC)
			return -EINVAL;
		*ret_ms = now_ms - (int64_t)(ns / AP_NSEC_PER_MSEC);
		return 0;
	}
	if (ap_str_find(s, 'T') > 0)
		return parse_rfc3339(s, ret_ms);
	return ap_parse_i64(s, ret_ms) < 0 ? -EINVAL : 0;
}
