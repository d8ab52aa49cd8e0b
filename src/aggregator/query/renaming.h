/* SPDX-License-Identifier: Apache-2.0 */
/* Names that were learned after the samples they belong to: rows of the table `symbols`, kept in a
 * dictionary beside the frames as they were sent. A frame is an address; what the address turned
 * out to be takes its place in every stack: the function that holds the code and those inlined
 * there, so that one frame may become several. An answer with source files wins over all; one
 * without, over frames without.
 *
 * Answers are asked of the store by the frames that need them, and of modules that have any at all:
 * most modules have none. All of it is guarded by the dictionary's lock. */
#ifndef AP_AGGREGATOR_QUERY_RENAMING_H
#define AP_AGGREGATOR_QUERY_RENAMING_H

#include "aggregator/store/native.h"
#include "base/idmap.h"
#include "profile/profile.h"

struct ap_renaming_level {
	uint32_t function, line; /* the function is the profile's */
};
struct ap_renaming_answer {
	uint64_t version;
	uint32_t first, n; /* levels, outermost first */
	bool has_file;
};

struct ap_frame_ids {
	uint32_t *p;
	size_t n, cap;
};

struct ap_renaming {
	bool modules_known;
	struct ap_idmap modules;   /* hashes of build-ids that have answers in the store */
	struct ap_idmap answer_of; /* ap_address_hash() to answers */
	AP_VEC(struct ap_renaming_answer) answers;
	AP_VEC(struct ap_renaming_level) levels;
	/* Frames of those modules. The answers for [0, settled) are there; each question asks for
	 * the rest and moves the mark on, so that two at once leave no gap. */
	struct ap_frame_ids wanted;
	size_t settled;
};

void ap_renaming_free(struct ap_renaming *r);
size_t ap_renaming_bytes(const struct ap_renaming *r);

/* The modules that have answers: rows (build_id). 0, -ENOMEM, -EBADMSG. */
int ap_renaming_add_modules(struct ap_renaming *r, const struct ap_native_view *rows);
/* A frame that is new in `p`. 0, -ENOMEM. */
int ap_renaming_want(struct ap_renaming *r, const struct ap_profile *p, uint32_t frame);
/* Appends the statement that asks for the answers to [settled, n) of what is wanted; `ret_n` is for
 * ap_renaming_settle(). False: nothing is wanted. */
bool ap_renaming_sql(const struct ap_renaming *r, const struct ap_profile *p, struct ap_buf *sql,
		     size_t *ret_n);
/* Its rows: 0, -ENOMEM, -EBADMSG. */
int ap_renaming_add(struct ap_renaming *r, struct ap_profile *p, const struct ap_native_view *rows);
void ap_renaming_settle(struct ap_renaming *r, size_t n);

/* Appends the frames that stand for `frame` in a stack: itself, or those of its answer (none for
 * an inlined frame whose address has been answered, since its holder stands for all). 0, -ENOMEM. */
int ap_renaming_expand(const struct ap_renaming *r, struct ap_profile *p, uint32_t frame,
		       struct ap_frame_ids *out);

#endif
