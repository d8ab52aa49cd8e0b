/* SPDX-License-Identifier: Apache-2.0 */
/* The BPF object of src/bpf/cpu.bpf.c, loaded in the best variant that the running kernel accepts. */
#ifndef AP_AGENT_BPF_OBJECT_H
#define AP_AGENT_BPF_OBJECT_H

#include <bpf/libbpf.h>

#include "agent/profiler.h"

struct ap_cpu_bpf; /* the skeleton: bpf/cpu.skel.h */

struct ap_bpf_object {
	struct ap_cpu_bpf *bpf;
	int prog_fd;	     /* of the sampling program, borrowed */
	const char *variant; /* "arena, iterator", … */
	bool kfuncs;	     /* open-coded iterators and the like */
	size_t ringbuf_bytes;
	/* The store of unwind tables, zeroed, shared with the walker (abi/unwind.h). */
	uint32_t *words;
	uint32_t n_words;
	bool arena;    /* memory of the store comes as it is used; else it is all there */
	size_t mapped; /* internal */
};

/* Loads it for `n_cpus` possible CPUs: 0, or the kernel's error with what to do about it. */
int ap_bpf_object_load(const struct ap_profiler_options *opts, uint32_t n_cpus,
		       struct ap_error *err, struct ap_bpf_object *ret);
void ap_bpf_object_close(struct ap_bpf_object *o);

/* Makes another object that is open and not yet loaded use the maps of that one which it has too, by their
 * names: 0 or the kernel's error. */
int ap_bpf_object_share(const struct ap_bpf_object *o, struct bpf_object *with);
/* Gives the skeleton of such an object the constants that both have (bpf/record.bpf.h). */
#define AP_BPF_OBJECT_CONSTANTS(o, to)                                             \
	do {                                                                       \
		(to)->rodata->target = (o)->bpf->rodata->target;                   \
		(to)->rodata->max_user_frames = (o)->bpf->rodata->max_user_frames; \
		(to)->rodata->pid_level = (o)->bpf->rodata->pid_level;             \
		(to)->rodata->pid_ns = (o)->bpf->rodata->pid_ns;                   \
		(to)->rodata->wakeup_bytes = (o)->bpf->rodata->wakeup_bytes;       \
		(to)->rodata->use_arena = (o)->bpf->rodata->use_arena;             \
		(to)->rodata->store_words = (o)->bpf->rodata->store_words;         \
	} while (0)
/* An array map as memory that is shared with the programs. */
struct ap_shared_array {
	void *p;
	uint32_t n; /* entries */
	size_t bytes;
};

/* 0 or the kernel's error. */
int ap_shared_array_map(const struct bpf_map *map, struct ap_shared_array *ret);
void ap_shared_array_unmap(struct ap_shared_array *a); /* leaves an empty one */
/* Keeps libbpf's warnings for the next function, while it is libbpf_set_print()'s. */
int ap_bpf_keep_warning(enum libbpf_print_level level, const char *fmt, va_list args)
	AP_PRINTF(2, 0);
/* In the words of errno and of what libbpf said last, what to do about programs that were not loaded. */
int ap_bpf_load_error(struct ap_error *err, int r);

#endif
