/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks. Durations and events are CLOCK_MONOTONIC nanoseconds, dates are Unix nanoseconds. */
#ifndef AP_BASE_CLOCK_H
#define AP_BASE_CLOCK_H

#include <time.h>

#include "base/str.h"

#define AP_NSEC_PER_SEC	 1000000000ull
#define AP_NSEC_PER_MSEC 1000000ull

uint64_t ap_clock_mono_ns(void);
uint64_t ap_clock_boot_ns(void); /* CLOCK_BOOTTIME: goes on while the machine is suspended */
int64_t ap_clock_unix_ns(void);
static inline struct timespec ap_clock_timespec(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / AP_NSEC_PER_SEC),
				 .tv_nsec = (long)(ns % AP_NSEC_PER_SEC)};
}
/* CPU time of the whole process (user + system). */
uint64_t ap_clock_cpu_ns(void);
/* What to add to a CLOCK_MONOTONIC time to get a Unix time, now: the median of several paired
 * readings. It drifts when the wall clock is set; take it anew for each batch. */
int64_t ap_clock_mono_to_unix(void);

/* A point in time as users write it: Unix milliseconds ("1764000000000"), "now", "now-1h",
 * "now-90s", or RFC 3339 UTC ("2026-11-23T10:00:00Z"). Unix milliseconds; 0 or -EINVAL. */
int ap_time_parse(struct ap_str s, int64_t now_ms, int64_t *ret_ms);

#endif
