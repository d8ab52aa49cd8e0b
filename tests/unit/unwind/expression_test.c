/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "unwind/expression.h"

#define PARSE(with_cfa, ...)                                         \
	({                                                           \
		const uint8_t bytes[] = {__VA_ARGS__};               \
		ap_expression_parse(bytes, sizeof(bytes), with_cfa); \
	})

static void is(struct ap_expression e, enum ap_expression_kind kind, int reg, int offset, int add)
{
	assert_int_equal(e.kind, kind);
	assert_int_equal(e.reg, reg);
	assert_int_equal(e.offset, offset);
	assert_int_equal(e.add, add);
}

static void recognises_shapes(void **state)
{
	/* breg7+152; deref; plus_uconst 8: of OpenSSL's and libgcrypt's assembly */
	is(PARSE(false, 0x77, 0x98, 0x01, 0x06, 0x23, 8), AP_EXPRESSION_DEREF, 7, 152, 8);
	/* breg6-8; deref: of functions that realign their stack */
	is(PARSE(false, 0x76, 0x78, 0x06), AP_EXPRESSION_DEREF, 6, -8, 0);
	is(PARSE(false, 0x92, 0x07, 0x10), AP_EXPRESSION_REGISTER, 7, 16, 0);
	/* breg7; const1s -8; plus; deref; lit16; minus */
	is(PARSE(false, 0x77, 0, 0x09, 0xf8, 0x22, 0x06, 0x40, 0x1c), AP_EXPRESSION_DEREF, 7, -8,
	   -16);
	/* lit8; breg7; plus: in either order */
	is(PARSE(false, 0x38, 0x77, 4, 0x22), AP_EXPRESSION_REGISTER, 7, 12, 0);
	/* const4u; drop leaves the CFA; dup and nop change nothing */
	is(PARSE(true, 0x0c, 1, 2, 3, 4, 0x13, 0x12, 0x96), AP_EXPRESSION_CFA, 0, 0, 0);
	is(PARSE(true, 0x10, 0xf0, 0x01, 0x1c), AP_EXPRESSION_CFA, 0, -240, 0);
}

static void recognises_a_plt(void **state)
{
	is(PARSE(false, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22),
	   AP_EXPRESSION_PLT, 7, 11, 0);
	is(PARSE(false, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3a, 0x2a, 0x33, 0x24, 0x22),
	   AP_EXPRESSION_PLT, 7, 10, 0);
	/* A literal past 15, and another shift. */
	is(PARSE(false, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x4b, 0x2a, 0x33, 0x24, 0x22),
	   AP_EXPRESSION_OTHER, 0, 0, 0);
	is(PARSE(false, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x32, 0x24, 0x22),
	   AP_EXPRESSION_OTHER, 0, 0, 0);
}

static void leaves_the_rest_alone(void **state)
{
	/* An unknown operation, two dereferences, the sum of two registers. */
	is(PARSE(false, 0x77, 0, 0x1e), AP_EXPRESSION_OTHER, 0, 0, 0);
	is(PARSE(false, 0x77, 0, 0x06, 0x06), AP_EXPRESSION_OTHER, 0, 0, 0);
	is(PARSE(false, 0x77, 0, 0x76, 0, 0x22), AP_EXPRESSION_OTHER, 0, 0, 0);
	/* 8 - register; nothing at all; a stack that is empty; one that is cut short. */
	is(PARSE(false, 0x38, 0x77, 0, 0x1c), AP_EXPRESSION_OTHER, 0, 0, 0);
	is(ap_expression_parse((const uint8_t *)"", 0, false), AP_EXPRESSION_OTHER, 0, 0, 0);
	is(PARSE(false, 0x22), AP_EXPRESSION_OTHER, 0, 0, 0);
	is(PARSE(false, 0x77), AP_EXPRESSION_OTHER, 0, 0, 0);
	/* More values than are kept. */
	is(PARSE(false, 0x30, 0x30, 0x30, 0x30, 0x30, 0x30, 0x30, 0x30, 0x31), AP_EXPRESSION_OTHER,
	   0, 0, 0);
}

static void refuses_what_does_not_fit(void **state)
{
	/* const8u of 2^63 - 1, twice; a register past 255; offsets that leave 32 bits. */
	is(PARSE(true, 0x0e, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x22),
	   AP_EXPRESSION_OTHER, 0, 0, 0);
	is(PARSE(false, 0x92, 0x80, 0x02, 0), AP_EXPRESSION_OTHER, 0, 0, 0);
	is(PARSE(true, 0x0c, 0xff, 0xff, 0xff, 0x7f, 0x22, 0x31, 0x22), AP_EXPRESSION_OTHER, 0, 0,
	   0);
	is(PARSE(false, 0x77, 0, 0x06, 0x23, 0xff, 0xff, 0xff, 0xff, 0x0f), AP_EXPRESSION_OTHER, 0,
	   0, 0);
	/* LEB128 without an end. */
	is(PARSE(true, 0x23, 0x80, 0x80), AP_EXPRESSION_OTHER, 0, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recognises_shapes),
		cmocka_unit_test(recognises_a_plt),
		cmocka_unit_test(leaves_the_rest_alone),
		cmocka_unit_test(refuses_what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
