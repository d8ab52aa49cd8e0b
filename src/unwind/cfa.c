/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind/cfa.h"

#include "unwind/arch.h"
#include "unwind/encoding.h"

enum {
	CFA_NOP = 0x00,
	CFA_SET_LOC = 0x01,
	CFA_ADVANCE_LOC1 = 0x02,
	CFA_ADVANCE_LOC2 = 0x03,
	CFA_ADVANCE_LOC4 = 0x04,
	CFA_OFFSET_EXTENDED = 0x05,
	CFA_RESTORE_EXTENDED = 0x06,
	CFA_UNDEFINED = 0x07,
	CFA_SAME_VALUE = 0x08,
	CFA_REGISTER = 0x09,
	CFA_REMEMBER_STATE = 0x0a,
	CFA_RESTORE_STATE = 0x0b,
	CFA_DEF_CFA = 0x0c,
	CFA_DEF_CFA_REGISTER = 0x0d,
	CFA_DEF_CFA_OFFSET = 0x0e,
	CFA_DEF_CFA_EXPRESSION = 0x0f,
	CFA_EXPRESSION = 0x10,
	CFA_OFFSET_EXTENDED_SF = 0x11,
	CFA_DEF_CFA_SF = 0x12,
	CFA_DEF_CFA_OFFSET_SF = 0x13,
	CFA_VAL_OFFSET = 0x14,
	CFA_VAL_OFFSET_SF = 0x15,
	CFA_VAL_EXPRESSION = 0x16,
	CFA_MIPS_ADVANCE_LOC8 = 0x1d,
	CFA_AARCH64_NEGATE_RA_STATE_WITH_PC = 0x2c,
	CFA_GNU_WINDOW_SAVE = 0x2d, /* and AARCH64_negate_ra_state */
	CFA_GNU_ARGS_SIZE = 0x2e,
	CFA_GNU_NEGATIVE_OFFSET_EXTENDED = 0x2f,
	/* In the upper two bits, the operand below them. */
	CFA_ADVANCE_LOC = 0x40,
	CFA_OFFSET = 0x80,
	CFA_RESTORE = 0xc0,
};

enum { REMEMBER_MAX = 32 };

struct machine {
	const struct ap_cie *cie;
	struct ap_cursor c;
	struct ap_cfa_state state;
	uint64_t pc, end;
	uint64_t program_end;	    /* its address */
	struct ap_table_builder *b; /* NULL: the CIE's own instructions */
	uint32_t n_remembered;
	struct ap_cfa_state remembered[REMEMBER_MAX];
};

/* Offsets from outside may be anything: wrapped ones end as such that no rule can hold. */
static int64_t scale(int64_t a, int64_t b)
{
	int64_t v;

	return __builtin_mul_overflow(a, b, &v) ? INT64_MAX : v;
}

static struct ap_cfa_value *slot(struct machine *m, uint64_t reg)
{
	if (reg == m->cie->ra)
		return &m->state.at[AP_CFA_SLOT_RA];
	switch (reg) {
	case AP_REG_SP:
		return &m->state.at[AP_CFA_SLOT_SP];
	case AP_REG_FP:
		return &m->state.at[AP_CFA_SLOT_FP];
	case AP_REG_TRACKED:
		return &m->state.at[AP_CFA_SLOT_TRACKED];
	default:
		return NULL;
	}
}

static void set(struct machine *m, uint64_t reg, enum ap_cfa_how how, struct ap_expression e)
{
	struct ap_cfa_value *at = slot(m, reg);

	if (at)
		*at = (struct ap_cfa_value){(uint8_t)how, e};
}

static void set_how(struct machine *m, uint64_t reg, enum ap_cfa_how how)
{
	set(m, reg, how, (struct ap_expression){0});
}

static void set_offset(struct machine *m, uint64_t reg, enum ap_cfa_how how, int64_t factored)
{
	set(m, reg, how, ap_expression_cfa(scale(factored, m->cie->data_align)));
}

static void restore(struct machine *m, uint64_t reg)
{
	struct ap_cfa_value *at = slot(m, reg);

	if (at)
		*at = m->cie->initial.at[at - m->state.at];
}

static void define_cfa(struct machine *m, uint64_t reg, int64_t offset)
{
	m->state.cfa = ap_expression_register(reg, offset);
	m->state.cfa_offset = offset;
}

/* An expression stays in force until there is a register again. */
static void move_cfa(struct machine *m, int64_t offset)
{
	if (m->state.cfa.kind == AP_EXPRESSION_REGISTER)
		define_cfa(m, m->state.cfa.reg, offset);
	m->state.cfa_offset = offset;
}

/* Where `e` is in memory, as a rule says it. False: it cannot. */
static bool rule_memory(struct ap_expression e, uint8_t *ret, int16_t *ret_offset)
{
	if (e.offset != (int16_t)e.offset)
		return false;
	if (e.kind == AP_EXPRESSION_CFA)
		*ret = AP_SAVED_CFA;
	else if (e.kind == AP_EXPRESSION_REGISTER && e.reg == AP_REG_FP)
		*ret = AP_SAVED_FP;
	else if (e.kind == AP_EXPRESSION_REGISTER && e.reg == AP_REG_SP)
		*ret = AP_SAVED_SP;
	else
		return false;
	*ret_offset = (int16_t)e.offset;
	return true;
}

static bool rule_value(const struct ap_cfa_value *v, uint8_t *ret, int16_t *ret_offset)
{
	switch ((enum ap_cfa_how)v->how) {
	case AP_CFA_HOW_UNSET:
	case AP_CFA_HOW_SAME:
		*ret = AP_SAVED_SAME;
		return true;
	case AP_CFA_HOW_UNDEFINED:
		*ret = AP_SAVED_UNDEFINED;
		return true;
	case AP_CFA_HOW_MEMORY:
		return rule_memory(v->e, ret, ret_offset);
	case AP_CFA_HOW_VALUE:
		if (v->e.kind != AP_EXPRESSION_REGISTER || v->e.offset != 0 ||
		    v->e.reg >= AP_REGISTERS)
			return false;
		*ret = AP_SAVED_REGISTER;
		*ret_offset = v->e.reg;
		return true;
	}
	return false;
}

/* The value of a register whose loss does not end the walk. */
static uint8_t rule_register(const struct ap_cfa_value *v, int16_t *ret_offset)
{
	uint8_t saved;

	return rule_value(v, &saved, ret_offset) ? saved : AP_SAVED_UNDEFINED;
}

/* All registers are in a sigcontext, where the program counter comes right after the stack pointer.
 * The caller's CFA is the interrupted stack pointer itself. */
static bool rule_signal(const struct ap_cie *cie, const struct ap_cfa_state *s, struct ap_rule *ret)
{
	const struct ap_cfa_value *ra = &s->at[AP_CFA_SLOT_RA];

	if (!cie->signal || s->cfa.kind != AP_EXPRESSION_DEREF || s->cfa.add != 0 ||
	    ra->how != AP_CFA_HOW_MEMORY || ra->e.kind != AP_EXPRESSION_REGISTER ||
	    ra->e.reg != s->cfa.reg || (int64_t)ra->e.offset - 8 != s->cfa.offset)
		return false;
	*ret = (struct ap_rule){
		.cfa = AP_CFA_SIGNAL,
		.cfa_register = s->cfa.reg,
		.cfa_offset = s->cfa.offset - 8 * (AP_SIGCONTEXT_WORDS - 2),
	};
	return true;
}

/* False: it cannot be expressed. */
static bool rule_cfa(const struct ap_cfa_state *s, struct ap_rule *r)
{
	switch ((enum ap_expression_kind)s->cfa.kind) {
	case AP_EXPRESSION_REGISTER:
		r->cfa = AP_CFA_REGISTER;
		break;
	case AP_EXPRESSION_DEREF:
		if (s->cfa.add != (int16_t)s->cfa.add)
			return false;
		r->cfa = AP_CFA_DEREF;
		r->cfa_add = (int16_t)s->cfa.add;
		break;
	case AP_EXPRESSION_PLT:
		r->cfa = AP_CFA_PLT;
		break;
	default:
		return false;
	}
	r->cfa_register = s->cfa.reg;
	r->cfa_offset = s->cfa.offset;
	return s->cfa.reg < AP_REGISTERS;
}

static struct ap_rule rule_of(const struct ap_cie *cie, const struct ap_cfa_state *s)
{
	const struct ap_cfa_value *ra = &s->at[AP_CFA_SLOT_RA], *sp = &s->at[AP_CFA_SLOT_SP];
	struct ap_rule r = {0};
	uint8_t tracked;

	if (ra->how == AP_CFA_HOW_UNDEFINED)
		return (struct ap_rule){.cfa = AP_CFA_END};
	if (rule_signal(cie, s, &r))
		return r;
	if (!rule_cfa(s, &r) || !rule_value(ra, &r.ra, &r.ra_offset) ||
	    (r.ra == AP_SAVED_SAME && !AP_RA_IN_REGISTER) ||
	    (sp->how != AP_CFA_HOW_UNSET &&
	     !(sp->how == AP_CFA_HOW_VALUE && sp->e.kind == AP_EXPRESSION_CFA &&
	       sp->e.offset == 0)))
		return (struct ap_rule){.cfa = AP_CFA_UNSUPPORTED};
	tracked = rule_register(&s->at[AP_CFA_SLOT_TRACKED], &r.tracked_offset);
	r.fp_tracked =
		(uint8_t)(rule_register(&s->at[AP_CFA_SLOT_FP], &r.fp_offset) | tracked << 4);
	return r;
}

static int emit(struct machine *m)
{
	struct ap_rule r = rule_of(m->cie, &m->state);

	return ap_table_builder_row(m->b, m->pc, &r);
}

/* 0; 1: past the end of the function; or an error. */
static int advance_to(struct machine *m, uint64_t pc)
{
	int err = 0;

	if (!m->b || pc < m->pc)
		return -EBADMSG;
	if (pc > m->pc)
		err = emit(m);
	m->pc = pc;
	return err < 0 ? err : pc >= m->end;
}

static int advance(struct machine *m, uint64_t delta)
{
	uint64_t pc;

	if (__builtin_mul_overflow(delta, m->cie->code_align, &pc) ||
	    __builtin_add_overflow(pc, m->pc, &pc))
		return -EBADMSG;
	return advance_to(m, pc);
}

static struct ap_expression block(struct machine *m, bool with_cfa)
{
	uint64_t n = ap_cursor_uleb(&m->c);
	const uint8_t *p = ap_cursor_take(&m->c, n);

	return p ? ap_expression_parse(p, (size_t)n, with_cfa) : (struct ap_expression){0};
}

static int remember(struct machine *m)
{
	if (m->n_remembered >= REMEMBER_MAX)
		return -EBADMSG;
	m->remembered[m->n_remembered++] = m->state;
	return 0;
}

static int recall(struct machine *m)
{
	if (m->n_remembered == 0)
		return -EBADMSG;
	m->state = m->remembered[--m->n_remembered];
	return 0;
}

/* Instructions that move on, or change the CFA. As advance_to(); -ENOENT: another one. */
static int run_location(struct machine *m, uint8_t op)
{
	struct ap_cursor *c = &m->c;
	uint64_t reg, pc;

	switch (op) {
	case CFA_NOP:
	case CFA_GNU_WINDOW_SAVE:
	case CFA_AARCH64_NEGATE_RA_STATE_WITH_PC:
		return 0;
	case CFA_GNU_ARGS_SIZE:
		ap_cursor_uleb(c);
		return 0;
	case CFA_SET_LOC:
		if (!ap_encoded_pointer(c, m->cie->encoding, m->program_end - ap_cursor_left(c), 0,
					&pc))
			return -EBADMSG;
		return advance_to(m, pc);
	case CFA_ADVANCE_LOC1:
	case CFA_ADVANCE_LOC2:
	case CFA_ADVANCE_LOC4:
		return advance(m, ap_cursor_uint(c, (size_t)1 << (op - CFA_ADVANCE_LOC1)));
	case CFA_MIPS_ADVANCE_LOC8:
		return advance(m, ap_cursor_uint(c, 8));
	case CFA_REMEMBER_STATE:
		return remember(m);
	case CFA_RESTORE_STATE:
		return recall(m);
	case CFA_DEF_CFA:
		reg = ap_cursor_uleb(c);
		define_cfa(m, reg, (int64_t)ap_cursor_uleb(c));
		return 0;
	case CFA_DEF_CFA_SF:
		reg = ap_cursor_uleb(c);
		define_cfa(m, reg, scale(ap_cursor_sleb(c), m->cie->data_align));
		return 0;
	case CFA_DEF_CFA_REGISTER:
		define_cfa(m, ap_cursor_uleb(c), m->state.cfa_offset);
		return 0;
	case CFA_DEF_CFA_OFFSET:
		move_cfa(m, (int64_t)ap_cursor_uleb(c));
		return 0;
	case CFA_DEF_CFA_OFFSET_SF:
		move_cfa(m, scale(ap_cursor_sleb(c), m->cie->data_align));
		return 0;
	case CFA_DEF_CFA_EXPRESSION:
		m->state.cfa = block(m, false);
		return 0;
	default:
		return -ENOENT;
	}
}

/* Instructions of one register. */
static int run_register(struct machine *m, uint8_t op)
{
	uint64_t reg = ap_cursor_uleb(&m->c);

	switch (op) {
	case CFA_OFFSET_EXTENDED:
		set_offset(m, reg, AP_CFA_HOW_MEMORY, (int64_t)ap_cursor_uleb(&m->c));
		return 0;
	case CFA_OFFSET_EXTENDED_SF:
		set_offset(m, reg, AP_CFA_HOW_MEMORY, ap_cursor_sleb(&m->c));
		return 0;
	case CFA_GNU_NEGATIVE_OFFSET_EXTENDED:
		set_offset(m, reg, AP_CFA_HOW_MEMORY, scale((int64_t)ap_cursor_uleb(&m->c), -1));
		return 0;
	case CFA_VAL_OFFSET:
		set_offset(m, reg, AP_CFA_HOW_VALUE, (int64_t)ap_cursor_uleb(&m->c));
		return 0;
	case CFA_VAL_OFFSET_SF:
		set_offset(m, reg, AP_CFA_HOW_VALUE, ap_cursor_sleb(&m->c));
		return 0;
	case CFA_EXPRESSION:
		set(m, reg, AP_CFA_HOW_MEMORY, block(m, true));
		return 0;
	case CFA_VAL_EXPRESSION:
		set(m, reg, AP_CFA_HOW_VALUE, block(m, true));
		return 0;
	case CFA_REGISTER:
		set(m, reg, AP_CFA_HOW_VALUE, ap_expression_register(ap_cursor_uleb(&m->c), 0));
		return 0;
	case CFA_UNDEFINED:
		set_how(m, reg, AP_CFA_HOW_UNDEFINED);
		return 0;
	case CFA_SAME_VALUE:
		set_how(m, reg, AP_CFA_HOW_SAME);
		return 0;
	case CFA_RESTORE_EXTENDED:
		restore(m, reg);
		return 0;
	default:
		return -EBADMSG;
	}
}

static int run_one(struct machine *m)
{
	uint8_t op = ap_cursor_u8(&m->c), low = op & 0x3f;
	int err;

	switch (op & 0xc0) {
	case CFA_ADVANCE_LOC:
		return advance(m, low);
	case CFA_OFFSET:
		set_offset(m, low, AP_CFA_HOW_MEMORY, (int64_t)ap_cursor_uleb(&m->c));
		return 0;
	case CFA_RESTORE:
		restore(m, low);
		return 0;
	default:
		err = run_location(m, op);
		return err == -ENOENT ? run_register(m, op) : err;
	}
}

static int run(struct machine *m)
{
	int err = 0;

	while (err == 0 && ap_cursor_left(&m->c) > 0) {
		err = run_one(m);
		if (m->c.bad)
			err = -EBADMSG;
	}
	return err;
}

static void start(struct machine *m, const struct ap_cie *cie, struct ap_cursor program,
		  uint64_t at)
{
	m->cie = cie;
	m->c = program;
	m->program_end = at + ap_cursor_left(&program);
	m->n_remembered = 0;
}

bool ap_cfa_run_initial(struct ap_cie *cie, struct ap_cursor program)
{
	struct machine m;

	start(&m, cie, program, 0);
	m.state = (struct ap_cfa_state){0};
	m.b = NULL;
	if (run(&m) < 0)
		return false;
	cie->initial = m.state;
	return true;
}

int ap_cfa_run(const struct ap_cie *cie, struct ap_cursor program, uint64_t at, uint64_t begin,
	       uint64_t end, struct ap_table_builder *b)
{
	struct machine m;
	int err;

	start(&m, cie, program, at);
	m.state = cie->initial;
	m.pc = begin;
	m.end = end;
	m.b = b;
	err = run(&m);
	if (err == 1)
		return 0;
	if (err == -EBADMSG)
		m.state = (struct ap_cfa_state){0};
	return err == 0 || err == -EBADMSG ? emit(&m) : err;
}
