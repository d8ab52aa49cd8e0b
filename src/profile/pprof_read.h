/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the pprof reader share: dictionaries in pprof_read.c, samples in
 * pprof_samples.c. */
#ifndef AP_PROFILE_PPROF_READ_H
#define AP_PROFILE_PPROF_READ_H

#include "profile/pprof.h"
#include "profile/protobuf.h"
#include "profile/read.h"

/* What a sample's i-th value is; AP_EVENT_NONE: nothing that the model knows. */
struct ap_pprof_column {
	enum ap_event event;
	bool is_value;
	uint64_t scale; /* to nanoseconds, or 1 */
};

struct ap_pprof_mapping {
	uint64_t start, offset;
	uint32_t id; /* in the profile */
	enum ap_frame_kind kind;
};

struct ap_pprof_line {
	uint32_t function, line;
};

/* A location's frames in ap_pprof_reader.frames, outermost first. */
struct ap_pprof_range {
	size_t first, n;
};

struct ap_pprof_reader {
	struct ap_profile *p;
	struct ap_error *err;
	AP_VEC(struct ap_str) strings;
	AP_VEC(struct ap_pprof_column) columns;
	bool has[AP_EVENT_MAX][2]; /* columns there are, by is_value */
	bool any_event;
	char types_seen[200];  /* for the message that none is known */
	uint64_t period_scale; /* of the period to nanoseconds, 0: it is no time */
	/* The file's ids, in the order of the vectors that follow. */
	struct ap_intern *mapping_ids, *function_ids, *location_ids;
	AP_VEC(struct ap_pprof_mapping) mappings;
	AP_VEC(uint32_t) functions; /* ids in the profile */
	AP_VEC(struct ap_pprof_range) locations;
	AP_VEC(uint32_t) frames;
	size_t frames_left; /* that stacks may still expand to */
	/* Scratch. */
	AP_VEC(struct ap_pprof_line) lines;
	AP_VEC(uint64_t) values, stack;
	AP_VEC(struct ap_label) labels;
	AP_VEC(uint32_t) expanded;
};

/* Sets the error and returns -EINVAL. */
int ap_pprof_bad(struct ap_pprof_reader *r, const char *what);
int ap_pprof_text(struct ap_pprof_reader *r, uint64_t index, struct ap_str *ret);
/* The position of the entry with this id: 0 or -ENOENT. */
int ap_pprof_index(const struct ap_intern *ids, uint64_t id, uint32_t *ret);
/* Reads one Sample message into rows of the profile. */
int ap_pprof_read_sample(struct ap_pprof_reader *r, struct ap_str msg);

#endif
