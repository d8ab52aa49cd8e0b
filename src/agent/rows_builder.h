/* SPDX-License-Identifier: Apache-2.0 */
/* Adds samples to a struct ap_rows: resolves their addresses against the process as it stands,
 * shares equal stacks, and merges samples of one second, process, thread name and stack. */
#ifndef AP_AGENT_ROWS_BUILDER_H
#define AP_AGENT_ROWS_BUILDER_H

#include "agent/process.h"
#include "agent/record.h"
#include "agent/rows.h"
#include "agent/tables.h"

struct ap_rows_builder;

/* `max_rows`: rows between two takes. `tables` know the files of frames; borrowed. NULL = out of
 * memory. */
struct ap_rows_builder *ap_rows_builder_new(struct ap_tables *tables, bool exact_time,
					    uint32_t max_rows);
void ap_rows_builder_free(struct ap_rows_builder *b);
AP_DEFINE_CLEANUP(rows_builder, struct ap_rows_builder, ap_rows_builder_free)

/* Adds a sample of `process` at `unix_ns`; `ret_reason` is why its stack ends, which resolving it
 * may have changed: frames outside all code are cut off. 0, -ENOMEM, -ENOSPC (max_rows). */
int ap_rows_builder_add(struct ap_rows_builder *b, struct ap_process *process, int64_t unix_ns,
			const struct ap_record_view *record, uint16_t *ret_reason);

/* Adds what `process` did of a system call; `stat` is copied. 0 or -ENOMEM. */
int ap_rows_builder_add_syscall(struct ap_rows_builder *b, struct ap_process *process,
				const struct ap_rows_syscall *s);

/* Hands over the rows and begins anew; `processes` tells who is still alive. NULL = out of memory:
 * then the rows stay. */
struct ap_rows *ap_rows_builder_take(struct ap_rows_builder *b, struct ap_process_table *processes);

#endif
