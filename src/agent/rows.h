/* SPDX-License-Identifier: Apache-2.0 */
/* What the profiler hands over at each collection: aggregated rows of samples with the stacks,
 * files and processes that they refer to. Self-contained: nothing in it changes or is read from
 * /proc afterwards, so a process that is gone is as complete as one that lives. The batcher turns
 * it into a struct ap_profile by symbolising the stacks and naming the processes' services.
 *
 * All ids are dense indices into one struct ap_rows and mean nothing outside it, except
 * ap_rows_file.serial and ap_rows_process.serial, which caches may keep.
 */
#ifndef AP_AGENT_ROWS_H
#define AP_AGENT_ROWS_H

#include "abi/record.h"
#include "base/intern.h"
#include "base/vec.h"
#include "profile/syscall.h"
#include "symbol/runtime.h"

struct ap_file;

#define AP_ROWS_NONE UINT32_MAX /* "no process" in ap_raw_stack.process */
#define AP_ROWS_JIT  UINT32_MAX /* "anonymous executable memory" in ap_raw_frame.file */

/* A file that user frames lie in. File 0 is "no file": nothing is known of the address. */
struct ap_rows_file {
	uint32_t path;	   /* string: as its process names it; "[vdso]" for the vDSO */
	uint32_t build_id; /* string: lower-case hex, "" where there is none */
	int fd;		   /* open for reading, closed by ap_rows_free(); -1: could not be opened */
	uint32_t pid;	   /* a process that maps it; may have ended since */
	uint64_t serial;   /* the same file has the same serial in every collection */
};

/* A process, as far as it was seen. */
struct ap_rows_process {
	uint64_t serial;     /* the same process has the same serial in every collection; an exec()
				keeps it, a reused pid does not */
	uint64_t start_time; /* ns since boot, 0 = unknown */
	int32_t pid;	     /* in the agent's pid namespace */
	uint32_t comm;	     /* string: the leader's thread name */
	uint32_t exe;	     /* string: path of its executable, "" = unknown or a kernel thread */
	uint32_t exe_file;   /* file of the executable, 0 = unknown */
	uint32_t cgroup;    /* string: the text of /proc/PID/cgroup, "" = unknown. Of a process that
				was gone before it could be read: its parent's */
	uint32_t group_exe; /* string: executable of its process group's leader, "" = unknown */
	enum ap_runtime runtime; /* what compiled its code that has no file */
	bool kernel;		 /* a kernel thread */
	bool alive;		 /* at the time of the collection */
};

/* A place in user code. */
struct ap_raw_frame {
	uint64_t address; /* file: ELF virtual address in it; without: address in the process. The
			     leaf's is the instruction itself, the others' are the return address
			     minus 1, which lies within the calling instruction */
	uint32_t file;	  /* file, AP_ROWS_JIT, or 0 = unknown */
	uint32_t pad;	  /* 0 */
};

/* A stack without symbols; all arrays leaf first. Stored in ap_rows.stacks as this header, then
 * u64 kernel[n_kernel], then struct ap_raw_frame user[n_user]. Kernel addresses follow the same
 * rule as user frames: the sampled instruction, then return addresses minus 1. */
struct ap_raw_stack {
	uint16_t reason; /* enum ap_reason */
	uint16_t flags;	 /* AP_RECORD_F_KSTACK_CUT, AP_RECORD_F_TRACED */
	uint32_t n_kernel, n_user;
	uint32_t process; /* process that frames without a file belong to, AP_ROWS_NONE where every
			     frame has a file: such a stack is the same in all processes */
};

/* Samples of one event, process, thread name and stack. */
struct ap_row {
	int64_t time_ns; /* Unix; floored to the second unless exact times were asked for */
	uint64_t count;	 /* sampling periods, waits that ended, or system calls */
	uint64_t value;	 /* nanoseconds */
	uint32_t process;
	uint32_t comm;	/* string: the thread's name */
	uint32_t tid;	/* 0 unless exact times were asked for */
	uint32_t stack; /* in ap_rows.stacks; 0 = the empty stack */
	uint32_t event; /* enum ap_event */
	uint32_t state; /* AP_EVENT_OFFCPU, _WAKER: enum ap_wait_state; _LOCK: enum ap_wait_end;
			   _SYSCALL: errno; else 0 */
	uint64_t lock;	/* AP_EVENT_LOCK, _WAKER: its address in the process; 0 = not known */
	uint32_t
		other; /* string: the thread that ended the wait, of AP_EVENT_WAKER: that waited; of
			   AP_EVENT_SYSCALL: the call's name */
	uint32_t kernel_lock; /* AP_EVENT_LOCK: of a lock of the kernel AP_ROWS_KERNEL_LOCK(), and
				 `lock` is its address there, or 0; else 0 */
	uint32_t place;	      /* place of `lock`, 0 = not known */
};

/* Where a lock lies. Place 0 is none. */
struct ap_rows_place {
	uint64_t offset; /* in the file: ELF virtual address; without: from the name's beginning */
	uint32_t file;	 /* the program or library, 0 = it lies elsewhere: */
	uint32_t name;	 /* string: a file's path, "[heap]", "[stack]", "[anon]" */
	bool whole;	 /* the name alone says it: `offset` means nothing */
};
#define AP_ROWS_KERNEL_LOCK(kind, object) (1u << 16 | (uint32_t)(object) << 8 | (uint32_t)(kind))
#define AP_ROWS_KERNEL_LOCK_KIND(k)	  ((k) & 0xff)
#define AP_ROWS_KERNEL_LOCK_OBJECT(k)	  ((k) >> 8 & 0xff)

/* What a process did of one system call in the time that the collection covers. */
struct ap_rows_syscall {
	struct ap_syscall_stat stat; /* owned */
	uint64_t oldest_ns;	     /* for how long the first thread in flight has been in it */
	uint32_t process;
	uint32_t in_flight; /* threads in the call at the end */
	uint16_t number;
	uint16_t abi; /* enum ap_syscall_abi */
	uint32_t pad; /* 0 */
};

struct ap_rows {
	struct ap_intern *strings; /* id 0 is "" */
	struct ap_intern *stacks;  /* struct ap_raw_stack …; read with ap_rows_stack() */
	AP_VEC(struct ap_rows_file) files;
	AP_VEC(struct ap_rows_process) processes;
	AP_VEC(struct ap_row) rows;
	AP_VEC(struct ap_rows_place) places;
	AP_VEC(struct ap_rows_syscall) syscalls;
	int64_t start_ns, end_ns;      /* Unix; half-open; what it covers */
	uint64_t period_ns;	       /* nanoseconds one sample stands for; 0 = that changed */
	AP_VEC(struct ap_file *) held; /* internal: keeps the files' descriptors open */
};

/* A stack taken apart; the arrays are borrowed from the ap_rows. */
struct ap_stack_view {
	const uint64_t *kernel;
	const struct ap_raw_frame *user;
	uint32_t n_kernel, n_user;
	uint32_t process;
	uint16_t reason;
	uint16_t flags;
};

struct ap_rows *ap_rows_new(void); /* NULL = out of memory */
void ap_rows_free(struct ap_rows *r);
AP_DEFINE_CLEANUP(rows, struct ap_rows, ap_rows_free)
size_t ap_rows_bytes(const struct ap_rows *r); /* memory held */

/* An id out of range gives the empty stack with reason OK. */
struct ap_stack_view ap_rows_stack(const struct ap_rows *r, uint32_t id);

static inline struct ap_str ap_rows_str(const struct ap_rows *r, uint32_t id)
{
	return ap_intern_get(r->strings, id);
}

#endif
