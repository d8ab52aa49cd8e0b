/* SPDX-License-Identifier: Apache-2.0 */
/* The profile model: the one in-memory form that every part speaks. The agent's batches, what the
 * aggregator decodes from the wire, what `aperture record` writes and what importers read are all
 * a struct ap_profile: dictionaries (each entry interned, so equal content has one id) and rows of
 * samples that refer to them.
 *
 * Ids are dense indices into one profile's own dictionaries and mean nothing outside it. Id 0 of
 * strings is "", of mappings "no mapping", of functions "no function", of frames "no frame" (those
 * three are all zeros), of label sets "no labels", and of stacks the empty stack. Not thread-safe: one owner at a time.
 */
#ifndef AP_PROFILE_PROFILE_H
#define AP_PROFILE_PROFILE_H

#include "abi/record.h"
#include "base/buf.h"
#include "base/intern.h"
#include "base/vec.h"
#include "profile/syscall.h"

/* Profile types. Counts and nanoseconds of one event travel in one row (count and value); the
 * queryable types are named "cpu:samples", "cpu:nanoseconds", … Numbers are on the wire. */
enum ap_event {
	AP_EVENT_NONE = 0,
	AP_EVENT_CPU = 1,     /* cpu:samples,   cpu:nanoseconds */
	AP_EVENT_OFFCPU = 2,  /* offcpu:count,  offcpu:nanoseconds */
	AP_EVENT_LOCK = 3,    /* lock:count,    lock:nanoseconds */
	AP_EVENT_GPU = 4,     /* gpu:count,     gpu:nanoseconds */
	AP_EVENT_WAKER = 5,   /* waker:count,   waker:nanoseconds */
	AP_EVENT_SYSCALL = 6, /* syscall:count, syscall:nanoseconds: slow and failing ones */
	AP_EVENT_MAX,
};

/* A queryable type: one or more events and which of their two numbers. */
struct ap_profile_type {
	const char *name; /* "cpu:nanoseconds" */
	const char *unit; /* "samples", "count" or "nanoseconds" */
	const char *text; /* a person's words: "CPU time" */
	uint32_t events;  /* those whose rows it adds up: AP_EVENT_BIT() */
	bool is_value;	  /* the row's value, else its count */
};
#define AP_EVENT_BIT(event) (1u << ((event) & 31))

static inline bool ap_profile_type_has(const struct ap_profile_type *t, uint32_t event)
{
	return (t->events & AP_EVENT_BIT(event)) != 0;
}

extern const struct ap_profile_type ap_profile_types[];
extern const size_t ap_profile_type_count;
const struct ap_profile_type *ap_profile_type_find(struct ap_str name); /* NULL: no such type */

enum ap_frame_kind {
	AP_FRAME_NATIVE = 0,
	AP_FRAME_KERNEL = 1,
	AP_FRAME_JIT = 2,
	AP_FRAME_INLINED = 3, /* native, inlined into the next outer frame of the same address */
	AP_FRAME_GPU = 4,
	AP_FRAME_KIND_MAX,
};

/* An ELF file (or the kernel, or a pseudo file such as [vdso]) that code came from. */
struct ap_mapping {
	uint32_t path;	   /* string: file name as the process sees it, "[kernel]", "[vdso]" */
	uint32_t build_id; /* string: lower-case hex, "" where there is none */
};

struct ap_function {
	uint32_t name;	      /* string: demangled; never "" for a real function */
	uint32_t system_name; /* string: as in the symbol table; "" = same as name */
	uint32_t file;	      /* string: source file, "" = unknown */
	uint32_t start_line;  /* 0 = unknown */
};

/* A place in code. Two frames are the same if all fields are. */
struct ap_frame {
	uint64_t offset; /* in the file (ELF virtual address for native code), or the address */
	uint32_t mapping;
	uint32_t function;     /* 0: no symbol; shown as module+0xoffset */
	uint32_t line;	       /* source line of this place, 0 = unknown */
	uint16_t inline_index; /* 0: the function that holds the code; counts up inwards */
	uint8_t kind;	       /* enum ap_frame_kind */
	uint8_t pad;	       /* 0 */
};

/* A stack: frame ids outermost first. */
struct ap_stack {
	const uint32_t *frames;
	uint32_t n;
	uint16_t reason; /* enum ap_reason */
};

struct ap_label {
	uint32_t key, value; /* strings */
};

enum { AP_LABELS_MAX = 128 };

/* Labels sorted by key text, one per key, at most AP_LABELS_MAX. */
struct ap_label_set {
	const struct ap_label *labels;
	uint32_t n;
};

struct ap_sample {
	int64_t time_ns; /* Unix; whole seconds where the agent aggregated */
	uint64_t count;	 /* sampling periods (CPU) or events */
	uint64_t value;	 /* nanoseconds */
	uint32_t labels; /* label set */
	uint32_t stack;
	uint32_t event; /* enum ap_event */
	uint32_t pad;	/* 0 */
};

/* What the processes of one label set did of one system call until `time_ns`. */
struct ap_syscall {
	int64_t time_ns; /* Unix */
	uint64_t count;	 /* as struct ap_syscall_stat has it, and the next two */
	uint64_t sum_ns, max_ns;
	uint64_t oldest_ns; /* for how long the first of those in flight has been in the call */
	uint32_t labels;    /* label set */
	uint32_t name;	    /* string: "read" */
	uint32_t abi;	    /* string: "x86-64" */
	uint32_t in_flight; /* threads in the call at that time */
	uint32_t first;	    /* in syscall_counts: buckets, then errors */
	uint32_t n_buckets, n_errors;
	uint32_t pad; /* 0 */
};

struct ap_profile {
	struct ap_intern *strings;
	struct ap_intern *mappings, *functions, *frames, *stacks,
		*label_sets; /* see ap_profile_*() */
	AP_VEC(struct ap_sample) samples;
	AP_VEC(struct ap_syscall) syscalls;
	AP_VEC(struct ap_syscall_count) syscall_counts;
	int64_t start_ns, end_ns; /* Unix; half-open; what the profile covers */
	uint64_t period_ns;	  /* nanoseconds a CPU sample stands for, 0 = varies or unknown */
};

struct ap_profile *ap_profile_new(void); /* NULL = out of memory */
void ap_profile_free(struct ap_profile *p);
AP_DEFINE_CLEANUP(profile, struct ap_profile, ap_profile_free)
size_t ap_profile_bytes(const struct ap_profile *p); /* memory held */

/* Interning: each gives the id of equal content, adding it where it is new; 0, -ENOMEM, or -EINVAL
 * where an id it refers to does not exist. */
int ap_profile_string(struct ap_profile *p, struct ap_str s, uint32_t *ret_id);
int ap_profile_mapping(struct ap_profile *p, const struct ap_mapping *m, uint32_t *ret_id);
int ap_profile_function(struct ap_profile *p, const struct ap_function *f, uint32_t *ret_id);
int ap_profile_frame(struct ap_profile *p, const struct ap_frame *f, uint32_t *ret_id);
int ap_profile_stack(struct ap_profile *p, const uint32_t *frames, uint32_t n, uint16_t reason,
		     uint32_t *ret_id);
/* Sorts `labels` in place; -EEXIST for a key given twice, -E2BIG for more than AP_LABELS_MAX. */
int ap_profile_labels(struct ap_profile *p, struct ap_label *labels, uint32_t n, uint32_t *ret_id);
/* Appends a row (rows are not merged: the agent's table does that). */
int ap_profile_add(struct ap_profile *p, const struct ap_sample *s);
/* The same for system calls; the fields that `stat` has are taken from there. -EOVERFLOW past 2^32 - 1
 * counts. */
int ap_profile_add_syscall(struct ap_profile *p, const struct ap_syscall *s,
			   const struct ap_syscall_stat *stat);
/* Adds a row's figures to `into`: 0 or -ENOMEM. */
int ap_profile_syscall_stat(const struct ap_profile *p, const struct ap_syscall *s,
			    struct ap_syscall_stat *into);

/* Look-ups. An id out of range gives the entry of id 0. */
struct ap_str ap_profile_str(const struct ap_profile *p, uint32_t id);
const struct ap_mapping *ap_profile_get_mapping(const struct ap_profile *p, uint32_t id);
const struct ap_function *ap_profile_get_function(const struct ap_profile *p, uint32_t id);
const struct ap_frame *ap_profile_get_frame(const struct ap_profile *p, uint32_t id);
struct ap_stack ap_profile_get_stack(const struct ap_profile *p, uint32_t id);
struct ap_label_set ap_profile_get_labels(const struct ap_profile *p, uint32_t id);
/* The value of a label in a set; "" where it has none. */
struct ap_str ap_profile_label_value(const struct ap_profile *p, uint32_t set, struct ap_str key);

/* How a mapping is shown: its path's last part; "" where it has none. */
struct ap_str ap_profile_module(const struct ap_profile *p, uint32_t mapping);
/* How a frame is shown: the function's name, else "module+0xoffset" with the file's base name.
 * Written to `out` (not NUL-terminated), appended. */
void ap_profile_frame_name(const struct ap_profile *p, uint32_t frame, struct ap_buf *out);

/* Content ids: 64-bit xxHash, the same on every host, computed by the aggregator and never taken
 * from the wire. A frame is (build-id, offset, inline index), without build-id (module, offset or
 * function name, inline index). A stack is its frames' ids, outermost first, and its reason. */
uint64_t ap_profile_frame_hash(const struct ap_profile *p, uint32_t frame);
uint64_t ap_profile_stack_hash(const struct ap_profile *p, uint32_t stack);
/* The id of the frame of the function that holds the code at `offset` (inline index 0) in a file
 * with that build id. */
uint64_t ap_address_hash(struct ap_str build_id, uint64_t offset);
/* The same from frame hashes that the caller has already. */
uint64_t ap_stack_hash(uint16_t reason, const uint64_t *frame_hashes, uint32_t n);

#endif
