/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that keeps the store in shape: builds rollups, and drops days that are older than their
 * table's retention, or for which there is no room (keep.h). A day goes as a whole; dropping a partition is
 * cheap and works on every version of the engine. Rows go once they are summed up: those that are due are
 * waited for for a day, those that there is no room for are not. Symbols go when the last frame of their
 * module has. */
#ifndef AP_AGGREGATOR_STORE_RETENTION_H
#define AP_AGGREGATOR_STORE_RETENTION_H

#include "aggregator/ingest/buffer.h"
#include "aggregator/store/keep.h"

struct ap_retention;

struct ap_retention_options {
	struct ap_store *store; /* borrowed, like the next two */
	struct ap_rollup *rollup;
	struct ap_buffer *buffer; /* it says what is on the store's disk */
	uint64_t
		hold_ns; /* as in struct ap_rollup_options, where the store does not sync what it takes */
	uint64_t retention_ns
		[AP_ROLLUP_LEVELS]; /* one shorter than the one before is as long as that */
	uint64_t rollup_interval_ns;
	/* Room: bytes, or where that is 0 a share of the file system that `data_dir` is on; and the share of
	 * it that stays free. Shares in thousandths of a percent, 0: no bound. */
	uint64_t budget_bytes, budget_share, free_share;
	const char *data_dir; /* NULL: the store is elsewhere, shares mean nothing */
};

struct ap_retention_stats {
	uint64_t days[AP_KEEP_LEVELS][2]; /* dropped partitions; [1]: to make room */
	uint64_t bytes[AP_KEEP_LEVELS][2];
	uint64_t rows[AP_KEEP_LEVELS][2];
	uint64_t short_of; /* bytes over the limits, with nothing left to go; 0: all is well */
	uint64_t parts;	   /* the most that a day of a table was in when last looked at */
};

/* What the store holds, and how long that can go on. */
struct ap_retention_usage {
	struct ap_store_days days;
	struct ap_keep_limits limits; /* must_free is 0 */
	struct ap_keep_forecast forecast;
	uint64_t bytes;
	uint64_t disk_bytes, disk_free, keep_free; /* of the file system; disk_bytes 0: not known */
};

/* 0, -ENOMEM, -EAGAIN (no thread). */
int ap_retention_start(const struct ap_retention_options *o, struct ap_retention **ret,
		       struct ap_error *err);
void ap_retention_stop(struct ap_retention *r); /* NULL is fine */
/* Copies why the last round failed; "" and false if it did not. */
bool ap_retention_error(struct ap_retention *r, char *buf, size_t cap);
/* Copies what has been dropped to make room since the last call; false: nothing. */
bool ap_retention_notice(struct ap_retention *r, char *buf, size_t cap);
void ap_retention_get_stats(struct ap_retention *r, struct ap_retention_stats *ret);
int ap_retention_get_usage(struct ap_retention *r, struct ap_retention_usage *ret,
			   struct ap_error *err);
void ap_retention_usage_free(struct ap_retention_usage *u);

/* Without a thread, for tests: starts, and one round with `now_s` as the time (Unix seconds): 0, or the
 * first error after trying all. ap_retention_stop() ends it. */
int ap_retention_new(const struct ap_retention_options *o, struct ap_retention **ret);
int ap_retention_round(struct ap_retention *r, int64_t now_s, struct ap_error *err);

#endif
