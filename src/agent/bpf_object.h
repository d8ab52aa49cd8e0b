/* SPDX-License-Identifier: Apache-2.0 */
/* The BPF object of src/bpf/cpu.bpf.c, loaded in the best variant that the running kernel accepts. */
#ifndef AP_AGENT_BPF_OBJECT_H
#define AP_AGENT_BPF_OBJECT_H

#include "agent/profiler.h"

struct ap_cpu_bpf; /* the skeleton: bpf/cpu.skel.h */

struct ap_bpf_object {
	struct ap_cpu_bpf *bpf;
	int prog_fd;	     /* of the sampling program, borrowed */
	const char *variant; /* "arena, iterator", … */
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

#endif
