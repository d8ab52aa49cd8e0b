/* SPDX-License-Identifier: Apache-2.0 */
/* Batches on the wire (proto/aperture/v1/aggregator.proto): a profile and what the agent says about
 * itself, to and from the bytes of a PushRequest; and the answer, a PushResponse.
 *
 * Decoding trusts nothing: sizes are checked before anything is allocated, memory comes from an
 * arena with a limit, each index and each column's length is checked, and a refusal names the field.
 */
#ifndef AP_WIRE_BATCH_H
#define AP_WIRE_BATCH_H

#include "abi/ledger.h"
#include "base/buf.h"
#include "profile/profile.h"

/* Major version of the batch format that this build writes and reads. */
#define AP_BATCH_VERSION 1

#define AP_AGENT_ID_LEN 36 /* a UUID in text form */
#define AP_MODES_MAX	8

#define AP_MODE_BYTES 16 /* of a mode's name, with its NUL */

/* How an agent deals with settings (SettingsStatus). */
struct ap_settings_status {
	bool known;    /* false, from older agents: it knows nothing of them, and the rest is 0 */
	bool accepted; /* it follows them, within: */
	uint32_t max_frequency_hz;
	uint64_t max_duration_ns;
	uint64_t version;	    /* of those dealt with last; 0 = none */
	uint64_t remaining_ns;	    /* 0: its own configuration is in force */
	uint64_t wait_threshold_ns; /* in force; 0 = not known */
	char error[256];	    /* why something is not as asked for; "" */
};

/* The agent's own state and cost (AgentStatus); the sums are since its start. */
struct ap_agent_status {
	uint64_t cpu_user_ns; /* its process, user and system time */
	uint64_t cpu_bpf_ns;  /* its BPF programs */
	uint64_t rss_bytes, map_bytes;
	int64_t start_ns;      /* Unix */
	uint32_t frequency_hz; /* asked for */
	uint32_t stride;       /* of so many periods one is sampled; 0, from older agents: each */
	uint32_t queued_batches;
	uint32_t n_modes;
	char modes[AP_MODES_MAX][AP_MODE_BYTES]; /* "cpu", … */
	bool stopping;				 /* the last batch of an orderly stop */
	struct ap_settings_status settings;
};

/* What a batch says beside its samples. Plain data: copy freely. Texts are valid UTF-8. */
struct ap_batch_meta {
	char agent_id[AP_AGENT_ID_LEN + 1]; /* lower case */
	char host[256], version[64], kernel[128], arch[32];
	uint32_t cpus;
	uint64_t epoch, sequence; /* both ≥ 1 */
	int64_t start_ns, end_ns; /* Unix, half-open, start < end; equal to the profile's */
	uint64_t period_ns;	  /* equal to the profile's */
	/* Deltas since the previous batch. `stacks` counts this batch's samples by reason. */
	struct ap_ledger ledger;
	struct ap_agent_status status;
};

/* Sum of the counts of a profile's rows: what the loss ledger counts. */
uint64_t ap_batch_periods(const struct ap_profile *p);

/* Sum of the counts of its system calls. */
uint64_t ap_batch_calls(const struct ap_profile *p);

/* Appends the bytes of a PushRequest (zstd level 1 inside) to `out`. Fields start_ns, end_ns and
 * period_ns are taken from `meta`. 0, -ENOMEM, -EFBIG (over 2 GiB). */
int ap_batch_encode(const struct ap_profile *p, const struct ap_batch_meta *meta,
		    struct ap_buf *out);

/* What the receiver allows; 0 in a field = its default. */
struct ap_batch_limits {
	size_t max_raw;	    /* bytes of a decompressed Batch: 64 MiB */
	size_t max_memory;  /* bytes of memory for all of it: 4 × max_raw + 16 MiB */
	uint32_t max_depth; /* frames of one stack: 4096 */
};

/* PushResponse.Code; the numbers are the wire's. */
enum ap_push_code {
	AP_PUSH_CODE_NONE = 0,
	AP_PUSH_CODE_UNSUPPORTED_VERSION = 1,
	AP_PUSH_CODE_MALFORMED = 2,
	AP_PUSH_CODE_INVALID_ARGUMENT = 3,
	AP_PUSH_CODE_TOO_OLD = 4,
	AP_PUSH_CODE_TOO_NEW = 5,
	AP_PUSH_CODE_TOO_LARGE = 6,
};

/* PushResponse.Status; the numbers are the wire's. */
enum ap_push_status {
	AP_PUSH_UNSPECIFIED = 0,
	AP_PUSH_OK = 1,
	AP_PUSH_DUPLICATE = 2,
	AP_PUSH_BACKPRESSURE = 3,
	AP_PUSH_ERROR = 4,
	AP_PUSH_STATUS_MAX,
};

/* A shorter one may not be asked for: nearly every wait would have stacks. */
#define AP_SETTINGS_THRESHOLD_MIN_NS 10000ull

/* Settings on their way to an agent (Settings); 0 in a field, or no modes: its own. */
struct ap_settings {
	uint32_t n_modes;
	char modes[AP_MODES_MAX][AP_MODE_BYTES];
	uint32_t frequency_hz;
	uint64_t wait_threshold_ns;
	uint64_t remaining_ns; /* 0: back to its own configuration */
};

/* A PushResponse. */
struct ap_push_result {
	enum ap_push_status status;
	enum ap_push_code code;
	char text[256]; /* "" or one sentence that names the field and what to do */
	uint32_t retry_after_ms;
	uint64_t config_version; /* of the settings held for this agent; 0 = none */
	bool has_settings;
	struct ap_settings settings;
};

/* Decodes a PushRequest. 0 and a profile of the caller's own with `*ret_meta` filled; or, with
 * status ERROR, code and text in `*result`: -EPROTONOSUPPORT (version), -EBADMSG (malformed),
 * -EINVAL (inconsistent), -EFBIG (over a limit); or -ENOMEM with status BACKPRESSURE. `result` is
 * untouched on success. Texts that are not UTF-8 are repaired with U+FFFD; unknown fields are
 * ignored. Rows keep their order. Thread-safe.
 *
 * `ret_periods` (may be NULL) is set on refusal too: the counts that the batch claims, for the
 * loss ledger; 0 where it could not be parsed so far. */
int ap_batch_decode(struct ap_str request, const struct ap_batch_limits *limits,
		    struct ap_profile **ret_profile, struct ap_batch_meta *ret_meta,
		    uint64_t *ret_periods, struct ap_push_result *result);

/* Appends the bytes of a PushResponse (its text must be UTF-8): 0 or -ENOMEM. */
int ap_push_result_encode(const struct ap_push_result *r, struct ap_buf *out);
/* 0, -EBADMSG, -ENOMEM. A text that is too long is cut. */
int ap_push_result_decode(struct ap_str response, struct ap_push_result *ret);

/* "ok", "duplicate", "backpressure", "error"; "unknown" for another number. */
const char *ap_push_status_name(enum ap_push_status status);
const char *ap_push_code_name(enum ap_push_code code);

#endif
