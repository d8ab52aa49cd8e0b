/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The user stack walker, compiled for BPF and for the host, where tests replay memory images
 * through the very same code.
 *
 * A walk is a state {pc, registers} that each step moves one frame outwards. Of the registers only
 * the stack pointer, the frame pointer and AP_REG_TRACKED are followed from frame to frame; the
 * others are known in the leaf and in a frame that a signal interrupted, where code that was written
 * by hand may have its CFA in any of them.
 *
 * A step finds the mapping of the pc, its file's unwind table (abi/unwind.h) and there the rule for
 * the pc: of a return address for the byte before it, which lies in the call. Where there is no rule
 * (generated code, code without unwind information, a table that is not ready) the step is that of
 * the checked frame pointer: the frame record {caller's fp, return address} must be aligned, lie at
 * or above the stack pointer, below the end of the stack and within AP_FRAME_BYTES_MAX. Every step
 * but that over a signal frame, which may leave an alternate stack, moves the stack pointer up.
 *
 * A stack ends well at a rule that says so (_start, thread starts), where a return address is 0, and,
 * by frame pointers, where a saved one is 0, as the ABI has it for the outermost frame (a 0 in the
 * leaf's own register says nothing: it may hold data), or when no more than AP_START_BYTES of the
 * main thread's stack are left: the C library calls main() from code that uses the frame pointer's
 * register for other things, and what is left then holds nothing but its and _start's frames (256
 * to 464 bytes with glibc). The reason of one that does not end well is the first thing that made
 * a step other than by a rule, else what the last step ran into.
 *
 * The stack is read in windows of AP_WINDOW_WORDS: one read serves several frames.
 *
 * Before including it, define
 *	int ap_read_user(struct ap_walk *w, void *dst, uint32_t bytes, uint64_t address)
 *		Reads the memory of the process that is walked: 0, or negative: fault.
 *	ap_table_word(), ap_rule_memo()		see bpf/table.bpf.h
 *	int ap_map_find(struct ap_walk *w, uint64_t address, uint32_t slot)
 *		Fills w->maps[slot & (AP_WALK_MAPS - 1)] with what holds `address`: 0; negative: no
 *		executable mapping does. Declared here, since it takes struct ap_walk.
 */
#ifndef AP_BPF_UNWIND_BPF_H
#define AP_BPF_UNWIND_BPF_H

#include <stdbool.h>

#if defined(__TARGET_ARCH_arm64) || (!defined(__bpf__) && defined(__aarch64__))
#include "bpf/arch_arm64.h"
#else
#include "bpf/arch_x86.h"
#endif
#include "bpf/table.bpf.h"

#define AP_FRAME_BYTES_MAX (64ull << 20)
#define AP_START_BYTES	   512
#define AP_WINDOW_WORDS	   64 /* a power of two */
#define AP_WINDOW_BEFORE   64 /* bytes that a window begins before what was asked for */
#define AP_WALK_MAPS	   4  /* a power of two */
#define AP_WALK_NOTICES	   4  /* a power of two */

#define AP_REG_BIT(n) (1u << ((n) & 31))
#define AP_KNOWN_ALL  0xffffffffu
#define AP_KNOWN_FOLLOWED \
	(AP_REG_BIT(AP_REG_SP) | AP_REG_BIT(AP_REG_FP) | AP_REG_BIT(AP_REG_TRACKED))

enum ap_mapped_kind {
	AP_MAPPED_NOTHING = 0,
	AP_MAPPED_FILE,		/* `file` is filled */
	AP_MAPPED_UNKNOWN_FILE, /* a file that nobody has told of yet */
	AP_MAPPED_MEMORY,	/* executable memory without a file: generated code */
};

struct ap_mapped {
	uint64_t start, end; /* half-open */
	uint64_t delta;	     /* address + delta = offset in the file */
	struct ap_file_ref file;
	uint32_t kind;
	uint32_t pad;
};

struct ap_walk {
	uint64_t pc;
	uint64_t regs[AP_REGISTERS];
	uint64_t end;	  /* the main thread's stack begins (growing down) here; 0 = unknown */
	uint64_t tls;	  /* the thread pointer */
	uint64_t mm;	  /* BPF: the kernel's address of the process's address space */
	uint64_t space;	  /* what ap_map_find() knows the state of the mappings by; 0 = nothing */
	uint32_t group;	  /* of memos of rules: the process's */
	uint32_t known;	  /* of which registers the value is known: bits */
	uint32_t exact;	  /* the pc is that of the next instruction, and no return address */
	uint32_t trouble; /* the first reason for a step without a rule; 0 = none */
	uint32_t depth, reason; /* the result */
	uint32_t noticed;	/* of `notices` */
	uint32_t next_map;
	uint32_t window_words; /* valid ones; 0 = empty */
	uint64_t window_at;    /* address of window[0] */
	uint64_t frame;	       /* of the last step, 0 = it had none */
	struct ap_rule rule;   /* of the last step */
	struct ap_file_notice notices[AP_WALK_NOTICES];
	struct ap_mapped maps[AP_WALK_MAPS];
	uint64_t window[AP_WINDOW_WORDS];
};

/* A step's result: a reason to end with, or to go on. */
#define AP_STEP_ON (-1)

AP_WALK_FUNCTION int ap_map_find(struct ap_walk *w, uint64_t address, uint32_t slot);

/* Makes the window hold the word at `address`: 0, or negative: fault. */
AP_WALK_FUNCTION int ap_walk_fill(struct ap_walk *w, uint64_t address)
{
	uint64_t at = address - AP_WINDOW_BEFORE;

	if (!w)
		return -1;
	if (!(address & 7) && address > AP_WINDOW_BEFORE) {
		/* Below the stack pointer the page may be missing. */
		uint64_t sp = w->regs[AP_REG_SP] & ~7ull;

		if (at < sp && sp <= address)
			at = sp;
		if (ap_read_user(w, w->window, sizeof(w->window), at) == 0) {
			w->window_at = at;
			w->window_words = AP_WINDOW_WORDS;
			return 0;
		}
	}
	/* The window may reach past the stack's last page where the word does not. */
	w->window_at = address;
	w->window_words = 1;
	if (ap_read_user(w, w->window, sizeof(w->window[0]), address) == 0)
		return 0;
	w->window_words = 0;
	return -1;
}

AP_INLINE int ap_walk_load(struct ap_walk *w, uint64_t address, uint64_t *ret)
{
	uint64_t distance = address - w->window_at;

	if ((distance & 7) || distance / 8 >= w->window_words) {
		if (ap_walk_fill(w, address) < 0)
			return -1;
		distance = address - w->window_at;
	}
	*ret = w->window[distance / 8 & (AP_WINDOW_WORDS - 1)];
	return 0;
}

AP_INLINE bool ap_walk_is_code(uint64_t pc)
{
	return pc >= 4096 && pc <= AP_USER_ADDRESS_MAX;
}

/* Whether the walk met code that no table will ever cover: then, and not where one is merely missing, the
 * signs of a stack's end that frame pointers give are believed. */
AP_INLINE bool ap_walk_may_lack_rules(const struct ap_walk *w)
{
	return w->trouble == AP_REASON_JIT || w->trouble == AP_REASON_NO_RULE;
}

AP_INLINE int ap_walk_failed(const struct ap_walk *w, uint32_t reason)
{
	uint64_t sp = w->regs[AP_REG_SP];

	if (ap_walk_may_lack_rules(w) && w->end && sp <= w->end && w->end - sp <= AP_START_BYTES)
		return AP_REASON_OK;
	return (int)(w->trouble ? w->trouble : reason);
}

/* The caller's frame, known by its frame pointer. */
AP_INLINE int ap_walk_step_frame_pointer(struct ap_walk *w)
{
	uint64_t fp = w->regs[AP_REG_FP], sp = w->regs[AP_REG_SP], caller_fp, ra;

	if (!(w->known & AP_REG_BIT(AP_REG_FP)))
		return ap_walk_failed(w, AP_REASON_NO_FRAME_POINTER);
	if (fp == 0 && !w->exact && ap_walk_may_lack_rules(w))
		return AP_REASON_OK;
	if (fp == 0 || (fp & 7))
		return ap_walk_failed(w, AP_REASON_NO_FRAME_POINTER);
	if (fp < sp)
		return ap_walk_failed(w, sp - fp < AP_FRAME_BYTES_MAX ? AP_REASON_BAD_CFA
								      : AP_REASON_NO_FRAME_POINTER);
	if (fp - sp > AP_FRAME_BYTES_MAX || fp > AP_USER_ADDRESS_MAX ||
	    (w->end && sp <= w->end && fp >= w->end))
		return ap_walk_failed(w, AP_REASON_NO_FRAME_POINTER);
	if (ap_walk_load(w, fp, &caller_fp) < 0 || ap_walk_load(w, fp + 8, &ra) < 0)
		return ap_walk_failed(w, AP_REASON_READ_FAULT);
	if (ra == 0)
		return AP_REASON_OK;
	if (!ap_walk_is_code(ra))
		return ap_walk_failed(w, AP_REASON_NO_FRAME_POINTER);
	w->regs[AP_REG_SP] = fp + AP_FRAME_RECORD_BYTES;
	w->regs[AP_REG_FP] = caller_fp;
	w->known = AP_REG_BIT(AP_REG_SP) | AP_REG_BIT(AP_REG_FP);
	w->exact = 0;
	w->pc = ra;
	return AP_STEP_ON;
}

/* The same where the code at the program counter may not have built its frame yet. */
AP_INLINE int ap_walk_step_leaf(struct ap_walk *w)
{
	uint64_t code, ra;
	int distance;

	if (ap_read_user(w, &code, sizeof(code), w->pc) != 0)
		return ap_walk_step_frame_pointer(w);
	distance = ap_arch_leaf_return(code);
	if (distance < 0 || ap_walk_load(w, w->regs[AP_REG_SP] + (uint64_t)distance, &ra) < 0 ||
	    !ap_walk_is_code(ra))
		return ap_walk_step_frame_pointer(w);
	w->regs[AP_REG_SP] += (uint64_t)distance + 8;
	w->known &= AP_KNOWN_FOLLOWED;
	w->exact = 0;
	w->pc = ra;
	return AP_STEP_ON;
}

/* The frame that a signal interrupted; its registers lie at `address`. */
AP_INLINE int ap_walk_step_signal(struct ap_walk *w, uint64_t address)
{
	w->window_words = 0;
	if (ap_read_user(w, w->window, AP_SIGCONTEXT_WORDS * 8, address) != 0)
		return ap_walk_failed(w, AP_REASON_READ_FAULT);
	ap_arch_sigcontext(w->window, w->regs, &w->pc);
	w->known = AP_KNOWN_ALL;
	w->exact = 1;
	return AP_STEP_ON;
}

/* A step without a rule, for the reason given. */
AP_WALK_FUNCTION int ap_walk_step_unruled(struct ap_walk *w, uint32_t reason)
{
	uint64_t code;

	if (!w)
		return AP_REASON_NO_REGISTERS;
	if (!w->exact && ap_read_user(w, &code, sizeof(code), w->pc + AP_SIGRETURN_CODE_AT) == 0 &&
	    code == AP_SIGRETURN_CODE) {
		w->frame++;
		return ap_walk_step_signal(w, w->regs[AP_REG_SP] + AP_SIGCONTEXT_AT);
	}
	if (!w->trouble)
		w->trouble = reason;
	return w->exact ? ap_walk_step_leaf(w) : ap_walk_step_frame_pointer(w);
}

/* Loads the caller's value of register `reg`: negative: fault. `*known` loses its bit where the value
 * is lost. */
AP_INLINE int ap_walk_saved(struct ap_walk *w, uint32_t saved, int16_t offset, uint64_t cfa,
			    uint32_t reg, uint32_t *known, uint64_t *ret)
{
	uint64_t at;

	*ret = w->regs[reg];
	if (saved == AP_SAVED_SAME)
		return 0;
	if (saved == AP_SAVED_CFA) {
		at = cfa;
	} else if (saved == AP_SAVED_FP) {
		at = w->regs[AP_REG_FP];
	} else if (saved == AP_SAVED_SP) {
		at = w->regs[AP_REG_SP];
	} else if (saved == AP_SAVED_REGISTER && (w->known & AP_REG_BIT(offset))) {
		*ret = w->regs[offset & (AP_REGISTERS - 1)];
		return 0;
	} else {
		*known &= ~AP_REG_BIT(reg);
		return 0;
	}
	return ap_walk_load(w, at + (uint64_t)(int64_t)offset, ret);
}

AP_INLINE bool ap_walk_cfa(struct ap_walk *w, const struct ap_rule *r, uint64_t *ret)
{
	uint64_t base = w->regs[r->cfa_register & (AP_REGISTERS - 1)];

	base += (uint64_t)(int64_t)r->cfa_offset;
	if (r->cfa == AP_CFA_PLT) {
		*ret = w->regs[AP_REG_SP] + ((int64_t)(w->pc & 15) >= r->cfa_offset ? 16 : 8);
		return true;
	}
	if (r->cfa == AP_CFA_DEREF) {
		if (ap_walk_load(w, base, &base) < 0)
			return false;
		base += (uint64_t)(int64_t)r->cfa_add;
	}
	*ret = base;
	return true;
}

/* The caller's frame by w->rule, which gives a CFA. */
AP_WALK_FUNCTION int ap_walk_step_cfa(struct ap_walk *w)
{
	uint32_t known, ra_known = AP_KNOWN_ALL;
	uint64_t cfa, ra, fp, tracked, sp;
	const struct ap_rule *r;

	if (!w)
		return AP_REASON_NO_REGISTERS;
	r = &w->rule;
	sp = w->regs[AP_REG_SP];
	known = w->known & AP_KNOWN_FOLLOWED;
	if (!ap_walk_cfa(w, r, &cfa))
		return ap_walk_failed(w, AP_REASON_READ_FAULT);
	if ((cfa & 7) || cfa < sp || cfa - sp > AP_FRAME_BYTES_MAX || (cfa == sp && !w->exact))
		return ap_walk_failed(w, AP_REASON_BAD_CFA);
	if (ap_walk_saved(w, r->ra, r->ra_offset, cfa, AP_REG_TRACKED, &ra_known, &ra) < 0 ||
	    ap_walk_saved(w, r->fp_tracked & 15, r->fp_offset, cfa, AP_REG_FP, &known, &fp) < 0 ||
	    ap_walk_saved(w, r->fp_tracked >> 4, r->tracked_offset, cfa, AP_REG_TRACKED, &known,
			  &tracked) < 0)
		return ap_walk_failed(w, AP_REASON_READ_FAULT);
	if (ra_known != AP_KNOWN_ALL)
		return ap_walk_failed(w, AP_REASON_UNSUPPORTED_RULE);
	if (ra == 0)
		return AP_REASON_OK;
	if (!ap_walk_is_code(ra))
		return ap_walk_failed(w, AP_REASON_NO_MAPPING);
	w->regs[AP_REG_SP] = cfa;
	w->regs[AP_REG_FP] = fp;
	w->regs[AP_REG_TRACKED] = tracked;
	w->known = known;
	w->exact = 0;
	w->pc = ra;
	return AP_STEP_ON;
}

#include "bpf/go.bpf.h"

AP_INLINE int ap_walk_step_rule(struct ap_walk *w)
{
	const struct ap_rule *r = &w->rule;

	if (r->cfa == AP_CFA_END)
		return AP_REASON_OK;
	if (r->cfa == AP_CFA_NONE)
		return ap_walk_step_unruled(w, AP_REASON_NO_RULE);
	if (r->cfa == AP_CFA_UNSUPPORTED || !(w->known & AP_REG_BIT(r->cfa_register)))
		return ap_walk_step_unruled(w, AP_REASON_UNSUPPORTED_RULE);
	if (r->cfa == AP_CFA_SIGNAL) {
		/* What handlers return to is no return address: they never were called from there. */
		w->frame += !w->exact;
		return ap_walk_step_signal(w, w->regs[r->cfa_register & (AP_REGISTERS - 1)] +
						      (uint64_t)(int64_t)r->cfa_offset);
	}
	if (r->cfa == AP_CFA_GO_SWITCH)
		return ap_go_switch(w, r);
	return ap_walk_step_cfa(w);
}

/* The slot of w->maps that holds `address`; negative: no executable mapping does. */
AP_INLINE int ap_walk_map(struct ap_walk *w, uint64_t address)
{
	uint32_t slot;

	for (slot = 0; slot < AP_WALK_MAPS; slot++)
		if (address >= w->maps[slot].start && address < w->maps[slot].end)
			return (int)slot;
	slot = w->next_map++ & (AP_WALK_MAPS - 1);
	return ap_map_find(w, address, slot) < 0 ? -1 : (int)slot;
}

/* Names the frame at the pc in w->frame and takes one step outwards: AP_STEP_ON, or the reason to end
 * with. `is_leaf`: a frame is named even where nothing is mapped. */
AP_WALK_FUNCTION int ap_walk_step(struct ap_walk *w, uint32_t is_leaf)
{
	const struct ap_mapped *m;
	uint64_t address;
	int slot;

	if (!w)
		return AP_REASON_NO_REGISTERS;
	address = w->pc - !w->exact;
	slot = ap_walk_map(w, address);
	w->frame = slot >= 0 || is_leaf ? address : 0;
	if (slot < 0)
		return is_leaf ? ap_walk_step_unruled(w, AP_REASON_NO_MAPPING)
			       : ap_walk_failed(w, AP_REASON_NO_MAPPING);
	m = &w->maps[slot & (AP_WALK_MAPS - 1)];
	if (m->kind == AP_MAPPED_MEMORY)
		return ap_walk_step_unruled(w, AP_REASON_JIT);
	if (m->kind != AP_MAPPED_FILE)
		return ap_walk_step_unruled(w, AP_REASON_NO_TABLE);
	address += m->delta;
	w->frame = AP_FRAME_FILE |
		   (uint64_t)(m->file.file & AP_FRAME_FILE_MAX) << AP_FRAME_OFFSET_BITS |
		   (address & AP_FRAME_OFFSET_MASK);
	if (m->file.at == 0)
		return ap_walk_step_unruled(w, m->file.flags & AP_FILE_PENDING ? AP_REASON_NO_TABLE
									       : AP_REASON_NO_RULE);
	ap_table_rule_of(&m->file, w->frame, w->group, &w->rule);
	return ap_walk_step_rule(w);
}

/* Takes the step from frame `n`, from 0, which is stored at frames[n]. False: the walk is over, and
 * w->depth and w->reason tell how. */
AP_INLINE bool ap_walk_advance(struct ap_walk *w, uint64_t *frames, uint32_t n, uint32_t max)
{
	int r;

	if (n >= max || n >= AP_USER_FRAMES_MAX) {
		w->reason = AP_REASON_TRUNCATED;
		return false;
	}
	r = ap_walk_step(w, n == 0);
	w->reason = (uint32_t)r;
	if (w->frame) {
		frames[n] = w->frame;
		w->depth = n + 1;
	}
	return r == AP_STEP_ON;
}

/* Makes a state ready for a walk. Its pc, regs, end and tls are filled in. */
AP_INLINE void ap_walk_begin(struct ap_walk *w)
{
	w->known = AP_KNOWN_ALL;
	w->exact = 1;
	w->trouble = 0;
	w->depth = 0;
	w->noticed = 0;
	w->next_map = 0;
	w->window_words = 0;
	for (int i = 0; i < AP_WALK_MAPS; i++)
		w->maps[i].start = w->maps[i].end = 0;
}

#ifdef AP_KFUNCS
/* The open-coded iterator of Linux 6.4, with which the verifier looks at one turn of a loop and not at
 * all 1,024: a twentieth of the work at load. */
struct ap_iter_num {
	uint64_t opaque;
} __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct ap_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct ap_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct ap_iter_num *it) __ksym;
#endif

/* Stores the stack of `w`, leaf first, in frames[max], 1 ≤ max ≤ AP_USER_FRAMES_MAX; w->depth and
 * w->reason are the number of frames, at least 1, and why the stack ends there. ap_walk_begin() comes
 * first. */
AP_INLINE void ap_walk_user(struct ap_walk *w, uint64_t *frames, uint32_t max)
{
#ifdef AP_KFUNCS
	struct ap_iter_num it;
	int *n;

	bpf_iter_num_new(&it, 0, AP_USER_FRAMES_MAX + 1);
	while ((n = bpf_iter_num_next(&it)))
		if (!ap_walk_advance(w, frames, *n, max))
			break;
	bpf_iter_num_destroy(&it);
#else
	for (uint32_t n = 0; n <= AP_USER_FRAMES_MAX; n++)
		if (!ap_walk_advance(w, frames, n, max))
			break;
#endif
}

#endif
