/* SPDX-License-Identifier: Apache-2.0 */
/* Profiling in this process: loads the BPF programs, opens the perf events, follows processes
 * and aggregates samples. Serves `aperture record` as well as aperture-agent:
 *
 *	ap_profiler_open(&opts, &err, &p);
 *	ap_profiler_start(p, &err);
 *	for (;;)
 *		ap_profiler_collect(p, &rows);	… ap_rows_free(rows);
 *		ap_profiler_set(p, &setting, &err);	where other modes or another rate are wanted
 *	ap_profiler_stop(p);
 *	ap_profiler_collect(p, &rows);		the rest
 *	ap_profiler_free(p);
 *
 * A thread of its own drains the kernel's rings on a timer. Needs CAP_BPF and CAP_PERFMON, and
 * CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH and CAP_CHECKPOINT_RESTORE to see the files of other users'
 * processes. Nothing outlives the process: no pins, no settings changed. */
#ifndef AP_AGENT_PROFILER_H
#define AP_AGENT_PROFILER_H

#include "abi/ledger.h"
#include "agent/rows.h"
#include "agent/tables.h"
#include "base/config.h"
#include "base/error.h"

enum ap_target {
	AP_TARGET_MACHINE = 0,
	AP_TARGET_PIDS,	  /* processes and the children they start from now on */
	AP_TARGET_CGROUP, /* a cgroup v2 and those below it */
};

/* What is profiled; bits. */
enum ap_mode {
	AP_MODE_CPU = 1,     /* samples of what runs on the CPUs */
	AP_MODE_OFFCPU = 2,  /* waits of threads */
	AP_MODE_LOCK = 4,    /* those for locks, and who ended them */
	AP_MODE_SYSCALL = 8, /* system calls, counted: ap_rows.syscalls */
};

/* The names of `--mode`, "wall" among them for "cpu" and "offcpu", to bits: 0, or -EINVAL with `err` for an
 * unknown one. An empty list is AP_MODE_CPU. */
int ap_modes_parse(const struct ap_strings *list, uint32_t *ret, struct ap_error *err);
/* The name of one bit; NULL: there is no such mode. */
const char *ap_mode_name(uint32_t mode);

struct ap_syscalls_options;

#define AP_FREQUENCY_DEFAULT	  99
#define AP_FREQUENCY_MAX	  10000
#define AP_WAIT_THRESHOLD_DEFAULT 1000000

/* What may change while a profiler runs. */
struct ap_profiler_setting {
	uint32_t modes;		    /* enum ap_mode; 0 = AP_MODE_CPU */
	uint32_t frequency_hz;	    /* 1 … 10000; 0 = 99 */
	uint64_t wait_threshold_ns; /* shorter waits have no stacks; 0 = 1 ms */
};

/* A zeroed struct profiles the whole machine with the defaults. */
struct ap_profiler_options {
	/* To begin with: struct ap_profiler_setting. */
	uint32_t modes, frequency_hz;
	uint64_t wait_threshold_ns;
	const struct ap_syscalls_options *syscalls; /* syscall_options.h; NULL: all, no stacks */
	bool wakers; /* AP_MODE_OFFCPU: also who ended waits for no lock */
	enum ap_target target;
	const int32_t *pids; /* AP_TARGET_PIDS; may be empty: see ap_profiler_add_target() */
	size_t n_pids;
	const char *cgroup; /* AP_TARGET_CGROUP: a folder under /sys/fs/cgroup, or the path below it
			       ("/system.slice/x.service") */
	bool exact_time;    /* a row per sample with its nanosecond time and tid */
	uint32_t max_user_frames; /* 16 … 1024; 0 = 512 */
	size_t ringbuf_bytes;	  /* 0 = 4 MiB; less where the kernel grants less */
	uint32_t
		variant; /* of the BPF programs, the first to try: 0 = the best, then those of older
			     kernels, which newer ones accept as well (bpf_object.h) */
	size_t table_bytes; /* for unwind tables; 0 = 64 MiB, taken as they are needed, or
				     8 MiB, taken at once, on kernels before 6.9 */
	uint32_t max_rows;  /* most rows between two collections; 0 = 1 million. What exceeds it
				     is counted as table_full */
};

/* The ids of a `--pid` list; the array is the caller's to free. -EINVAL with `err` for what is no
 * process id; -ENOMEM. */
int ap_pids_parse(const struct ap_strings *list, int32_t **ret, struct ap_error *err);

/* What the profiler costs, since it was opened. */
struct ap_profiler_cost {
	uint64_t cpu_ns; /* user and system time of this process, whatever it did */
	uint64_t bpf_ns; /* BPF programs on all CPUs, from timing 1 run in AP_CPU_TIMED_EVERY */
	/* Of that, the programs of modes offcpu, lock and syscall: no sampling rate changes it. */
	uint64_t fixed_ns;
	uint64_t bpf_runs;	 /* runs of those programs */
	uint64_t peak_rss_bytes; /* of this process */
	uint64_t map_bytes; /* BPF maps and the perf events' rings; of an arena what is in use */
	uint64_t map_cpu_bytes; /* of those, what one CPU more adds */
};

struct ap_profiler;

/* Loads and prepares everything; nothing is sampled yet. -EINVAL: bad options; -EPERM: capabilities
 * are missing; -ENOENT: no kernel BTF; -ESRCH: no such process; else the kernel's error. `err` says
 * what to do. The options need not outlive the call. */
int ap_profiler_open(const struct ap_profiler_options *opts, struct ap_error *err,
		     struct ap_profiler **ret);
void ap_profiler_free(struct ap_profiler *p); /* stops it first */
AP_DEFINE_CLEANUP(profiler, struct ap_profiler, ap_profiler_free)

/* Begins sampling. */
int ap_profiler_start(struct ap_profiler *p, struct ap_error *err);
/* Has the profiler do that from now on, before the start or after it, from the thread that collects. What was
 * taken before keeps its value, and the ledger stays closed: it counts each period in the rate of its time. A
 * period or a short wait that is under way at that moment is in no count. The stride is 1 again. Programs that
 * were not needed so far are loaded first, which may take a second, and sampling goes on meanwhile. -EINVAL: bad
 * values; else the kernel's error where nothing that was asked for can be had: then `p` goes on as it can, and is
 * to be set again. See ap_profiler_refused(). */
int ap_profiler_set(struct ap_profiler *p, const struct ap_profiler_setting *setting,
		    struct ap_error *err);
/* AP_TARGET_PIDS: also profile `pid` (in this process's pid namespace) and the children it will
 * start; before or after the start. For a child of one's own: call it before it execs. */
int ap_profiler_add_target(struct ap_profiler *p, int32_t pid, struct ap_error *err);
/* Samples once in `stride` (at least 1) periods of the frequency asked for, from now on; values stay
 * true, since each sample then stands for as many periods. 0, or the error of the last CPU that could
 * not be changed and goes on as before. */
int ap_profiler_set_stride(struct ap_profiler *p, uint32_t stride);
/* Makes the unwind tables of a program that is about to be run, and of the interpreter that its first line
 * may name: its very first samples are to be complete. Before the start. */
void ap_profiler_expect(struct ap_profiler *p, const char *path);
/* Ends sampling and drains what the kernel still holds; after it one more collect gives the last
 * rows and the ledger is closed. Idempotent. */
int ap_profiler_stop(struct ap_profiler *p);

/* Hands over what has been aggregated since the last call, up to now; the caller's to free. Never
 * blocks for samples: may be empty. From one thread at a time. 0 or -ENOMEM. */
int ap_profiler_collect(struct ap_profiler *p, struct ap_rows **ret);

/* The stages "sample" (brought up to date once a second) and "reader" and the stacks by reason. In
 * both stages in = out + losses holds exactly after ap_profiler_stop(). The later stages are the callers' to fill:
 * the ledger is the one of the whole agent, writable through ap_ledger_add(). */
struct ap_ledger *ap_profiler_ledger(struct ap_profiler *p);
/* A copy of it in which those two stages stand as they did at one moment. */
void ap_profiler_ledger_copy(struct ap_profiler *p, struct ap_ledger *ret);

void ap_profiler_cost(struct ap_profiler *p, struct ap_profiler_cost *ret);
/* Why modes that were asked for cannot be had here, while the others go on: those are taken from `*modes`. NULL:
 * all are there. */
const char *ap_profiler_refused(const struct ap_profiler *p, uint32_t *modes);
/* Which variant of the BPF programs this kernel accepts, for people: "arena, iterator". */
const char *ap_profiler_variant(const struct ap_profiler *p);

/* What the process table holds and what it had to do without: a frame of a forgotten process or after
 * a dropped event has no file. */
struct ap_profiler_processes {
	uint32_t known;	      /* processes in the table, those just ended included */
	uint64_t sampled;     /* distinct processes sampled so far */
	uint64_t evicted;     /* forgotten alive, because the table was full */
	uint64_t events_lost; /* mmap, fork, exec and exit events that the kernel dropped */
};
void ap_profiler_processes(struct ap_profiler *p, struct ap_profiler_processes *ret);
void ap_profiler_tables(struct ap_profiler *p, struct ap_tables_stats *ret);
/* Whether any process that was asked for still lives (AP_TARGET_PIDS; else true). */
bool ap_profiler_target_alive(struct ap_profiler *p);

#endif
