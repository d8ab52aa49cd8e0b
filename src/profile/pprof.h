/* SPDX-License-Identifier: Apache-2.0 */
/* pprof's profile.proto, as far as the writer and the reader share it. Field numbers and meanings
 * are those of github.com/google/pprof/proto/profile.proto; how the profile model maps to it:
 *
 *  - Each event is two sample types (below); a row fills those of its event.
 *  - A Location is an address with all frames inlined there: Line[0] is the innermost. A frame
 *    without a function has no Line.
 *  - A Mapping begins at address 0 with file offset 0, since a frame's offset is the address within
 *    the file already.
 *  - Labels are string labels; pid and tid, where they are numbers, are numeric ones.
 *  - A row's time is the numeric label time_ns in nanoseconds, where rows have exact times. Where
 *    they do not, rows that differ in time only are merged.
 *  - Why a stack is incomplete is the label `incomplete`. */
#ifndef AP_PROFILE_PPROF_H
#define AP_PROFILE_PPROF_H

#include "profile/profile.h"

enum { /* message Profile */
       PPROF_SAMPLE_TYPE = 1,
       PPROF_SAMPLE = 2,
       PPROF_MAPPING = 3,
       PPROF_LOCATION = 4,
       PPROF_FUNCTION = 5,
       PPROF_STRING_TABLE = 6,
       PPROF_TIME_NANOS = 9,
       PPROF_DURATION_NANOS = 10,
       PPROF_PERIOD_TYPE = 11,
       PPROF_PERIOD = 12,
       PPROF_COMMENT = 13,
       PPROF_DEFAULT_SAMPLE_TYPE = 14,
};
enum { PPROF_VALUE_TYPE_TYPE = 1, PPROF_VALUE_TYPE_UNIT = 2 };
enum { PPROF_SAMPLE_LOCATION = 1, PPROF_SAMPLE_VALUE = 2, PPROF_SAMPLE_LABEL = 3 };
enum { PPROF_LABEL_KEY = 1, PPROF_LABEL_STR = 2, PPROF_LABEL_NUM = 3, PPROF_LABEL_UNIT = 4 };
enum { /* message Mapping */
       PPROF_MAPPING_ID = 1,
       PPROF_MAPPING_START = 2,
       PPROF_MAPPING_LIMIT = 3,
       PPROF_MAPPING_OFFSET = 4,
       PPROF_MAPPING_FILE = 5,
       PPROF_MAPPING_BUILD_ID = 6,
       PPROF_MAPPING_HAS_FUNCTIONS = 7,
       PPROF_MAPPING_HAS_FILENAMES = 8,
       PPROF_MAPPING_HAS_LINES = 9,
       PPROF_MAPPING_HAS_INLINES = 10,
};
enum { /* message Location */
       PPROF_LOCATION_ID = 1,
       PPROF_LOCATION_MAPPING = 2,
       PPROF_LOCATION_ADDRESS = 3,
       PPROF_LOCATION_LINE = 4,
};
enum { PPROF_LINE_FUNCTION = 1, PPROF_LINE_LINE = 2 };
enum { /* message Function */
       PPROF_FUNCTION_ID = 1,
       PPROF_FUNCTION_NAME = 2,
       PPROF_FUNCTION_SYSTEM = 3,
       PPROF_FUNCTION_FILE = 4,
       PPROF_FUNCTION_LINE = 5,
};

/* What an event's count and value are called. */
struct ap_pprof_type {
	const char *name, *unit;
	enum ap_event event;
	bool is_value;
};

static const struct ap_pprof_type ap_pprof_types[] = {
	{"samples", "count", AP_EVENT_CPU, false},
	{"cpu", "nanoseconds", AP_EVENT_CPU, true},
	{"offcpu_waits", "count", AP_EVENT_OFFCPU, false},
	{"offcpu", "nanoseconds", AP_EVENT_OFFCPU, true},
	/* Go's names for its mutex and block profiles. */
	{"contentions", "count", AP_EVENT_LOCK, false},
	{"delay", "nanoseconds", AP_EVENT_LOCK, true},
	{"wakeups", "count", AP_EVENT_WAKER, false},
	{"wakeup_delay", "nanoseconds", AP_EVENT_WAKER, true},
	{"syscalls", "count", AP_EVENT_SYSCALL, false},
	{"syscall_time", "nanoseconds", AP_EVENT_SYSCALL, true},
	{"gpu_events", "count", AP_EVENT_GPU, false},
	{"gpu", "nanoseconds", AP_EVENT_GPU, true},
};

#define AP_PPROF_TIME_LABEL	  "time_ns"
#define AP_PPROF_INCOMPLETE_LABEL "incomplete"

#endif
