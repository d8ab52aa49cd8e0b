/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of every mode but cpu, each kind an object of its own that shares maps with the capture's. A
 * kind is loaded when it is first asked for and stays loaded; it is begun and ended as the modes change, and what
 * it counts never falls. One that this kernel does not have what it needs for is refused, and the others go on.
 * One thread at a time, but for ap_probes_load(). */
#ifndef AP_AGENT_PROBES_H
#define AP_AGENT_PROBES_H

#include "abi/ledger.h"
#include "agent/capture.h"
#include "agent/process.h"
#include "agent/rows_builder.h"

struct ap_probes;

/* The capture is borrowed; of the options the probes keep what is not in a setting. NULL = out of memory. */
struct ap_probes *ap_probes_new(struct ap_capture *capture, const struct ap_profiler_options *opts);
void ap_probes_free(struct ap_probes *p); /* ends them */
AP_DEFINE_CLEANUP(probes, struct ap_probes, ap_probes_free)

/* Loads what the modes of `s` ask for and is not there yet, for the next ap_probes_set(); takes a good part of
 * a second, and may run beside all but that. 0; -ENOMEM, or the kernel's error where nothing that was asked for
 * can be had. */
int ap_probes_load(struct ap_probes *p, const struct ap_profiler_setting *s, struct ap_error *err);
/* Begins, changes and ends them as `s` says, which has been loaded. Errors as ap_probes_load(). */
int ap_probes_set(struct ap_probes *p, const struct ap_profiler_setting *s, struct ap_error *err);
/* Ends them all; what they had to tell is in the ring buffer or in their tables. */
void ap_probes_stop(struct ap_probes *p);

/* Has those that tell of what goes on do so, up to now, through the ring buffer. */
void ap_probes_flush(struct ap_probes *p);
/* Makes rows of what they count in tables, and brings their stages of the ledger up to date. What cannot be
 * read now stays in the tables. */
void ap_probes_collect(struct ap_probes *p, struct ap_process_table *processes,
		       struct ap_rows_builder *rows, struct ap_ledger *ledger);
/* Brings the stages of those that tell through the ring buffer up to date. */
void ap_probes_ledger(const struct ap_probes *p, struct ap_ledger *ledger);
/* Adds what they cost. */
void ap_probes_cost(const struct ap_probes *p, struct ap_profiler_cost *cost);

/* See ap_profiler_refused(). */
const char *ap_probes_refused(const struct ap_probes *p, uint32_t *modes);

#endif
