/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The user stack walker, compiled for BPF and for the host, where tests replay memory images
 * through the very same code.
 *
 * A walk is a state {pc, sp, fp} that each step moves one frame outwards. A step may be taken by any
 * method that gives the caller's three registers; here it is the checked frame pointer: the frame
 * record {caller's fp, return address} must be aligned, lie at or above the stack pointer, below
 * the end of the stack and within AP_FRAME_BYTES_MAX, so that every step moves strictly upwards
 * and no loop is possible.
 *
 * A chain ends well when a saved frame pointer or return address is 0, as the ABI has it for the
 * outermost frame (a 0 in the leaf's own register says nothing: it may hold data), or when no more than AP_START_BYTES of the main thread's stack are left: the C
 * library calls main() from code that uses the frame pointer's register for other things, and
 * what is left then holds nothing but its and _start's frames (256 to 464 bytes with glibc).
 *
 * The stack is read in windows of AP_WINDOW_WORDS: one read serves several frames.
 *
 * Before including it, define
 *	int ap_read_user(void *dst, uint32_t bytes, uint64_t address)	0, or negative: fault
 */
#ifndef AP_BPF_UNWIND_BPF_H
#define AP_BPF_UNWIND_BPF_H

#include <stdbool.h>

#include "abi/record.h"

#if defined(__TARGET_ARCH_arm64) || (!defined(__bpf__) && defined(__aarch64__))
#include "bpf/arch_arm64.h"
#else
#include "bpf/arch_x86.h"
#endif

#define AP_INLINE static inline __attribute__((always_inline))
#ifdef __bpf__
#define AP_WALK_FUNCTION __attribute__((noinline))
#else
#define AP_WALK_FUNCTION static inline
#endif

#define AP_FRAME_BYTES_MAX (8ull << 20)
#define AP_START_BYTES	   512
#define AP_WINDOW_WORDS	   32 /* a power of two */

struct ap_walk {
	uint64_t pc, sp, fp;
	uint64_t end; /* the main thread's stack begins (growing down) here; 0 = unknown */
	uint32_t depth, reason; /* the result */
	uint64_t window_at;	/* address of window[0]; 0 = empty */
	uint64_t window[AP_WINDOW_WORDS];
};

/* A step's result: a reason to end with, or go on. */
#define AP_STEP_ON (-1)

AP_INLINE uint32_t ap_walk_failed(const struct ap_walk *w, uint32_t reason)
{
	if (w->end && w->sp <= w->end && w->end - w->sp <= AP_START_BYTES)
		return AP_REASON_OK;
	return reason;
}

/* Reads the two words at `address`, which is 8-byte aligned. */
AP_INLINE int ap_walk_read_pair(struct ap_walk *w, uint64_t address, uint64_t *first,
				uint64_t *second)
{
	uint64_t i = (address - w->window_at) / 8, pair[2];

	if (w->window_at && address >= w->window_at && i < AP_WINDOW_WORDS - 1) {
		*first = w->window[i & (AP_WINDOW_WORDS - 1)];
		*second = w->window[(i + 1) & (AP_WINDOW_WORDS - 1)];
		return 0;
	}
	if (ap_read_user(w->window, sizeof(w->window), address) == 0) {
		w->window_at = address;
		*first = w->window[0];
		*second = w->window[1];
		return 0;
	}
	/* The window may reach past the stack's last page where the pair does not. */
	w->window_at = 0;
	if (ap_read_user(pair, sizeof(pair), address) != 0)
		return -1;
	*first = pair[0];
	*second = pair[1];
	return 0;
}

AP_INLINE int ap_walk_step_frame_pointer(struct ap_walk *w)
{
	uint64_t fp = w->fp, caller_fp, ra;

	if (fp == 0)
		return AP_REASON_OK;
	if (fp & 7)
		return ap_walk_failed(w, AP_REASON_NO_FRAME_POINTER);
	if (fp < w->sp)
		return ap_walk_failed(w, w->sp - fp < AP_FRAME_BYTES_MAX
						 ? AP_REASON_BAD_CFA
						 : AP_REASON_NO_FRAME_POINTER);
	if (fp - w->sp > AP_FRAME_BYTES_MAX || fp > AP_USER_ADDRESS_MAX ||
	    (w->end && w->sp <= w->end && fp >= w->end))
		return ap_walk_failed(w, AP_REASON_NO_FRAME_POINTER);
	if (ap_walk_read_pair(w, fp, &caller_fp, &ra) < 0)
		return ap_walk_failed(w, AP_REASON_READ_FAULT);
	if (ra == 0)
		return AP_REASON_OK;
	if (ra < 4096 || ra > AP_USER_ADDRESS_MAX)
		return ap_walk_failed(w, AP_REASON_NO_FRAME_POINTER);
	w->sp = fp + AP_FRAME_RECORD_BYTES;
	w->fp = caller_fp;
	w->pc = ra;
	return AP_STEP_ON;
}

/* The first step, where the code at the program counter may not have built its frame yet. */
AP_INLINE int ap_walk_step_leaf(struct ap_walk *w)
{
	uint64_t code, ra;
	int distance;

	if (w->fp == 0)
		return ap_walk_failed(w, AP_REASON_NO_FRAME_POINTER);
	if (ap_read_user(&code, sizeof(code), w->pc) != 0)
		return ap_walk_step_frame_pointer(w);
	distance = ap_arch_leaf_return(code);
	if (distance < 0 || ap_read_user(&ra, sizeof(ra), w->sp + (uint64_t)distance) != 0 ||
	    ra < 4096 || ra > AP_USER_ADDRESS_MAX)
		return ap_walk_step_frame_pointer(w);
	w->sp += (uint64_t)distance + 8;
	w->pc = ra;
	return AP_STEP_ON;
}

/* Takes one step outwards, from the leaf or from any other frame: AP_STEP_ON, or the reason to end
 * with. For BPF it is a global function, which the verifier checks once and not once per turn of
 * the loop that calls it. */
AP_WALK_FUNCTION int ap_walk_step(struct ap_walk *w, uint32_t is_leaf)
{
	if (!w)
		return AP_REASON_NO_REGISTERS;
	return is_leaf ? ap_walk_step_leaf(w) : ap_walk_step_frame_pointer(w);
}

/* Takes step number `n`, from 1, and stores the caller at frames[n]. False: the walk is over, and
 * w->depth and w->reason tell how. */
AP_INLINE bool ap_walk_advance(struct ap_walk *w, uint64_t *frames, uint32_t n, uint32_t max)
{
	int r = ap_walk_step(w, n == 1);

	w->depth = n;
	if (r != AP_STEP_ON || n >= max || n >= AP_USER_FRAMES_MAX) {
		w->reason = r == AP_STEP_ON ? AP_REASON_TRUNCATED : (uint32_t)r;
		return false;
	}
	frames[n] = w->pc;
	return true;
}

/* Stores the stack of `w`, leaf first, in frames[max], 1 ≤ max ≤ AP_USER_FRAMES_MAX; w->depth and
 * w->reason are the number of frames, at least 1, and why the stack ends there. */
AP_INLINE void ap_walk_user(struct ap_walk *w, uint64_t *frames, uint32_t max)
{
	frames[0] = w->pc;
	for (uint32_t n = 1; n <= AP_USER_FRAMES_MAX; n++)
		if (!ap_walk_advance(w, frames, n, max))
			break;
}

#ifdef __bpf__
/* The same with the open-coded iterator of Linux 6.4, with which the verifier looks at one turn
 * and not at all 1,024: a twentieth of the work at load. */
struct ap_iter_num {
	uint64_t opaque;
} __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct ap_iter_num *it, int start, int end) __weak __ksym;
extern int *bpf_iter_num_next(struct ap_iter_num *it) __weak __ksym;
extern void bpf_iter_num_destroy(struct ap_iter_num *it) __weak __ksym;

AP_INLINE void ap_walk_user_iter(struct ap_walk *w, uint64_t *frames, uint32_t max)
{
	struct ap_iter_num it;
	int *n;

	frames[0] = w->pc;
	bpf_iter_num_new(&it, 1, AP_USER_FRAMES_MAX + 1);
	while ((n = bpf_iter_num_next(&it)))
		if (!ap_walk_advance(w, frames, *n, max))
			break;
	bpf_iter_num_destroy(&it);
}
#endif

#endif
