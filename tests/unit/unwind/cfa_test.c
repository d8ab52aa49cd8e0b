/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions: what each of them makes of the rows. */
#include "../test.h"
#include "cfi_section.h"

static void follows_an_ordinary_function(void **state)
{
	struct section s = usual();
	struct ap_rule r;

	function(&s, 0, 0x40);
	PUT(&s, 0x41, 0x0e, 16, 0x86, 2);	     /* push %rbp */
	PUT(&s, 0x43, 0x0d, 6);			     /* mov %rsp,%rbp */
	PUT(&s, 0x02, 4, 0x83, 3, 0x0a);	     /* rbx; remember */
	PUT(&s, 0x03, 8, 0, 0x0c, 7, 8, 0xc6, 0xc3); /* leave: restored */
	PUT(&s, 0x04, 1, 0, 0, 0, 0x0b);	     /* ret; recall */
	end(&s);
	TABLE *t = finish(&s);

	is_cfa(at(t, 0), AP_CFA_REGISTER, 7, 8);
	is_ra(at(t, 0), AP_SAVED_CFA, -8);
	is_fp(at(t, 0), AP_SAVED_SAME, 0);
	is_cfa(at(t, 1), AP_CFA_REGISTER, 7, 16);
	is_fp(at(t, 3), AP_SAVED_CFA, -16);
	r = at(t, 8);
	is_cfa(r, AP_CFA_REGISTER, 6, 16);
	is_fp(r, AP_SAVED_CFA, -16);
	is_tracked(r, AP_SAVED_CFA, -24);
	is_cfa(at(t, 16), AP_CFA_REGISTER, 7, 8);
	is_fp(at(t, 16), AP_SAVED_SAME, 0);
	is_tracked(at(t, 16), AP_SAVED_SAME, 0);
	is_cfa(at(t, 0x3f), AP_CFA_REGISTER, 6, 16);
	is_cfa(at(t, 0x40), AP_CFA_NONE, 0, 0);
	assert_int_equal(t->n_unsupported, 0);
}

static void knows_the_other_instructions(void **state)
{
	struct section s = usual();

	function(&s, 0, 0x100);
	PUT(&s, 0x12, 7, 0x7e, 0x41);	       /* def_cfa_sf rsp 16 */
	PUT(&s, 0x13, 0x7d, 0x41);	       /* def_cfa_offset_sf 24 */
	PUT(&s, 0x05, 6, 2, 0x41);	       /* offset_extended */
	PUT(&s, 0x11, 6, 0x7f, 0x41);	       /* offset_extended_sf: +8 */
	PUT(&s, 0x2f, 6, 4, 0x41);	       /* negative_offset_extended: +32 */
	PUT(&s, 0x06, 6, 0x41);		       /* restore_extended */
	PUT(&s, 0x09, 6, 12, 0x41);	       /* register r12 */
	PUT(&s, 0x08, 6, 0x41);		       /* same_value */
	PUT(&s, 0x07, 6, 0x41);		       /* undefined */
	PUT(&s, 0x14, 7, 0, 0x15, 7, 0, 0x41); /* val_offset(_sf): rsp is the CFA */
	PUT(&s, 0x2e, 16, 0x2d, 0x2c, 0x00, 0x05, 12, 2, 0x41); /* say nothing of ours */
	PUT(&s, 0x1d, 4, 0, 0, 0, 0, 0, 0, 0, 0x0e, 32);	/* MIPS_advance_loc8 */
	PUT(&s, 0x01);						/* set_loc */
	put(&s, CODE + 0x20, 8);
	PUT(&s, 0x0e, 40);
	end(&s);
	TABLE *t = finish(&s);

	is_cfa(at(t, 0), AP_CFA_REGISTER, 7, 16);
	is_cfa(at(t, 1), AP_CFA_REGISTER, 7, 24);
	is_fp(at(t, 2), AP_SAVED_CFA, -16);
	is_fp(at(t, 3), AP_SAVED_CFA, 8);
	is_fp(at(t, 4), AP_SAVED_CFA, 32);
	is_fp(at(t, 5), AP_SAVED_SAME, 0);
	is_fp(at(t, 6), AP_SAVED_REGISTER, 12);
	is_fp(at(t, 7), AP_SAVED_SAME, 0);
	is_fp(at(t, 8), AP_SAVED_UNDEFINED, 0);
	is_cfa(at(t, 10), AP_CFA_REGISTER, 7, 24);
	is_cfa(at(t, 14), AP_CFA_REGISTER, 7, 24);
	is_cfa(at(t, 15), AP_CFA_REGISTER, 7, 32);
	is_cfa(at(t, 0x20), AP_CFA_REGISTER, 7, 40);
	assert_int_equal(t->n_unsupported, 0);
}

static void reads_expressions(void **state)
{
	struct section s = usual();

	function(&s, 0, 0x10);
	PUT(&s, 0x0f, 3, 0x76, 0x78, 0x06, 0x10, 6, 2, 0x76, 0); /* realigned: CFA *(rbp - 8) */
	PUT(&s, 0x10, 3, 2, 0x76, 0x70, 0x41);
	PUT(&s, 0x0f, 6, 0x77, 0x98, 0x01, 0x06, 0x23, 8, 0x41); /* *(rsp + 152) + 8 */
	PUT(&s, 0x0e, 48, 0x41); /* an offset does not end an expression, */
	PUT(&s, 0x0d, 7, 0x41);	 /* a register does, and takes that offset */
	PUT(&s, 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22, 0x41);
	PUT(&s, 0x0f, 2, 0x77, 16, 0x16, 6, 2, 0x76, 8, 0x41); /* a value that is no register's */
	PUT(&s, 0x0f, 2, 0x77, 16, 0x16, 6, 2, 0x7c, 0, 0x41); /* that of r12 */
	PUT(&s, 0x0f, 3, 0x77, 0, 0x1e);
	end(&s);
	TABLE *t = finish(&s);

	is_cfa(at(t, 0), AP_CFA_DEREF, 6, -8);
	is_fp(at(t, 0), AP_SAVED_FP, 0);
	is_tracked(at(t, 0), AP_SAVED_FP, -16);
	is_cfa(at(t, 1), AP_CFA_DEREF, 7, 152);
	assert_int_equal(at(t, 1).cfa_add, 8);
	is_cfa(at(t, 2), AP_CFA_DEREF, 7, 152);
	is_cfa(at(t, 3), AP_CFA_REGISTER, 7, 48);
	is_cfa(at(t, 4), AP_CFA_PLT, 7, 11);
	is_cfa(at(t, 5), AP_CFA_REGISTER, 7, 16);
	is_fp(at(t, 5), AP_SAVED_UNDEFINED, 0);
	is_fp(at(t, 6), AP_SAVED_REGISTER, 12);
	is_cfa(at(t, 7), AP_CFA_UNSUPPORTED, 0, 0);
	assert_int_equal(t->n_unsupported, 1);
}

static void finds_return_addresses_and_ends(void **state)
{
	struct section s = usual();

	function(&s, 0, 0x10);
	PUT(&s, 0x07, 16, 0x41);	      /* _start: undefined */
	PUT(&s, 0x09, 16, 5, 0x41);	      /* vfork: in rdi */
	PUT(&s, 0x08, 16, 0x41);	      /* unchanged: there is no such register */
	PUT(&s, 0x10, 16, 2, 0x77, 24, 0x41); /* *(rsp + 24) */
	PUT(&s, 0xd0, 0x41);
	PUT(&s, 0x80 + 7, 2); /* another stack pointer than the CFA */
	end(&s);
	TABLE *t = finish(&s);

	is_cfa(at(t, 0), AP_CFA_END, 0, 0);
	is_ra(at(t, 1), AP_SAVED_REGISTER, 5);
	is_cfa(at(t, 2), AP_CFA_UNSUPPORTED, 0, 0);
	is_ra(at(t, 3), AP_SAVED_SP, 24);
	is_ra(at(t, 4), AP_SAVED_CFA, -8);
	is_cfa(at(t, 5), AP_CFA_UNSUPPORTED, 0, 0);
}

static void finds_signal_frames(void **state)
{
	struct section s = usual();

	cie(&s, 1, "zRS");
	PUT(&s, 1, 0x00, USUAL);
	end(&s);
	function(&s, 0, 0x10);
	PUT(&s, 0x0f, 4, 0x77, 0xa0, 1, 0x06, 0x10, 16, 3, 0x77, 0xa8, 1); /* rsp + 160, + 168 */
	PUT(&s, 0x41, 0x10, 16, 3, 0x77, 0xb0, 1); /* no sigcontext is like this */
	end(&s);
	TABLE *t = finish(&s);

	is_cfa(at(t, 0), AP_CFA_SIGNAL, 7, 40);
	is_cfa(at(t, 1), AP_CFA_DEREF, 7, 160);
	is_ra(at(t, 1), AP_SAVED_SP, 176);
}

/* Instructions that go wrong: the function is described up to there. */
static void marks_what_it_cannot_follow(void **state)
{
	static const uint8_t bad[][4] = {
		{0x0b},			  /* recall without remember */
		{0x3f},			  /* no such instruction */
		{0x0f, 200, 0x77, 0},	  /* an expression past the end */
		{0x0e, 0x80, 0x80, 0x80}, /* a number without an end */
		{0x01, 0, 0, 0},	  /* set_loc, cut off */
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(bad); i++) {
		struct section s = usual();

		function(&s, 0, 0x20);
		PUT(&s, 0x44);
		ap_buf_append(&s.b, bad[i], sizeof(bad[i]));
		end(&s);
		TABLE *t = finish(&s);

		is_cfa(at(t, 3), AP_CFA_REGISTER, 7, 8);
		is_cfa(at(t, 4), AP_CFA_UNSUPPORTED, 0, 0);
		is_cfa(at(t, 0x1f), AP_CFA_UNSUPPORTED, 0, 0);
		is_cfa(at(t, 0x20), AP_CFA_NONE, 0, 0);
	}
}

static void bounds_what_is_remembered(void **state)
{
	for (int depth = 16; depth <= 4096; depth *= 16) {
		struct section s = usual();

		function(&s, 0, 0x20);
		for (int i = 0; i < depth; i++)
			PUT(&s, 0x0a);
		PUT(&s, 0x41, 0x0e, 16);
		end(&s);
		TABLE *t = finish(&s);

		is_cfa(at(t, 1), depth > 16 ? AP_CFA_UNSUPPORTED : AP_CFA_REGISTER,
		       depth > 16 ? 0 : 7, depth > 16 ? 0 : 16);
	}
}

static void holds_offsets_that_no_rule_can(void **state)
{
	struct section s = usual();

	function(&s, 0, 0x20);
	PUT(&s, 0x0e, 0xff, 0xff, 0xff, 0xff, 0x07, 0x41);	       /* 2^31 - 1 */
	PUT(&s, 0x0e, 0x80, 0x80, 0x80, 0x80, 0x08, 0x41, 0x0c, 7, 8); /* 2^31 */
	PUT(&s, 0x86, 0x80, 0x20, 0x41);			       /* rbp at CFA - 2^15 */
	PUT(&s, 0x86, 0x81, 0x20, 0x41);			       /* and 8 bytes lower */
	PUT(&s, 0x86, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x41);
	PUT(&s, 0x0c, 16, 8, 0x41); /* a register past the known ones */
	PUT(&s, 0x0c, 12, 8);
	end(&s);
	TABLE *t = finish(&s);

	is_cfa(at(t, 0), AP_CFA_REGISTER, 7, INT32_MAX);
	is_cfa(at(t, 1), AP_CFA_UNSUPPORTED, 0, 0);
	is_fp(at(t, 2), AP_SAVED_CFA, INT16_MIN);
	is_fp(at(t, 3), AP_SAVED_UNDEFINED, 0);
	is_fp(at(t, 4), AP_SAVED_UNDEFINED, 0);
	is_cfa(at(t, 5), AP_CFA_UNSUPPORTED, 0, 0);
	is_cfa(at(t, 6), AP_CFA_REGISTER, 12, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_an_ordinary_function),
		cmocka_unit_test(knows_the_other_instructions),
		cmocka_unit_test(reads_expressions),
		cmocka_unit_test(finds_return_addresses_and_ends),
		cmocka_unit_test(finds_signal_frames),
		cmocka_unit_test(marks_what_it_cannot_follow),
		cmocka_unit_test(bounds_what_is_remembered),
		cmocka_unit_test(holds_offsets_that_no_rule_can),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
