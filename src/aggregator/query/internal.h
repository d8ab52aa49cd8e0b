/* SPDX-License-Identifier: Apache-2.0 */
/* What the questions share. A question holds a permit, a snapshot of the buffer and the dictionary
 * for as long as it runs; it may ask about several ranges, all of the same snapshot. */
#ifndef AP_AGGREGATOR_QUERY_INTERNAL_H
#define AP_AGGREGATOR_QUERY_INTERNAL_H

#include <pthread.h>

#include "aggregator/ingest/buffer.h"
#include "aggregator/query/dictionary.h"
#include "aggregator/query/guard.h"
#include "aggregator/query/memo.h"
#include "aggregator/query/query.h"
#include "aggregator/store/rollup.h"
#include "base/idmap.h"

#define AP_QUERY_ROWS_MAX 5000000ull /* of one statement's answer */

struct ap_query_engine {
	struct ap_query_engine_options o;
	struct ap_query_guard guard;
	struct ap_memo *memo;
	atomic_bool stopping;
	pthread_mutex_t lock;		  /* guards what follows */
	struct ap_dictionary *dictionary; /* the current one; questions hold on to theirs */
	bool renamed;			  /* it has names that are no longer right */
};

struct ap_question {
	struct ap_query_engine *e; /* NULL: not begun */
	enum ap_query_kind kind;
	const atomic_bool *cancel;
	struct ap_error *err;	  /* never NULL */
	struct ap_error own_err;  /* that, where the asker wants none */
	uint64_t start, deadline; /* CLOCK_MONOTONIC ns */
	bool entered;		  /* it has a permit */
	bool use_store;
	bool has_watermark;
	uint64_t watermark;
	struct ap_rollup_view rollups; /* empty: there are none */
	struct ap_batch_list parts;    /* of the buffer; empty where it is not asked */
	struct ap_batch_list hidden;   /* parts that are on disk alone, of which no answer tells */
	struct ap_identity **identities; /* of parts, made when needed */
	struct ap_dictionary *dictionary;
};

/* -EBUSY, -ECANCELED, -ENOMEM. End it whatever begin returned. */
int ap_question_begin(struct ap_question *q, struct ap_query_engine *e, enum ap_query_kind kind,
		      const struct ap_query *of, struct ap_error *err);
/* What it came to is taken from its error: each failure of a question sets that. */
void ap_question_end(struct ap_question *q);
#define _cleanup_question_ _cleanup_(ap_question_end)

/* A SELECT on the store within the question's bounds: `sql` is ended with NUL by the callee. */
int ap_question_select(struct ap_question *q, struct ap_buf *sql, ap_store_block_fn fn, void *ctx);
/* The same within more bounds, as in struct ap_store_limits: to set up more threads costs more than they save where
 * few rows are read. */
struct ap_select_bounds {
	unsigned int threads;
	uint64_t groups;
};
int ap_question_select_within(struct ap_question *q, const struct ap_select_bounds *bounds,
			      struct ap_buf *sql, ap_store_block_fn fn, void *ctx);
/* Two parts of a question at once, so that the store works on the statements of both: 0 or an error
 * of either. Each is given a question of its own to ask with; at most one may need identities. */
typedef int (*ap_part_fn)(struct ap_question *q, void *ctx);
int ap_question_both(struct ap_question *q, ap_part_fn a, void *ctx_a, ap_part_fn b, void *ctx_b);
int ap_question_no_memory(struct ap_question *q); /* -ENOMEM, said in the error */
/* -ETIMEDOUT or -ECANCELED once it is time to stop. */
int ap_question_check(struct ap_question *q);
/* Content ids of a part's profile: NULL = out of memory. */
const struct ap_identity *ap_question_identity(struct ap_question *q, size_t part);

/* Rows [from, to) in seconds, of some events (AP_EVENT_BIT(); 0: all), that the filter selects. */
struct ap_range {
	uint32_t from, to;
	uint32_t events;
	const struct ap_filter *filter;
	bool is_value;	/* the number asked for: values, else counts */
	bool fine;	/* tells apart what only rows of seconds do: rollups are no help */
	uint32_t grain; /* seconds: times are told apart by it; 0: they are not */
	bool begun;	/* of the ledger: batches that begin in it, not those that overlap it */
	/* Set by ap_range_settle(). */
	uint32_t resolution;	/* seconds: what is kept of the range's begin is that coarse */
	uint32_t unanswered_to; /* of [from, that) what is asked for has gone; 0: nothing has */
};
/* `fine` where the filter needs it. */
struct ap_range ap_range_of(const struct ap_query *q);
/* That the question tells a label's values apart. */
void ap_range_need(struct ap_range *r, struct ap_str label);
/* Widens the range to whole hours or days where no more than those is kept. Once all else is set. */
void ap_range_settle(const struct ap_question *q, struct ap_range *r);
/* Whether the rows themselves are kept of all of the range. */
bool ap_range_has_raw(const struct ap_question *q, const struct ap_range *r);
/* A step in seconds, raised to what is kept of the range's begin. */
uint32_t ap_range_step(const struct ap_question *q, const struct ap_range *r, uint32_t step);

/* A SELECT of sums over a range, whichever tables those are in: its rows may tell of one group several
 * times, to be added up. Of the ledger: of batches that overlap the range, of the hosts that the filter
 * allows. */
struct ap_select {
	enum ap_rollup_family family;
	struct ap_str columns, group;
	const char *join;    /* before WHERE; NULL: none */
	struct ap_str where; /* further conditions, each begins with " AND " */
};
int ap_range_select(struct ap_question *q, const struct ap_range *r, const struct ap_select *what,
		    ap_store_block_fn fn, void *ctx);
/* Appends " WHERE …" for rows of seconds alone. */
void ap_range_sql(const struct ap_question *q, const struct ap_range *r, struct ap_buf *sql);
/* Parts of it: the conditions on events and labels; on what is stored of the snapshot. */
void ap_range_rows_sql(const struct ap_range *r, struct ap_buf *sql);
void ap_question_segments_sql(const struct ap_question *q, struct ap_buf *sql);
/* "count" or "value" */
const char *ap_range_column(const struct ap_range *r);

static inline uint64_t ap_range_number(const struct ap_range *r, uint64_t count, uint64_t value)
{
	return r->is_value ? value : count;
}

/* Calls `fn` for each buffered row of the range; a negative result ends it. */
typedef int (*ap_row_fn)(void *ctx, size_t part, const struct ap_batch *b,
			 const struct ap_sample *row);
int ap_range_rows(struct ap_question *q, const struct ap_range *r, ap_row_fn fn, void *ctx);
/* The same for system calls; rows of system calls have no event. */
typedef int (*ap_syscall_row_fn)(void *ctx, const struct ap_batch *b, const struct ap_syscall *row);
int ap_range_syscalls(struct ap_question *q, const struct ap_range *r, ap_syscall_row_fn fn,
		      void *ctx);
/* Calls `fn` for each buffered batch (its part 0) that overlaps the range and whose host the filter
 * allows. */
int ap_range_batches(struct ap_question *q, const struct ap_range *r,
		     int (*fn)(void *ctx, const struct ap_batch_meta *m), void *ctx);

/* Which steps of a range some host's batch covers: of the others nothing is known. `reported` has
 * `n_steps` bytes of 0. 0 or an error of the question. */
struct ap_steps {
	uint32_t step; /* seconds */
	uint32_t n_steps;
	uint8_t *reported;
};
int ap_steps_collect(struct ap_question *q, const struct ap_range *r, struct ap_steps *s);
/* A round length that divides the range into 300 steps at most; milliseconds. */
int64_t ap_steps_round(int64_t range_ms);

/* As ap_query_series(). */
int ap_series_ask(struct ap_query_engine *e, enum ap_query_kind kind, const struct ap_query *q,
		  struct ap_str label, int64_t step_ms, uint32_t top, struct ap_series **ret,
		  struct ap_coverage *ret_cov, struct ap_error *err);

/* Sums by group and stack; what a group is, the caller decides (0 where there are none). */
struct ap_stack_sum {
	uint64_t id; /* content id */
	uint64_t count, value;
	uint32_t group;
	uint32_t stack; /* in the dictionary, after ap_sums_resolve() */
};
struct ap_sums {
	AP_VEC(struct ap_stack_sum) v;
	struct ap_idmap index;
	struct ap_intern *groups; /* NULL: one group */
};
void ap_sums_free(struct ap_sums *s);
#define _cleanup_sums_ _cleanup_(ap_sums_free)

enum { AP_SUMS_LABELS_MAX = 11 };

/* Sums of a range, by the labels given (at most as many; one that is NULL is "" everywhere; their values, each with
 * its length before it, are a group's key). With labels a group has a stack once; without, a stack may come once from each
 * table and from the buffer. 0 or an error of the question. */
int ap_sums_collect(struct ap_question *q, const struct ap_range *r, const char *const *labels,
		    uint32_t n_labels, struct ap_sums *ret);
/* The value of the i-th label in a group's key. */
struct ap_str ap_sums_label(const struct ap_sums *s, uint32_t group, uint32_t i);
/* Brings all stacks into the dictionary. `ret_missing`: how many the store does not have. */
int ap_sums_resolve(struct ap_question *q, const struct ap_range *r, struct ap_sums *s,
		    uint64_t *ret_missing);
/* Rows over the dictionary's profile, in the order of the sums; free() them. */
struct ap_sample *ap_sums_rows(const struct ap_sums *s, const struct ap_range *r);

/* Coverage: hosts and losses (of sampling periods, or with ap_coverage_calls() of system calls), from the ledger; then samples by reason, from sums (resolved) or, in
 * questions that need no stacks, by asking for reasons alone. */
int ap_coverage_calls(struct ap_question *q, const struct ap_range *r, struct ap_coverage *c);
int ap_coverage_hosts(struct ap_question *q, const struct ap_range *r, struct ap_coverage *c);
void ap_coverage_sums(struct ap_question *q, const struct ap_sums *s, struct ap_coverage *c);
int ap_coverage_reasons(struct ap_question *q, const struct ap_range *r, struct ap_coverage *c);

#endif
