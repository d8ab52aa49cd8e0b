/* SPDX-License-Identifier: Apache-2.0 */
/* The tables: one source for CREATE TABLE, for the blocks that the writer fills and for the names
 * that queries use.
 *
 *	samples  a row per (second, event, label set, stack) of a batch
 *	stacks   a stack's frame ids, outermost first, and why it ends
 *	frames   what a frame is called, and where it is
 *	symbols  what was learned later of an address: its function and what is inlined there
 *	syscalls a row per (batch, label set, system call): counts, latencies by bucket, errors by errno
 *	ledger   what each batch reported: losses, stacks by reason; a batch has at least one row
 *	samples_1h, syscalls_1h, ledger_1h  the same by hour, samples_1d, syscalls_1d by day; without
 *	         processes and threads, see rollup.h
 *	rollups  how far those are built, and from which day on each table is whole
 *	meta     the schema's version
 *
 * Tables but symbols and rollups are partitioned by UTC day, and stacks and frames are stored again for each
 * day that uses them: dropping a day is dropping its partition everywhere, and no row is left
 * without its names. Ids are content hashes, so a row stored twice is harmless.
 *
 * In a cluster each server has the table …_local, replicated within its shard, and the name itself is a view
 * of all of them (Distributed), which deals rows out by the table's key. That of a table with a column
 * `segment` is the segment: a segment's block goes whole to one shard, and a repeated one to the same.
 * Dictionaries and symbols are dealt out by id, so that what several aggregators store of one frame is
 * merged. meta is replicated to every server.
 *
 * A frame's id says where it is, not what it is called, so a row of symbols names it on all days,
 * in stacks that are stored already and in those to come. One row is one answer: the functions at
 * an address, outermost first, in arrays of equal length; of two rows the higher version holds. */
#ifndef AP_AGGREGATOR_STORE_SCHEMA_H
#define AP_AGGREGATOR_STORE_SCHEMA_H

#include "aggregator/store/store.h"

enum { AP_SCHEMA_VERSION = 1 };
#define AP_SCHEMA_LOCAL "_local" /* in a cluster: the end of the name of each server's own table */

/* Labels with a column of their own, in this order in every place; others are user labels. */
enum ap_schema_label {
	AP_LABEL_SERVICE,
	AP_LABEL_HOST,
	AP_LABEL_AGENT,
	AP_LABEL_PID,
	AP_LABEL_COMM,
	AP_LABEL_THREAD,
	AP_LABEL_CONTAINER,
	AP_LABEL_NAMESPACE,
	AP_LABEL_POD,
	AP_LABEL_UNIT,
	AP_LABEL_BUILD,
	AP_LABEL_VERSION,
	AP_LABEL_COLUMNS,
};
extern const char *const ap_schema_labels[AP_LABEL_COLUMNS];
/* enum ap_schema_label, or -1: a user's own label. */
int ap_schema_label_find(struct ap_str name);

/* Columns of the blocks. */
enum ap_samples_column {
	AP_SAMPLES_TIME,
	AP_SAMPLES_EVENT,
	AP_SAMPLES_LABEL, /* the first of AP_LABEL_COLUMNS */
	AP_SAMPLES_LABEL_KEYS = AP_SAMPLES_LABEL + AP_LABEL_COLUMNS,
	AP_SAMPLES_LABEL_VALUES,
	AP_SAMPLES_STACK,
	AP_SAMPLES_COUNT,
	AP_SAMPLES_VALUE,
	AP_SAMPLES_SEGMENT,
	AP_SAMPLES_COLUMNS,
};
enum ap_stacks_column {
	AP_STACKS_DAY,
	AP_STACKS_ID,
	AP_STACKS_FRAMES,
	AP_STACKS_REASON,
	AP_STACKS_COLUMNS,
};
enum ap_frames_column {
	AP_FRAMES_DAY,
	AP_FRAMES_ID,
	AP_FRAMES_FUNCTION,
	AP_FRAMES_SYSTEM_NAME,
	AP_FRAMES_FILE,
	AP_FRAMES_START_LINE,
	AP_FRAMES_LINE,
	AP_FRAMES_MODULE,
	AP_FRAMES_BUILD_ID,
	AP_FRAMES_OFFSET,
	AP_FRAMES_INLINE_INDEX,
	AP_FRAMES_KIND,
	AP_FRAMES_COLUMNS,
};
enum ap_symbols_column {
	AP_SYMBOLS_BUILD_ID,
	AP_SYMBOLS_OFFSET,
	AP_SYMBOLS_VERSION, /* Unix nanoseconds when it was learned */
	AP_SYMBOLS_FUNCTIONS,
	AP_SYMBOLS_SYSTEM_NAMES,
	AP_SYMBOLS_FILES,
	AP_SYMBOLS_START_LINES,
	AP_SYMBOLS_LINES,
	AP_SYMBOLS_COLUMNS,
};
enum ap_syscalls_column {
	AP_SYSCALLS_TIME,
	AP_SYSCALLS_LABEL, /* the first of AP_LABEL_COLUMNS */
	AP_SYSCALLS_LABEL_KEYS = AP_SYSCALLS_LABEL + AP_LABEL_COLUMNS,
	AP_SYSCALLS_LABEL_VALUES,
	AP_SYSCALLS_SYSCALL,
	AP_SYSCALLS_ABI,
	AP_SYSCALLS_COUNT,
	AP_SYSCALLS_SUM,
	AP_SYSCALLS_MAX,
	AP_SYSCALLS_BUCKETS,
	AP_SYSCALLS_BUCKET_COUNTS,
	AP_SYSCALLS_ERRORS,
	AP_SYSCALLS_ERROR_COUNTS,
	AP_SYSCALLS_IN_FLIGHT,
	AP_SYSCALLS_OLDEST,
	AP_SYSCALLS_BATCH, /* ap_store_batch_order(): of two rows the later one */
	AP_SYSCALLS_SEGMENT,
	AP_SYSCALLS_COLUMNS,
};
enum ap_ledger_column {
	AP_LEDGER_COL_TIME,  /* the batch's start */
	AP_LEDGER_COL_UNTIL, /* and end, rounded up; half-open */
	AP_LEDGER_COL_AGENT,
	AP_LEDGER_COL_HOST,
	AP_LEDGER_COL_EPOCH,
	AP_LEDGER_COL_SEQUENCE,
	AP_LEDGER_COL_KIND, /* enum ap_ledger_row */
	AP_LEDGER_COL_ID,   /* AP_LEDGER or AP_REASON number */
	AP_LEDGER_COL_COUNT,
	AP_LEDGER_COL_SEGMENT,
	AP_LEDGER_COLUMNS,
};
/* Kinds of rows in `ledger`. */
enum ap_ledger_row {
	AP_LEDGER_ROW_LOSS = 0,	  /* an entry of the loss ledger, a delta */
	AP_LEDGER_ROW_REASON = 1, /* stacks by reason, periods */
	AP_LEDGER_ROW_BATCH = 2,  /* the batch itself: its samples, in periods; id 0 */
};

struct ap_schema_table {
	const char *name;
	const struct ap_native_spec *columns;
	uint32_t n_columns;
};
extern const struct ap_schema_table ap_schema_samples, ap_schema_stacks, ap_schema_frames,
	ap_schema_symbols, ap_schema_syscalls, ap_schema_ledger, ap_schema_samples_1h,
	ap_schema_samples_1d, ap_schema_syscalls_1h, ap_schema_syscalls_1d, ap_schema_ledger_1h,
	ap_schema_rollups;

/* Creates what is missing and checks the version; see ap_store_open() for errors. */
int ap_schema_apply(struct ap_store *s, struct ap_error *err);

#endif
