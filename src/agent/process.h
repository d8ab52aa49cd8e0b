/* SPDX-License-Identifier: Apache-2.0 */
/* The process table: who runs what, and what code is mapped where, as it stood at the time of each
 * sample. Filled from side-band events, applied in the order of their times between samples, and
 * from /proc for processes that were there before: each is read once, when it is first sampled or
 * when it forks. A child starts as a copy of its parent, so that one that lives for 5 ms and is
 * gone before anybody looks is complete. Ended processes stay for AP_PROCESS_GRACE_NS.
 * Not thread-safe. */
#ifndef AP_AGENT_PROCESS_H
#define AP_AGENT_PROCESS_H

#include <uthash.h>

#include "abi/unwind.h"
#include "agent/data_maps.h"
#include "agent/maps.h"
#include "agent/sideband.h"
#include "symbol/runtime.h"

#define AP_PROCESS_GRACE_NS 2000000000ull

struct ap_process {
	UT_hash_handle hh;
	int32_t pid, ppid;
	uint64_t serial;     /* from 1; never used twice */
	uint64_t start_time; /* ns since boot; 0 = not known yet */
	uint64_t seen;	     /* CLOCK_MONOTONIC of the last event or sample */
	uint64_t learned;    /* CLOCK_MONOTONIC when it was asked for; 0 = it was not */
	char comm[16];	     /* the leader's name, NUL-terminated */
	char *exe;	     /* NULL = unknown */
	char *cgroup;	     /* text of /proc/PID/cgroup, NULL = unknown */
	char *group_exe;     /* the process group leader's executable, NULL = unknown */
	uint64_t cgroup_id;  /* with which `cgroup` was read */
	struct ap_file *exe_file;
	struct ap_maps maps;
	struct ap_data_maps data; /* empty until a lock was asked for */
	enum ap_runtime runtime;  /* what its executable or a library that it maps is */
	bool kernel;
	bool mapped;	   /* `maps` is what the kernel told, or was read */
	bool described;	   /* exe, cgroup and group_exe were looked for */
	bool exec_pending; /* the next file mapped is the executable */
	bool exited;
	bool sampled;
	bool needed;	      /* what it maps is likely to be sampled */
	bool changed;	      /* since rows_builder last looked, which clears it */
	uint64_t rows_serial; /* rows_builder's: the collection that `rows_id` belongs to */
	uint32_t rows_id;
};

struct ap_process_table;

/* Whose code is likely to be sampled: what they map is said to be needed (struct ap_file_source). */
enum ap_process_scope {
	AP_SCOPE_ALL,	  /* everybody's */
	AP_SCOPE_SAMPLED, /* that of processes that were sampled, and their children */
	AP_SCOPE_LEARNED, /* that of processes that were asked for and their descendants; others are
			     not followed at all */
};

/* At most `max_processes` are kept, with at most `max_fds` descriptors of their files. NULL = out
 * of memory. */
struct ap_process_table *ap_process_table_new(uint32_t max_processes, uint32_t max_fds);
/* AP_SCOPE_ALL until then. */
void ap_process_table_set_scope(struct ap_process_table *t, enum ap_process_scope scope);
void ap_process_table_free(struct ap_process_table *t);
AP_DEFINE_CLEANUP(process_table, struct ap_process_table, ap_process_table_free)

/* Applies one side-band event: 0 or -ENOMEM. */
int ap_process_table_apply(struct ap_process_table *t, const struct ap_sideband_event *e);

/* Who was sampled. */
struct ap_process_sample {
	int32_t pid, tid;
	uint64_t start_time; /* ns since boot, 0 = unknown */
	uint64_t time;	     /* CLOCK_MONOTONIC */
	uint64_t cgroup_id;  /* 0 = none */
	const char *comm;    /* char[16] of the thread */
	bool kernel;	     /* a kernel thread */
};

/* The process of a sample, added and read from /proc where it is not known. NULL = out of memory.
 * Valid until the next call that changes the table. */
struct ap_process *ap_process_table_sampled(struct ap_process_table *t,
					    const struct ap_process_sample *s);

/* Reads a process's mappings now, if it is not known; for those that are about to be profiled, in
 * AP_SCOPE_LEARNED for them alone. */
void ap_process_table_learn(struct ap_process_table *t, int32_t pid, uint64_t now);
/* Opens a program that is about to be run, and the interpreter that its first line may name. */
void ap_process_table_expect(struct ap_process_table *t, const char *path);
struct ap_process *ap_process_table_find(struct ap_process_table *t, int32_t pid);
/* The files of all processes; the table's own. */
struct ap_file_table *ap_process_table_files(struct ap_process_table *t);
/* The file of a mapping that the walker met: as /proc has it, of a process that has gone as the
 * side-band told. The reference is the caller's; NULL: it cannot be told. */
struct ap_file *ap_process_table_mapped(struct ap_process_table *t, int32_t pid,
					const struct ap_file_notice *notice);
/* Forgets processes that ended more than the grace period before `now`, but for those that were
 * sampled and whose last change nobody has looked at. */
void ap_process_table_expire(struct ap_process_table *t, uint64_t now);

struct ap_process_counts {
	uint32_t processes, files; /* now */
	uint64_t sampled;	   /* distinct processes that were sampled */
	uint64_t evicted;	   /* forgotten alive, for the limit */
	uint64_t events_lost;	   /* side-band events that the kernel dropped */
};
void ap_process_table_counts(const struct ap_process_table *t, struct ap_process_counts *ret);

#endif
