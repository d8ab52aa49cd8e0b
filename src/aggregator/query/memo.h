/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of the store to statements about a range, kept for those who ask again: a page that is loaded
 * once more, another panel, one that refreshes itself. An answer is the blocks as they came, so all kinds
 * of questions share it.
 *
 * It is right as long as no row of the range has been stored or dropped since. Whether one was stored the
 * buffer knows (ap_buffer_stored_times()), as long as this process alone stores (store/peers.h): while it does not,
 * nothing is kept. Rows that were, are those of the segments since, and can be asked for alone. What is not stored yet is
 * not in it: that comes from the buffer.
 * Thread-safe. */
#ifndef AP_AGGREGATOR_QUERY_MEMO_H
#define AP_AGGREGATOR_QUERY_MEMO_H

#include "aggregator/query/query.h"
#include "aggregator/store/store.h"

struct ap_question;
struct ap_memo;

/* Rows of an answer by the second, and what any may be extended by. */
enum { AP_MEMO_ROWS_MAX = 100000 };

struct ap_memo *ap_memo_new(size_t max_bytes); /* NULL = out of memory */
void ap_memo_free(struct ap_memo *m);	       /* NULL is fine */
void ap_memo_get_stats(struct ap_memo *m, struct ap_query_stats *ret);

/* Whether a question's answers may be kept at all, and for what turn of the store's peers. */
bool ap_memo_applies(const struct ap_question *q, uint64_t *ret_turn);

/* What is asked: all that tells a statement from others but its range, [from, to) in seconds. */
struct ap_memo_key {
	struct ap_str text;
	uint64_t turn;
	uint32_t from, to;
};

/* What of a range an answer is, for the count: one that was extended counts as that alone. */
enum ap_memo_part { AP_MEMO_ALL, AP_MEMO_MIDDLE, AP_MEMO_END, AP_MEMO_EXTENDED, AP_MEMO_PARTS };

/* What is known of a statement. */
enum ap_memo_state {
	AP_MEMO_UNKNOWN, /* nothing, or nothing that is of use any more */
	AP_MEMO_MET,	 /* it could have been made use of before */
	AP_MEMO_LARGE,	 /* its answer is too large to be kept */
	AP_MEMO_BEHIND,	 /* its answer, without rows of the range that have been stored since */
	AP_MEMO_KEPT,	 /* its answer */
};
/* `ret_upto`: the last segment that an answer which is behind knows of. */
enum ap_memo_state ap_memo_get_state(struct ap_question *q, const struct ap_memo_key *key,
				     uint64_t *ret_upto);
/* One of the first three. */
void ap_memo_set_state(struct ap_question *q, const struct ap_memo_key *key,
		       enum ap_memo_state state);

/* Hands the blocks of the answer that is kept to `fn`: 1; 0: none is, or it is behind; or what `fn`
 * returned. */
int ap_memo_recall(struct ap_question *q, const struct ap_memo_key *key, enum ap_memo_part part,
		   ap_store_block_fn fn, void *ctx);
/* Whether the same was asked of another range of that length. */
bool ap_memo_asked(struct ap_memo *m, const struct ap_memo_key *key);

/* A block function in front of another that copies what it hands on. */
struct ap_memo_copy {
	ap_store_block_fn fn;
	void *ctx;
	size_t max; /* of bytes; more is not kept */
	bool failed;
	struct ap_buf blocks;
};
struct ap_memo_copy ap_memo_copy_of(const struct ap_memo *m, ap_store_block_fn fn, void *ctx);
int ap_memo_copy_block(void *copy, const struct ap_native_view *block);
/* Gives what was copied to another function: 0 or what that returned. */
int ap_memo_hand_over(const struct ap_memo_copy *copy, ap_store_block_fn fn, void *ctx,
		      struct ap_error *err);
/* Keeps what was copied, once the answer has ended well; frees the copy. */
void ap_memo_keep(struct ap_question *q, const struct ap_memo_key *key, struct ap_memo_copy *copy);
/* Adds what was copied, `rows` of the segments after `upto`, to the answer that is behind at that, which it is no more
 * then; frees the copy. Where that has had more than enough added by now it is forgotten. */
void ap_memo_extend(struct ap_question *q, const struct ap_memo_key *key, uint64_t upto,
		    struct ap_memo_copy *copy, uint64_t rows);

#endif
