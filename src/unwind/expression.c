/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind/expression.h"

#include "unwind/arch.h"

enum {
	OP_DEREF = 0x06,
	OP_CONST1U = 0x08, /* up to const8s: unsigned and signed of 1, 2, 4 and 8 bytes in turn */
	OP_CONST8S = 0x0f,
	OP_CONSTU = 0x10,
	OP_CONSTS = 0x11,
	OP_DUP = 0x12,
	OP_DROP = 0x13,
	OP_AND = 0x1a,
	OP_MINUS = 0x1c,
	OP_PLUS = 0x22,
	OP_PLUS_UCONST = 0x23,
	OP_SHL = 0x24,
	OP_GE = 0x2a,
	OP_LIT0 = 0x30,
	OP_LIT31 = 0x4f,
	OP_BREG0 = 0x70,
	OP_BREG31 = 0x8f,
	OP_BREGX = 0x92,
	OP_NOP = 0x96,
};

enum { DEPTH = 8 };

struct stack {
	struct ap_expression at[DEPTH];
	uint32_t n;
};

static struct ap_expression with_offset(enum ap_expression_kind kind, uint64_t reg, int64_t offset)
{
	if (reg > UINT8_MAX || offset != (int32_t)offset)
		return (struct ap_expression){0};
	return (struct ap_expression){(uint8_t)kind, (uint8_t)reg, (int32_t)offset, 0};
}

struct ap_expression ap_expression_register(uint64_t reg, int64_t offset)
{
	return with_offset(AP_EXPRESSION_REGISTER, reg, offset);
}

struct ap_expression ap_expression_cfa(int64_t offset)
{
	return with_offset(AP_EXPRESSION_CFA, 0, offset);
}

static struct ap_expression plus(struct ap_expression e, int64_t n)
{
	int64_t sum;

	switch ((enum ap_expression_kind)e.kind) {
	case AP_EXPRESSION_CONSTANT:
	case AP_EXPRESSION_CFA:
	case AP_EXPRESSION_REGISTER:
		if (__builtin_add_overflow(e.offset, n, &sum))
			break;
		return with_offset(e.kind, e.reg, sum);
	case AP_EXPRESSION_DEREF:
		if (__builtin_add_overflow(e.add, n, &sum) || sum != (int32_t)sum)
			break;
		e.add = (int32_t)sum;
		return e;
	case AP_EXPRESSION_PLT:
	case AP_EXPRESSION_OTHER:
		break;
	}
	return (struct ap_expression){0};
}

static struct ap_expression deref(struct ap_expression e)
{
	if (e.kind != AP_EXPRESSION_REGISTER)
		return (struct ap_expression){0};
	e.kind = AP_EXPRESSION_DEREF;
	return e;
}

/* a + b or a - b; one of them has to be a constant, with minus the second. */
static struct ap_expression combine(struct ap_expression a, struct ap_expression b, bool minus)
{
	if (b.kind == AP_EXPRESSION_CONSTANT)
		return plus(a, minus ? -(int64_t)b.offset : b.offset);
	if (a.kind == AP_EXPRESSION_CONSTANT && !minus)
		return plus(b, a.offset);
	return (struct ap_expression){0};
}

static bool push(struct stack *s, struct ap_expression e)
{
	if (s->n >= DEPTH)
		return false;
	s->at[s->n++] = e;
	return true;
}

static struct ap_expression pop(struct stack *s)
{
	return s->n > 0 ? s->at[--s->n] : (struct ap_expression){0};
}

/* Pushes what `op` names by itself. False: it names nothing, or the stack is full. */
static bool push_operand(struct stack *s, uint8_t op, struct ap_cursor *c)
{
	uint64_t reg;

	if (op >= OP_LIT0 && op <= OP_LIT31)
		return push(s, with_offset(AP_EXPRESSION_CONSTANT, 0, op - OP_LIT0));
	if (op >= OP_BREG0 && op <= OP_BREG31)
		return push(s, ap_expression_register(op - OP_BREG0, ap_cursor_sleb(c)));
	if (op >= OP_CONST1U && op <= OP_CONST8S) {
		size_t bytes = (size_t)1 << ((op - OP_CONST1U) / 2);
		int64_t v = (op & 1) ? ap_cursor_sint(c, bytes) : (int64_t)ap_cursor_uint(c, bytes);

		return push(s, with_offset(AP_EXPRESSION_CONSTANT, 0, v));
	}
	switch (op) {
	case OP_CONSTU:
		return push(s, with_offset(AP_EXPRESSION_CONSTANT, 0, (int64_t)ap_cursor_uleb(c)));
	case OP_CONSTS:
		return push(s, with_offset(AP_EXPRESSION_CONSTANT, 0, ap_cursor_sleb(c)));
	case OP_BREGX:
		reg = ap_cursor_uleb(c);
		return push(s, ap_expression_register(reg, ap_cursor_sleb(c)));
	default:
		return false;
	}
}

/* False: the operation is not known, so that nothing can be said of the stack. */
static bool evaluate(struct stack *s, uint8_t op, struct ap_cursor *c)
{
	struct ap_expression top;

	switch (op) {
	case OP_NOP:
		return true;
	case OP_DEREF:
		return push(s, deref(pop(s)));
	case OP_DROP:
		pop(s);
		return true;
	case OP_DUP:
		top = pop(s);
		return push(s, top) && push(s, top);
	case OP_PLUS_UCONST:
		return push(s, plus(pop(s), (int64_t)ap_cursor_uleb(c)));
	case OP_PLUS:
	case OP_MINUS:
		top = pop(s);
		return push(s, combine(pop(s), top, op == OP_MINUS));
	default:
		return push_operand(s, op, c);
	}
}

/* What x86-64 linkers write for the lazy entries of a PLT: 16 bytes each, of which those from N on
 * have pushed a word. */
static bool is_plt(const uint8_t *p, size_t n, struct ap_expression *ret)
{
	const uint8_t shape[] = {OP_BREG0 + AP_REG_SP,
				 8,
				 OP_BREG0 + AP_REG_RA,
				 0,
				 OP_LIT0 + 15,
				 OP_AND,
				 OP_LIT0,
				 OP_GE,
				 OP_LIT0 + 3,
				 OP_SHL,
				 OP_PLUS};
	const size_t literal = 6;
	uint8_t bytes[sizeof(shape)];

	if (n != sizeof(shape) || p[literal] < OP_LIT0 || p[literal] > OP_LIT0 + 15)
		return false;
	memcpy(bytes, p, n);
	bytes[literal] = OP_LIT0;
	if (memcmp(bytes, shape, n) != 0)
		return false;
	*ret = (struct ap_expression){AP_EXPRESSION_PLT, AP_REG_SP, p[literal] - OP_LIT0, 0};
	return true;
}

struct ap_expression ap_expression_parse(const uint8_t *p, size_t n, bool with_cfa)
{
	struct ap_cursor c = ap_cursor_over(p, n);
	struct ap_expression plt;
	struct stack s = {0};

	if (is_plt(p, n, &plt))
		return plt;
	if (with_cfa)
		push(&s, ap_expression_cfa(0));
	while (ap_cursor_left(&c) > 0)
		if (!evaluate(&s, ap_cursor_u8(&c), &c))
			return (struct ap_expression){0};
	return c.bad ? (struct ap_expression){0} : pop(&s);
}
