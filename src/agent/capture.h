/* SPDX-License-Identifier: Apache-2.0 */
/* The BPF side in user space: loads src/bpf/cpu.bpf.c, opens a sampling event on every online CPU,
 * follows CPUs that come and go, hands over records, and keeps the ledger's stage "sample".
 * One thread at a time. */
#ifndef AP_AGENT_CAPTURE_H
#define AP_AGENT_CAPTURE_H

#include "abi/ledger.h"
#include "abi/unwind.h"
#include "agent/profiler.h"

struct ap_capture;

/* A record as the ring buffer has it; not yet checked. */
typedef void (*ap_capture_fn)(void *ctx, const void *record, size_t n);

/* Loads the programs; errors as ap_profiler_open(). */
int ap_capture_open(const struct ap_profiler_options *opts, ap_capture_fn fn, void *ctx,
		    struct ap_error *err, struct ap_capture **ret);
void ap_capture_free(struct ap_capture *c);
AP_DEFINE_CLEANUP(capture, struct ap_capture, ap_capture_free)

/* Nanoseconds that a sample taken now stands for: the stride times a period. */
uint64_t ap_capture_period_ns(const struct ap_capture *c);
/* Readable when the ring buffer is filling up faster than the timer empties it. */
int ap_capture_fd(const struct ap_capture *c);

/* Samples on a CPU from now on, where that is enabled (it is if the options' modes have AP_MODE_CPU); starting
 * it twice is no error. */
int ap_capture_start_cpu(struct ap_capture *c, uint32_t cpu);
/* Ends it; the periods that it has counted remain in the ledger. */
void ap_capture_stop_cpu(struct ap_capture *c, uint32_t cpu);
void ap_capture_stop(struct ap_capture *c); /* on all CPUs */

/* Whether the CPU's counter fell behind between the ledger's last updates: its events ended when the
 * CPU went, and it is to be stopped and, if it is there again, started. */
bool ap_capture_cpu_stalled(const struct ap_capture *c, uint32_t cpu);
/* Samples once in `stride` (at least 1) periods from now on: each sample stands for that many, and the
 * ledger counts the others as thinned. A CPU where that fails goes on as before; the error is the
 * last one. */
int ap_capture_set_stride(struct ap_capture *c, uint32_t stride);
/* The same for the periods themselves, with stride 1. The ledger counts in those in force at the time; the one
 * under way on each CPU is in no count. */
int ap_capture_set_frequency(struct ap_capture *c, uint32_t frequency_hz);
/* Whether CPUs are sampled at all: false ends it on those that are; true lets ap_capture_start_cpu() begin. */
void ap_capture_enable(struct ap_capture *c, bool enabled);

int ap_capture_add_pid(struct ap_capture *c, int32_t pid); /* AP_TARGET_PIDS; -E2BIG: too many */
/* The folder of the cgroup that is profiled, borrowed; -1: another target. */
int ap_capture_cgroup(const struct ap_capture *c);
/* Whether there is anything left to profile: always true but for AP_TARGET_PIDS, where it is whether
 * a target or a descendant of one lives. */
bool ap_capture_has_targets(const struct ap_capture *c);

/* The store of unwind tables (abi/unwind.h): zeroed memory that the walker reads, valid as long as the
 * capture. */
uint32_t *ap_capture_words(struct ap_capture *c, uint32_t *ret_n_words);
/* Tells the walker of a file, or anew, in any thread: 0; -E2BIG: AP_FILES_MAX are known. */
int ap_capture_set_file(struct ap_capture *c, const struct ap_file_key *key,
			const struct ap_file_ref *ref);
int ap_capture_forget_file(struct ap_capture *c, const struct ap_file_key *key); /* or -ENOENT */
bool ap_capture_has_arena(
	const struct ap_capture *c); /* the store's memory comes as it is written */
/* Which variant of the programs was loaded, for people: "arena, iterator". */
const char *ap_capture_variant(const struct ap_capture *c);

/* The object whose maps other programs share. */
const struct ap_bpf_object *ap_capture_object(const struct ap_capture *c);

/* Calls `fn` for every record that the ring buffer holds. */
int ap_capture_drain(struct ap_capture *c);
/* Runs an iterator whose program writes records, and drains the ring buffer in between: 0 or the kernel's error. */
struct bpf_link;
int ap_capture_iterate(struct ap_capture *c, const struct bpf_link *iterator);
/* Brings the stage "sample" up to date. elapsed comes from a counter's own value; where the clocks
 * of counter and timer drift apart and more runs were seen than periods counted, it is the runs.
 * No entry ever falls, and the stage's balance is closed each time.
 * Of the periods without a run those count as idle that ended while the CPU was, or in which it was by the
 * kernel's account, which is good to 10 ms per CPU; the others are not_run. Interrupts each CPU: not too often. */
void ap_capture_ledger(struct ap_capture *c, struct ap_ledger *l);
/* Fills the BPF part of it. */
void ap_capture_cost(const struct ap_capture *c, struct ap_profiler_cost *ret);

#endif
