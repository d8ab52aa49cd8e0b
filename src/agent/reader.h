/* SPDX-License-Identifier: Apache-2.0 */
/* Brings two streams together: samples and what the side-band tells of processes. Both carry
 * CLOCK_MONOTONIC times, but each comes from a ring per CPU or from CPUs that overtake each other.
 * So samples wait, at most until the next pass, and then both are gone through in the order of
 * their times: a sample is resolved against the process as it was when the sample was taken. */
#ifndef AP_AGENT_READER_H
#define AP_AGENT_READER_H

#include "abi/ledger.h"
#include "agent/rows_builder.h"

struct ap_reader;

/* All four are borrowed. NULL = out of memory. */
struct ap_reader *ap_reader_new(struct ap_process_table *processes, struct ap_tables *tables,
				struct ap_rows_builder *rows, struct ap_ledger *ledger);
void ap_reader_free(struct ap_reader *r);
AP_DEFINE_CLEANUP(reader, struct ap_reader, ap_reader_free)

/* Takes a record of the ring buffer, which is copied; counts it as read, and as lost where it is
 * malformed or there is no memory for it. Notices of files are not samples and not counted. */
void ap_reader_add(struct ap_reader *r, const void *record, size_t n);

/* Applies the events and then the samples, by time, up to `until` (CLOCK_MONOTONIC): all events of
 * that time must be in `events`, from which they are taken. `mono_to_unix` turns times into Unix
 * times. */
void ap_reader_process(struct ap_reader *r, struct ap_sideband_batch *events, uint64_t until,
		       int64_t mono_to_unix);

/* Adds what `v` tells of `who` to `rows`, and counts what becomes of it in the stage "reader"; what came in is the
 * caller's to count. */
void ap_reader_take(struct ap_process_table *processes, struct ap_rows_builder *rows,
		    struct ap_ledger *ledger, const struct ap_process_sample *who,
		    const struct ap_record_view *v, int64_t mono_to_unix);

#endif
