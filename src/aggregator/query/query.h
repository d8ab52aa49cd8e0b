/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about profiles, answered from the ingest buffer, the store, or both as one: a snapshot
 * of the buffer is taken first, and rows of the store count up to the segment that the snapshot
 * names, so that each sample counts once however the writer runs meanwhile.
 *
 * Times are whole seconds in the store and are treated so everywhere: a sample belongs to a range
 * if the second it lies in begins within it. Values are in the unit of the type.
 *
 * Thread-safe. At most `max_concurrent` questions run at once; `max_waiting` further ones wait some
 * seconds, then fail with -EBUSY, as do those beyond them at once. Errors of all: -EBUSY, -ETIMEDOUT, -ECANCELED, -ENOMEM (more memory than a
 * question may take), -E2BIG (more rows or a dearer regular expression than allowed), -EINVAL,
 * -EIO; `err` says what to do. */
#ifndef AP_AGGREGATOR_QUERY_QUERY_H
#define AP_AGGREGATOR_QUERY_QUERY_H

#include <stdatomic.h>

#include "abi/ledger.h"
#include "aggregator/query/filter.h"
#include "http/prometheus.h"
#include "profile/profile.h"
#include "profile/sandwich.h"
#include "profile/top.h"
#include "profile/tree.h"
#include "symbol/symbolizer.h"

struct ap_agents;
struct ap_buffer;
struct ap_rollup;
struct ap_store;
struct ap_query_engine;

struct ap_query_engine_options {
	struct ap_store *store;	  /* may be NULL: buffer only */
	struct ap_buffer *buffer; /* may be NULL: store only */
	struct ap_rollup *rollup; /* of the store; NULL: every answer is made of its raw rows */
	uint32_t max_concurrent;  /* 0 = 4 */
	uint32_t max_waiting;	  /* questions more than that; 0 = 16 */
	uint64_t max_wait_ns;	  /* for one of those to end; 0 = 5 s */
	uint64_t timeout_ns;	  /* of one question; 0 = 30 s */
	uint64_t max_memory; /* bytes in the store, and of sums here, per question; 0 = 512 MiB */
	uint64_t max_dictionary; /* bytes of stacks and frames kept; 0 = 256 MiB */
	uint64_t max_memo;	 /* bytes of the store's answers kept; 0 = 32 MiB */
};

int ap_query_engine_new(const struct ap_query_engine_options *o, struct ap_query_engine **ret);
/* Ends, with -ECANCELED, the questions whose askers gave no `cancel` of their own, and later ones. */
void ap_query_engine_stop(struct ap_query_engine *e);
void ap_query_engine_free(struct ap_query_engine *e); /* no question may be running */
AP_DEFINE_CLEANUP(query_engine, struct ap_query_engine, ap_query_engine_free)

/* What has been asked since the start. */
enum ap_query_kind {
	AP_QUERY_FLAMEGRAPH,
	AP_QUERY_DIFF,
	AP_QUERY_TOP,
	AP_QUERY_CALLERS,
	AP_QUERY_SERIES,
	AP_QUERY_HEATMAP,
	AP_QUERY_SYSCALLS,
	AP_QUERY_LOCKS,
	AP_QUERY_SERVICES,
	AP_QUERY_LABELS, /* names, values, and which events there are */
	AP_QUERY_MODULES,
	AP_QUERY_EXPORT,
	AP_QUERY_SYMBOLS,
	AP_QUERY_HISTORY, /* of agents */
	AP_QUERY_KINDS
};
enum ap_query_status {
	AP_QUERY_OK,
	AP_QUERY_CANCELLED, /* the asker has gone */
	AP_QUERY_TIMED_OUT,
	AP_QUERY_LIMITED, /* by memory, rows or an expression's cost */
	AP_QUERY_BUSY,	  /* never ran */
	AP_QUERY_FAILED,
	AP_QUERY_STATUSES
};
struct ap_query_stats {
	uint32_t running, waiting; /* now */
	uint64_t total[AP_QUERY_KINDS][AP_QUERY_STATUSES];
	struct ap_prom_histogram seconds[AP_QUERY_KINDS]; /* of all, waits included */
	/* Answers of the store that were still known: to whole statements, to the middle of a range, to an end of one; and
	 * those for which it was asked for the rows since. */
	uint64_t recalled, recalled_in_part, recalled_ends, extended;
	uint64_t memo_bytes; /* now */
};
const char *ap_query_kind_name(enum ap_query_kind kind);       /* "flamegraph", … */
const char *ap_query_status_name(enum ap_query_status status); /* "ok", … */
void ap_query_engine_get_stats(struct ap_query_engine *e, struct ap_query_stats *ret);

#define AP_QUERY_TIME_MAX_MS 7258118400000ll /* the year 2200: fits 64 bits of nanoseconds */

enum ap_query_source { AP_QUERY_BOTH = 0, AP_QUERY_BUFFER = 1, AP_QUERY_STORE = 2 };

struct ap_query {
	int64_t from_ms, to_ms; /* Unix milliseconds, half-open, up to AP_QUERY_TIME_MAX_MS */
	const struct ap_profile_type *type;
	const struct ap_filter *filter; /* NULL: everything */
	uint32_t max_nodes;		/* 0 = AP_TREE_NODES_DEFAULT */
	enum ap_query_source source;
	const atomic_bool *cancel; /* NULL: until the engine stops */
};

/* What an answer rests on. */
struct ap_coverage {
	uint32_t hosts_reporting; /* with a batch in the range (that the filter's host allows) */
	uint32_t hosts_expected;  /* the same; callers that know of silent ones raise it */
	uint64_t samples;	  /* periods or events */
	uint64_t reasons[AP_REASONS_MAX]; /* those, by why their stacks end */
	double complete_share;		  /* AP_REASON_OK and KERNEL_ONLY, 0..1; -1: no samples */
	uint64_t lost;			  /* periods lost in the range, all hosts and stages */
	uint64_t pending; /* rows of the range's time that wait on disk alone and are not in the
			   * answer, whatever their type and labels */
	/* The range that the numbers are of, and how coarse what is kept of its begin is, in seconds: 1,
	 * or what was asked for has been widened to whole hours (3,600) or days. */
	int64_t from_ms, to_ms;
	uint32_t resolution_s;	  /* 0: the numbers are of no range */
	int64_t unanswered_to_ms; /* of what is before that, nothing is kept which tells
					   * what was asked; 0: all is answered */
	const char *truncated;	  /* what a limit cut: "rows", "values"; NULL: nothing */
	uint64_t cut;		  /* how much of it */
};

/* Raises hosts_expected by agents that are known but silent; `agents` may be NULL. */
void ap_coverage_expect_hosts(struct ap_agents *agents, const struct ap_query *q,
			      struct ap_coverage *cov);

int ap_query_flamegraph(struct ap_query_engine *e, const struct ap_query *q,
			struct ap_tree **ret_tree, struct ap_coverage *ret_cov,
			struct ap_error *err);

/* Side 0 of the tree is `a`, side 1 is `b`, which must have a's unit. `ret_top` (may be NULL): the
 * `limit` functions that changed most. */
int ap_query_diff(struct ap_query_engine *e, const struct ap_query *a, const struct ap_query *b,
		  uint32_t limit, struct ap_tree **ret_tree, struct ap_top **ret_top,
		  struct ap_coverage ret_cov[2], struct ap_error *err);

/* limit 0 = all. */
int ap_query_top(struct ap_query_engine *e, const struct ap_query *q, enum ap_top_sort sort,
		 uint32_t limit, struct ap_top **ret_top, struct ap_coverage *ret_cov,
		 struct ap_error *err);

/* The callers or the callees of a function as a tree (profile/sandwich.h). `ret_selection`: the total of
 * everything selected, which shares are taken of. */
int ap_query_callers(struct ap_query_engine *e, const struct ap_query *q,
		     const struct ap_tree_function *f, enum ap_sandwich_side side,
		     struct ap_tree **ret_tree, uint64_t *ret_selection,
		     struct ap_coverage *ret_cov, struct ap_error *err);

/* Samples as a profile to export: one row per (service, host, comm, stack), at most `max_rows` (0 =
 * 1,000,000), the largest by count; the rest is told by the coverage as "rows". */
int ap_query_profile(struct ap_query_engine *e, const struct ap_query *q, uint32_t max_rows,
		     struct ap_profile **ret, struct ap_coverage *ret_cov, struct ap_error *err);

/* Values over time. */
#define AP_SERIES_NONE UINT64_MAX /* no host reported in that step: a gap, not a zero */

struct ap_series_row {
	struct ap_str value;	/* of the label; "" for the one series without a label */
	const uint64_t *values; /* one a step */
	uint64_t total;
};
struct ap_series {
	int64_t from_ms, to_ms; /* aligned outwards to the step */
	int64_t step_ms;
	uint32_t n_steps;
	struct ap_series_row *rows; /* by total descending, then value */
	uint32_t n_rows;
	struct ap_series_row other; /* the sum of the rest */
	uint32_t n_other;	    /* how many that are; 0: values is NULL */
	struct ap_arena arena;
};
enum { AP_SERIES_STEPS_MAX = 11000 };

/* `label` empty: one series. `step_ms` a multiple of 1000; 0 = about 300 steps of a round length.
 * -EINVAL for more than AP_SERIES_STEPS_MAX steps. `top`: series of their own, 0 = 10. */
int ap_query_series(struct ap_query_engine *e, const struct ap_query *q, struct ap_str label,
		    int64_t step_ms, uint32_t top, struct ap_series **ret,
		    struct ap_coverage *ret_cov, struct ap_error *err);
void ap_series_free(struct ap_series *s);
AP_DEFINE_CLEANUP(series, struct ap_series, ap_series_free)

/* Values over time in two dimensions: cells of `step_ms`, of which each column has `n_rows`, from the
 * column's beginning on. Agents tell times to the second, so no cell is shorter. */
struct ap_heatmap {
	struct ap_series *series; /* of one row: the cells, column by column */
	uint32_t n_rows, n_columns;
	uint64_t max; /* of one cell */
};
enum { AP_HEATMAP_ROWS_MAX = 1440 };

/* The range is aligned outwards to columns, which begin at multiples of their length since 1970.
 * `step_ms` 0: as short as AP_SERIES_STEPS_MAX cells allow, of 1 s, 10 s, 1 min, 10 min, 1 h;
 * `n_rows` 0: 60, or what makes a column a day of the latter two. Where samples have gone a cell is as long as what is
 * left of them, an hour or a day, a column of which is a week. -EINVAL for too many cells. */
int ap_query_heatmap(struct ap_query_engine *e, const struct ap_query *q, int64_t step_ms,
		     uint32_t n_rows, struct ap_heatmap *ret, struct ap_coverage *ret_cov,
		     struct ap_error *err);
void ap_heatmap_free(struct ap_heatmap *h);
#define _cleanup_heatmap_ _cleanup_(ap_heatmap_free)

/* System calls: a row for each (call, ABI, value of the label `by`). */
struct ap_syscall_row {
	struct ap_str syscall, abi;
	struct ap_str value; /* of the label; "" without one */
	struct ap_syscall_stat stat;
	uint64_t errors; /* sum of stat.errors */
	uint64_t
		in_flight; /* threads in the call when their process was last heard of in the range */
	uint64_t oldest_ns; /* for how long the first of them had been in it then */
};
struct ap_syscall_step {
	uint64_t count, errors, sum_ns, max_ns;
	double p50_ns, p90_ns, p99_ns; /* -1: no call returned */
	bool reported;		       /* false: nothing is known */
};
struct ap_syscall_table {
	struct ap_syscall_row *rows;	 /* in the order asked for, then by name */
	uint32_t n, n_rows;		 /* given; of how many */
	uint64_t count, errors, sum_ns;	 /* of all n_rows */
	uint64_t covered_s;		 /* seconds of the range in which a host reported */
	int64_t from_ms, to_ms, step_ms; /* of the steps: aligned outwards */
	struct ap_syscall_step *steps;	 /* of all rows together; NULL: not asked for */
	uint32_t n_steps;
	struct ap_intern *names; /* holds the rows' texts */
};
enum ap_syscall_sort {
	AP_SYSCALL_SORT_TIME, /* stat.sum_ns */
	AP_SYSCALL_SORT_COUNT,
	AP_SYSCALL_SORT_ERRORS,
	AP_SYSCALL_SORT_MAX,
	AP_SYSCALL_SORT_P99,
	AP_SYSCALL_SORT_IN_FLIGHT,
};
struct ap_syscall_query {
	struct ap_str by;	    /* a label; "": none */
	struct ap_str syscall, abi; /* this one alone; "": all */
	enum ap_syscall_sort sort;  /* largest first */
	uint32_t limit;		    /* rows; 0 = all; the rest is told by the coverage as "rows" */
	bool steps;
	int64_t step_ms; /* a multiple of 1000; 0 = about 300 steps of a round length */
};
/* The type of `q` is ignored; the coverage's lost are calls, its samples 0. -EINVAL for more than
 * AP_SERIES_STEPS_MAX steps. */
int ap_query_syscalls(struct ap_query_engine *e, const struct ap_query *q,
		      const struct ap_syscall_query *s, struct ap_syscall_table **ret,
		      struct ap_coverage *ret_cov, struct ap_error *err);
void ap_syscall_table_free(struct ap_syscall_table *t);
AP_DEFINE_CLEANUP(syscall_table, struct ap_syscall_table, ap_syscall_table_free)

/* The services of a range, beside the same length of time right before and the same range 24 hours
 * earlier. */
struct ap_riser {
	struct ap_str function, module;
	uint64_t value, previous_value; /* self */
};
struct ap_service {
	struct ap_str service;
	uint64_t value, samples, complete; /* complete: samples whose stacks are */
	uint32_t hosts;
	bool has_previous, has_previous_day; /* false: no host reported then */
	uint64_t previous_value, previous_day_value;
	bool has_riser;	       /* a function whose self value grew, against the previous range */
	struct ap_riser riser; /* by how much it grew */
};
struct ap_services {
	struct ap_service *rows; /* by value descending, then name; those of the range only */
	uint32_t n;
	uint64_t total;
	int64_t previous_from_ms, previous_to_ms;
	struct ap_arena arena;
};
int ap_query_services(struct ap_query_engine *e, const struct ap_query *q, struct ap_services **ret,
		      struct ap_coverage *ret_cov, struct ap_error *err);
void ap_services_free(struct ap_services *s);
AP_DEFINE_CLEANUP(services, struct ap_services, ap_services_free)

/* Label names in use (sorted, own columns first), or the values of one (by samples descending). */
struct ap_label_value {
	struct ap_str value;
	uint64_t samples;
};
struct ap_label_values {
	struct ap_label_value *rows;
	uint32_t n;
	struct ap_arena arena;
};
int ap_query_label_names(struct ap_query_engine *e, const struct ap_query *q,
			 struct ap_label_values **ret, struct ap_coverage *ret_cov,
			 struct ap_error *err);
/* At most `limit` (0 = 1000); the rest is told by the coverage as "values". */
int ap_query_label_values(struct ap_query_engine *e, const struct ap_query *q, struct ap_str label,
			  uint32_t limit, struct ap_label_values **ret, struct ap_coverage *ret_cov,
			  struct ap_error *err);
void ap_label_values_free(struct ap_label_values *v);
AP_DEFINE_CLEANUP(label_values, struct ap_label_values, ap_label_values_free)

/* Modules (ELF files, the kernel, code without a file) with frames that have no symbol. */
struct ap_module {
	struct ap_str path;	/* as the process saw it, of one of those with the build-id */
	struct ap_str build_id; /* "": none, the path is what tells it apart */
	enum ap_frame_kind kind;
	uint64_t total;	 /* of stacks that pass through such a frame of it; modules overlap */
	uint64_t self;	 /* of stacks that end in one */
	uint32_t frames; /* how many different ones */
};
struct ap_modules {
	struct ap_module *rows; /* by total descending, then self, path */
	uint32_t n, n_modules;	/* given; of how many */
	uint64_t total;		/* of all stacks of the range */
	struct ap_arena arena;
};
/* `limit` 0 = all; the rest is told by the coverage as "modules". */
int ap_query_modules(struct ap_query_engine *e, const struct ap_query *q, uint32_t limit,
		     struct ap_modules **ret, struct ap_coverage *ret_cov, struct ap_error *err);
void ap_modules_free(struct ap_modules *m);
AP_DEFINE_CLEANUP(modules, struct ap_modules, ap_modules_free)

/* Waits for locks: which locks they were for, and who ended whose. */
struct ap_waits {
	uint64_t count, ns; /* count: of those that have ended */
};
struct ap_lock_row {
	struct ap_str service, host, pid, lock,
		kind;	      /* what tells locks apart, and for those of the
							 kernel, which mostly have no name, caller */
	struct ap_str caller; /* "": of a program */
	bool kernel;
	struct ap_waits waits;
	struct ap_str place;		/* where it lies; "" = not known */
	bool contended;			/* waits are for what another thread holds */
	uint64_t timeouts, signals;	/* of waits.count, those that ended so */
	uint32_t waiters, wakers;	/* different names of threads */
	struct ap_str function, module; /* which function waited longest */
};
struct ap_lock_pair {
	struct ap_str service, waiter, waker; /* waker "": nobody saw who */
	struct ap_waits waits;
};
struct ap_locks {
	struct ap_lock_row *rows;   /* by the order asked for, descending */
	struct ap_lock_pair *pairs; /* the same */
	uint32_t n, n_locks;	    /* given; of how many */
	uint32_t n_given_pairs, n_pairs;
	struct ap_waits total;		    /* of everything selected */
	struct ap_waits short_waits;	    /* of those, too short to know the lock of */
	struct ap_waits other, other_pairs; /* of what the limit cut off */
	struct ap_waits not_contended;	    /* of what contended_only left out; not in `total` */
	struct ap_arena arena;
};
enum ap_locks_domain { AP_LOCKS_OF_ALL = 0, AP_LOCKS_OF_PROGRAMS = 1, AP_LOCKS_OF_KERNEL = 2 };
enum ap_locks_sort { AP_LOCKS_BY_NS = 0, AP_LOCKS_BY_COUNT = 1 };
struct ap_locks_options {
	enum ap_locks_sort sort;
	uint32_t limit; /* of locks, and of pairs; 0 = all */
	enum ap_locks_domain domain;
	bool contended_only; /* leaves out waits for work, for conditions and for threads to end,
				and those for semaphores and the like that nobody ended */
};
/* The query's type is ignored. What is cut is told by the coverage as "locks", else "pairs". */
int ap_query_locks(struct ap_query_engine *e, const struct ap_query *q,
		   const struct ap_locks_options *o, struct ap_locks **ret,
		   struct ap_coverage *ret_cov, struct ap_error *err);
void ap_locks_free(struct ap_locks *l);
AP_DEFINE_CLEANUP(locks, struct ap_locks, ap_locks_free)

/* The addresses in a module, of all that is kept, that would gain from debug information: those
 * without a symbol, or with a name from a symbol table only. */
struct ap_missing_symbols {
	uint64_t *offsets; /* ascending */
	size_t n, total;   /* given; all that are missing, whatever `after` says */
	size_t unnamed;	   /* of `total`, those without a symbol */
};
/* Those greater than `after` (NULL: from the first), at most `limit`. -ENOENT: no frame is of that
 * build-id. */
int ap_query_missing_symbols(struct ap_query_engine *e, struct ap_str build_id,
			     const uint64_t *after, size_t limit, struct ap_missing_symbols *ret,
			     struct ap_error *err);
void ap_missing_symbols_free(struct ap_missing_symbols *m);

/* Renames what is stored and what will be: symbols[i] is at offsets[i] of the module, each offset
 * given once. Durable when it returns 0, and seen by every question that begins after. -ENOENT as
 * above; -EINVAL for a symbol of no or more than AP_SYMBOL_LEVELS_MAX levels; -ENOTSUP: there is no
 * store. */
struct ap_put_symbols {
	uint64_t stored;
	uint64_t unchanged; /* lesser than what is known: without source files */
	uint64_t unknown;   /* of addresses that no sample has */
};
int ap_query_put_symbols(struct ap_query_engine *e, struct ap_str build_id, const uint64_t *offsets,
			 const struct ap_symbol *symbols, size_t n, struct ap_put_symbols *ret,
			 struct ap_error *err);

/* Which events have samples in the range: bit (1 << enum ap_event). The query's type is ignored. */
int ap_query_events(struct ap_query_engine *e, const struct ap_query *q, uint32_t *ret_events,
		    struct ap_error *err);

/* What the store knows of each agent's past: sums over all that is kept since `from_ms`, for the
 * agents' registry to begin with after a restart. */
struct ap_agent_history {
	struct ap_str agent, host; /* valid during the call */
	int64_t first_seen_ms, last_seen_ms;
	uint64_t epoch, samples; /* the highest epoch; periods */
	struct ap_ledger ledger;
};
int ap_query_agents(struct ap_query_engine *e, int64_t from_ms,
		    int (*fn)(void *ctx, const struct ap_agent_history *h), void *ctx,
		    struct ap_error *err);

#endif
