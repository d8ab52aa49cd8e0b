/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The steps over Go's changes of stack: part of the walker (unwind.bpf.h, which includes this).
 *
 * A goroutine has a stack of its own, small and movable; each thread has another, g0's, on which the
 * scheduler, the garbage collector and C code run. Where code on g0's stack runs for a goroutine, the
 * goroutine's stack is part of the path that led there. unwind/go_rules.c says which functions switch
 * and gives their code one of these rules:
 *
 * AP_GO_FRAME		The function has a frame and keeps the frame pointer in it while it runs on
 *			the other stack: systemstack since Go 1.21, calls of the vDSO, cgocallback,
 *			which runs Go code on the goroutine's stack with its own frame on g0's, above
 *			it the C code that called back.
 * AP_GO_CGOCALL	asmcgocall keeps its goroutine, and how deep in its stack it was, at the
 *			place on g0's stack where C code returns to. (Callbacks may have moved the
 *			goroutine's stack since, so the frame pointer that it left may point nowhere.)
 * AP_GO_SYSTEMSTACK	systemstack up to Go 1.20 has no frame; the goroutine is found as the
 *			runtime finds it, from the thread pointer: g, its m, that one's curg, and
 *			there the stack pointer that was saved. Of a shared library the dynamic
 *			linker alone knows how far g is from the thread pointer: it has written
 *			that to a place which is known from the program counter.
 * AP_GO_MORESTACK	morestack came by a call in the prologue of a function that is to run again
 *			on a larger stack: all its registers were saved in the goroutine.
 *
 * A stack of g0 that runs for no goroutine (curg is 0 there) ends. So do those of mcall, which has
 * parked its goroutine, and of gogo, which is about to go to one: their rule is AP_CFA_END.
 */
#ifndef AP_BPF_GO_BPF_H
#define AP_BPF_GO_BPF_H

#define AP_GO_STACK_HI 8 /* offsetof(g, stack.hi) in every version */
#define AP_GO_GOBUF_PC 8

/* The value of curg, 0 where the thread runs for no goroutine; negative: fault. */
AP_INLINE int ap_go_curg(struct ap_walk *w, const struct ap_rule *r, uint64_t *ret)
{
	uint64_t g, m, offset = (uint64_t)(int64_t)r->cfa_offset;

	if ((r->fp_tracked & AP_GO_INDIRECT) && ap_walk_load(w, w->pc + offset, &offset) < 0)
		return -1;
	if (ap_walk_load(w, w->tls + offset, &g) < 0 ||
	    ap_walk_load(w, g + (uint64_t)(int64_t)r->ra_offset, &m) < 0)
		return -1;
	return ap_walk_load(w, m + (uint64_t)(int64_t)r->fp_offset, ret);
}

/* The stack pointer at which the function was called; 0: there is no caller. Negative: fault. */
AP_INLINE int ap_go_cfa(struct ap_walk *w, const struct ap_rule *r, uint64_t *ret)
{
	uint64_t sp = w->regs[AP_REG_SP], at = sp + (uint64_t)(int64_t)r->cfa_offset, g, v;

	if (r->ra == AP_GO_FRAME) {
		*ret = w->regs[r->cfa_register & (AP_REGISTERS - 1)] +
		       (uint64_t)(int64_t)r->cfa_offset;
		return 0;
	}
	if (r->ra == AP_GO_CGOCALL) {
		if (ap_walk_load(w, at, &v) < 0 ||
		    ap_walk_load(w, sp + (uint64_t)(int64_t)r->ra_offset, &g) < 0)
			return -1;
		if (g && ap_walk_load(w, g + AP_GO_STACK_HI, &at) < 0)
			return -1;
		*ret = (g ? at - v : v) + (uint64_t)(int64_t)r->cfa_add;
		return 0;
	}
	if (ap_go_curg(w, r, &g) < 0)
		return -1;
	*ret = 0;
	if (!g)
		return 0;
	if (ap_walk_load(w, g + (uint64_t)(int64_t)r->tracked_offset, &v) < 0)
		return -1;
	*ret = v ? v + (uint64_t)(int64_t)r->cfa_add : 0;
	return 0;
}

/* The registers that morestack saved: 0; negative: fault. */
AP_INLINE int ap_go_gobuf(struct ap_walk *w, const struct ap_rule *r, uint64_t *ret_sp,
			  uint64_t *ret_pc, uint64_t *ret_fp)
{
	uint64_t at;

	*ret_pc = 0;
	if (ap_go_curg(w, r, &at) < 0)
		return -1;
	if (!at)
		return 0;
	at += (uint64_t)(int64_t)r->tracked_offset;
	if (ap_walk_load(w, at, ret_sp) < 0 ||
	    ap_walk_load(w, at + (uint64_t)(int64_t)r->cfa_add, ret_fp) < 0)
		return -1;
	return ap_walk_load(w, at + AP_GO_GOBUF_PC, ret_pc);
}

/* Takes the step of a rule AP_CFA_GO_SWITCH: AP_STEP_ON, or the reason to end with. */
AP_INLINE int ap_go_switch(struct ap_walk *w, const struct ap_rule *r)
{
	uint64_t sp = 0, pc = 0, fp = w->regs[AP_REG_FP];
	uint32_t known = w->known & (AP_REG_BIT(AP_REG_SP) | AP_REG_BIT(AP_REG_FP));

	if (r->ra == AP_GO_MORESTACK) {
		if (ap_go_gobuf(w, r, &sp, &pc, &fp) < 0)
			return ap_walk_failed(w, AP_REASON_READ_FAULT);
		known |= AP_REG_BIT(AP_REG_FP);
	} else {
		if (ap_go_cfa(w, r, &sp) < 0)
			return ap_walk_failed(w, AP_REASON_READ_FAULT);
		if (sp && (ap_walk_load(w, sp - 8, &pc) < 0 ||
			   ((r->fp_tracked & 15) == AP_SAVED_CFA &&
			    ap_walk_load(w, sp + (uint64_t)(int64_t)r->fp_offset, &fp) < 0)))
			return ap_walk_failed(w, AP_REASON_READ_FAULT);
	}
	if (pc == 0)
		return AP_REASON_OK;
	if ((sp & 7) || !ap_walk_is_code(pc))
		return ap_walk_failed(w, AP_REASON_BAD_CFA);
	w->regs[AP_REG_SP] = sp;
	w->regs[AP_REG_FP] = fp;
	w->known = known;
	w->exact = 0;
	w->pc = pc;
	return AP_STEP_ON;
}

#endif
