/* SPDX-License-Identifier: Apache-2.0 */
/* Aperture's own profile file: JSON that holds all of a struct ap_profile, as parallel columns, so
 * that it is small, quick to read, and easy to load elsewhere. Reading what was written gives the
 * same profile again; only string bytes that are not UTF-8 do not survive.
 *
 *	{"format":"aperture-profile","version":1,"start_ns":…,"end_ns":…,"period_ns":…,
 *	 "strings":["",…],
 *	 "mappings":{"path":[0,…],"build_id":[0,…]},
 *	 "functions":{…},"frames":{…},
 *	 "stacks":{"depth":[…],"reason":[…],"frames":[…]},
 *	 "label_sets":{"size":[…],"key":[…],"value":[…]},
 *	 "samples":{"time_ns":[…],"event":[…],"label_set":[…],"stack":[…],"count":[…],"value":[…]},
 *	 "syscalls":{"time_ns":[…],"label_set":[…],"name":[…],"abi":[…],"count":[…],"sum_ns":[…],
 *		     "max_ns":[…],"in_flight":[…],"oldest_ns":[…],"buckets":[…],"errors":[…],
 *		     "bucket":[…],"bucket_count":[…],"error":[…],"error_count":[…]}}
 *
 * The columns of one object are equally long, but for `frames` of stacks and `key` and `value` of
 * label sets, of which entry i takes the next depth[i] or size[i], and the last four of syscalls, of
 * which it takes the next buckets[i] or errors[i], ascending by `bucket` (abi/syscall.h) and `error`. Columns refer to each other by
 * position; position 0 is "none" as in profile/profile.h, and is present. Times are Unix
 * nanoseconds, stacks are outermost first, numbers may exceed 2^53. `event` and `kind` are those of
 * profile/profile.h, `reason` that of abi/errors.def. Readers ignore members that they do not know,
 * and refuse another version. */
#ifndef AP_PROFILE_JSON_H
#define AP_PROFILE_JSON_H

#define AP_JSON_FORMAT	"aperture-profile"
#define AP_JSON_VERSION 1

/* X(id, object, member), in the order of the file. */
#define AP_JSON_COLUMNS(X)                                  \
	X(MAPPING_PATH, "mappings", "path")                 \
	X(MAPPING_BUILD_ID, "mappings", "build_id")         \
	X(FUNCTION_NAME, "functions", "name")               \
	X(FUNCTION_SYSTEM, "functions", "system_name")      \
	X(FUNCTION_FILE, "functions", "file")               \
	X(FUNCTION_LINE, "functions", "start_line")         \
	X(FRAME_OFFSET, "frames", "offset")                 \
	X(FRAME_MAPPING, "frames", "mapping")               \
	X(FRAME_FUNCTION, "frames", "function")             \
	X(FRAME_LINE, "frames", "line")                     \
	X(FRAME_INLINE, "frames", "inline_index")           \
	X(FRAME_KIND, "frames", "kind")                     \
	X(STACK_DEPTH, "stacks", "depth")                   \
	X(STACK_REASON, "stacks", "reason")                 \
	X(STACK_FRAMES, "stacks", "frames")                 \
	X(LABELS_SIZE, "label_sets", "size")                \
	X(LABELS_KEY, "label_sets", "key")                  \
	X(LABELS_VALUE, "label_sets", "value")              \
	X(SAMPLE_TIME, "samples", "time_ns")                \
	X(SAMPLE_EVENT, "samples", "event")                 \
	X(SAMPLE_LABELS, "samples", "label_set")            \
	X(SAMPLE_STACK, "samples", "stack")                 \
	X(SAMPLE_COUNT, "samples", "count")                 \
	X(SAMPLE_VALUE, "samples", "value")                 \
	X(SYSCALL_TIME, "syscalls", "time_ns")              \
	X(SYSCALL_LABELS, "syscalls", "label_set")          \
	X(SYSCALL_NAME, "syscalls", "name")                 \
	X(SYSCALL_ABI, "syscalls", "abi")                   \
	X(SYSCALL_COUNT, "syscalls", "count")               \
	X(SYSCALL_SUM, "syscalls", "sum_ns")                \
	X(SYSCALL_MAX, "syscalls", "max_ns")                \
	X(SYSCALL_IN_FLIGHT, "syscalls", "in_flight")       \
	X(SYSCALL_OLDEST, "syscalls", "oldest_ns")          \
	X(SYSCALL_BUCKETS, "syscalls", "buckets")           \
	X(SYSCALL_ERRORS, "syscalls", "errors")             \
	X(SYSCALL_BUCKET, "syscalls", "bucket")             \
	X(SYSCALL_BUCKET_COUNT, "syscalls", "bucket_count") \
	X(SYSCALL_ERROR, "syscalls", "error")               \
	X(SYSCALL_ERROR_COUNT, "syscalls", "error_count")

enum ap_json_column {
#define X(id, object, member) AP_JSON_##id,
	AP_JSON_COLUMNS(X)
#undef X
		AP_JSON_COLUMN_MAX,
};

#endif
