/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of what is stored, by hour and by day, for long ranges and for the time after the samples
 * themselves have gone.
 *
 * A rollup is built from a range of this writer's segments, (last one summed up, to], by INSERT …
 * SELECT. Its rows carry `to` as their segment, so whoever knows how far a writer has got reads each
 * sample once: the day's rows up to where days are built, the hour's rows from there up to where
 * hours are built, the samples after that. It does not matter when a sample is of, so late ones need no
 * rewriting. How far each writer has got is in the table `rollups`, written when a range is complete;
 * rows beyond that are not read.
 *
 * A range is several inserts, one a table and day, each all or nothing. After a crash its rows tell
 * which range was begun, and that very range is completed: a day that has rows of it is left out. At a server
 * that does not sync them, several ranges may be begun, see rollup_hold.h.
 *
 *	samples ─────▶ samples_1h ────▶ samples_1d      those of one process or thread are told apart by
 *	syscalls ────▶ syscalls_1h ───▶ syscalls_1d     the first column alone; nor do addresses of locks
 *	ledger ──────▶ ledger_1h                        and the threads of a wait go further */
#ifndef AP_AGGREGATOR_STORE_ROLLUP_H
#define AP_AGGREGATOR_STORE_ROLLUP_H

#include "aggregator/store/schema.h"
#include "base/vec.h"

enum ap_rollup_level { AP_ROLLUP_RAW, AP_ROLLUP_HOUR, AP_ROLLUP_DAY, AP_ROLLUP_LEVELS };
enum ap_rollup_family {
	AP_ROLLUP_SAMPLES,
	AP_ROLLUP_SYSCALLS,
	AP_ROLLUP_LEDGER,
	AP_ROLLUP_FAMILIES,
};

/* Length of a level's buckets in seconds: 1, 3600, 86400. */
extern const uint32_t ap_rollup_seconds[AP_ROLLUP_LEVELS];
/* NULL: the family has no such level. */
const struct ap_schema_table *ap_rollup_table(enum ap_rollup_family f, enum ap_rollup_level l);
/* Whether rows of an hour or a day can be told apart by a label. */
bool ap_rollup_keeps_label(struct ap_str label);

/* How far a writer has got: his segments in (base, upto[level]] are in that level's tables. */
struct ap_rollup_writer {
	uint64_t base;
	uint64_t upto[AP_ROLLUP_LEVELS]; /* [AP_ROLLUP_RAW] is not used */
};
struct ap_rollup_view {
	AP_VEC(struct ap_rollup_writer) writers;
	/* Unix seconds, the begin of a day: what is before it has been dropped from the level's tables,
	 * or some of it. 0: nothing has. */
	uint32_t whole_from[AP_ROLLUP_LEVELS];
	/* Hours are few rows, beside those that they are sums of. */
	bool hours_pay[AP_ROLLUP_FAMILIES];
};
void ap_rollup_view_free(struct ap_rollup_view *v);

struct ap_rollup;

struct ap_rollup_stats {
	uint64_t ranges[AP_ROLLUP_LEVELS]; /* complete since the start */
	uint64_t build_ns;		   /* spent on them */
	uint64_t failures;		   /* tries that ended with an error; each is made again */
	uint64_t lost; /* ranges that the store had lost sums of; they are made again */
	uint64_t upto[AP_ROLLUP_LEVELS]; /* of this writer */
};

struct ap_rollup_options {
	struct ap_store *store; /* outlives it */
	/* Of a store without AP_STORE_CAP_FSYNC: for how long sums are to have been there before questions rest
	 * on them (rollup_hold.h), 0: no time; and the data folder, which remembers what is in doubt, NULL:
	 * nothing does. */
	uint64_t hold_ns;
	const char *folder;
};

/* Thread-safe but for ap_rollup_run(), _confirm(), _waits() and _note_dropped(), which one thread calls. 0, -ENOMEM,
 * -EBADMSG (what the folder remembers), -EIO. */
int ap_rollup_new(const struct ap_rollup_options *o, struct ap_rollup **ret, struct ap_error *err);
void ap_rollup_free(struct ap_rollup *r); /* NULL is fine */
AP_DEFINE_CLEANUP(rollup, struct ap_rollup, ap_rollup_free)

/* Reads from the store what all writers have built and what has been dropped. Errors of statements. */
int ap_rollup_refresh(struct ap_rollup *r, struct ap_error *err);
/* A copy of what is known; refreshed first where nothing is known yet. Being old makes it no less
 * right. Taken before the buffer's snapshot, whose watermark then is not behind it. */
int ap_rollup_get_view(struct ap_rollup *r, struct ap_rollup_view *ret, struct ap_error *err);

/* Builds a level (hours first, then days) from this writer's segments up to `upto`, all of which are
 * on the store's disk, or with 0 what an earlier call has left. 0, or the error that it ended with; it goes on from
 * there the next time. */
int ap_rollup_run(struct ap_rollup *r, enum ap_rollup_level level, uint64_t upto,
		  struct ap_error *err);
/* What has been held for long enough is complete where the store has it; what it has lost is for the next run, and what
 * it has forgotten is written down anew. To be called again and again; it refreshes too. */
int ap_rollup_confirm(struct ap_rollup *r, struct ap_error *err);
/* Whether a run would go on with what was begun or lost. */
bool ap_rollup_waits(const struct ap_rollup *r, enum ap_rollup_level level);
/* Notes that a level's days before that one are about to be dropped. */
int ap_rollup_note_dropped(struct ap_rollup *r, enum ap_rollup_level level, uint32_t before_s,
			   struct ap_error *err);
/* How many rows of a family there are, and how many of them by hour, of the same days. */
void ap_rollup_set_rows(struct ap_rollup *r, enum ap_rollup_family f, uint64_t raw, uint64_t hours);
void ap_rollup_get_stats(struct ap_rollup *r, struct ap_rollup_stats *ret);

/* Appends "(…)", true for rows whose segment the level has summed up: for levels below it. */
void ap_rollup_done_sql(const struct ap_rollup_view *v, enum ap_rollup_level level,
			struct ap_buf *sql);

#endif
