/* SPDX-License-Identifier: Apache-2.0 */
/* The walker that the BPF programs use, replayed on memory images. */
#include "../test.h"

#include "abi/ledger.h"
#include "abi/record.h"
#include "base/macro.h"

/* The image: one stack and one page of code. Everything else faults. */
static struct {
	uint64_t stack_at, code_at;
	uint64_t stack[4096];
	size_t words;
	uint8_t code[16];
} image;

static int ap_read_user(void *dst, uint32_t bytes, uint64_t address)
{
	if (address >= image.stack_at &&
	    ap_range_ok(address - image.stack_at, bytes, image.words * 8)) {
		memcpy(dst, (const uint8_t *)image.stack + (address - image.stack_at), bytes);
		return 0;
	}
	if (address >= image.code_at &&
	    ap_range_ok(address - image.code_at, bytes, sizeof(image.code))) {
		memcpy(dst, image.code + (address - image.code_at), bytes);
		return 0;
	}
	return -EFAULT;
}

#include "bpf/unwind.bpf.h"

#define STACK 0x7ffe00000000ull
#define CODE  0x400000ull

static uint64_t frames[AP_USER_FRAMES_MAX];

/* A chain of `n` frames of `words` words each, the leaf's at the bottom; frame i returns to
 * CODE + 16 * (i + 1), and the outermost one's saved frame pointer is `last`. */
static struct ap_walk make_chain(uint32_t n, uint32_t words, uint64_t last)
{
	memset(&image, 0, sizeof(image));
	memset(frames, 0, sizeof(frames));
	image.stack_at = STACK;
	image.code_at = CODE;
	memset(image.code, 0x90, sizeof(image.code));
	image.words = (size_t)n * words + 64;
	assert_true(image.words <= AP_ARRAY_SIZE(image.stack));
	for (uint32_t i = 0; i < n; i++) {
		uint64_t *record = &image.stack[(size_t)(i + 1) * words - 2];

		record[0] = i + 1 < n ? STACK + ((uint64_t)(i + 2) * words - 2) * 8 : last;
		record[1] = CODE + 16ull * (i + 1);
	}
	return (struct ap_walk){.pc = CODE, .sp = STACK, .fp = STACK + ((uint64_t)words - 2) * 8};
}

static void assert_walk(struct ap_walk *w, uint32_t max, uint32_t depth, uint32_t reason)
{
	ap_walk_user(w, frames, max);
	assert_int_equal(w->depth, depth);
	assert_string_equal(ap_reason_name(w->reason), ap_reason_name(reason));
	for (uint32_t i = 0; i < depth; i++)
		assert_int_equal(frames[i], CODE + 16ull * i);
}

static void walks_a_good_chain_to_its_end(void **state)
{
	for (uint32_t words = 2; words < 80; words += 7) {
		struct ap_walk w = make_chain(40, words, 0);

		assert_walk(&w, 512, 41, AP_REASON_OK);
	}
}

static void ends_well_near_the_start_of_the_main_stack_only(void **state)
{
	/* main()'s caller keeps data in the register: complete, as little stack is left. */
	struct ap_walk w = make_chain(5, 8, 1);

	w.end = STACK + 5 * 8 * 8 + 256;
	assert_walk(&w, 512, 6, AP_REASON_OK);
	w = make_chain(5, 8, 1);
	w.end = STACK + 5 * 8 * 8 + 4096;
	assert_walk(&w, 512, 6, AP_REASON_NO_FRAME_POINTER);
	w = make_chain(5, 8, 1);
	assert_walk(&w, 512, 6, AP_REASON_NO_FRAME_POINTER);
}

static void zero_in_the_leafs_register_proves_nothing(void **state)
{
	struct ap_walk w = make_chain(5, 8, 0);

	w.fp = 0;
	assert_walk(&w, 512, 1, AP_REASON_NO_FRAME_POINTER);
}

static void stops_at_loops_and_steps_down(void **state)
{
	struct ap_walk w = make_chain(6, 4, 0);

	image.stack[3 * 4 - 2] = STACK + (3 * 4 - 2) * 8; /* the third record points to itself */
	assert_walk(&w, 512, 4, AP_REASON_BAD_CFA);
	w = make_chain(6, 4, 0);
	image.stack[3 * 4 - 2] = STACK + 2 * 8; /* to the first */
	assert_walk(&w, 512, 4, AP_REASON_BAD_CFA);
}

static void stops_at_what_is_no_frame(void **state)
{
	struct ap_walk w = make_chain(6, 4, 0);

	image.stack[3 * 4 - 2] |= 4;
	assert_walk(&w, 512, 4, AP_REASON_NO_FRAME_POINTER);
	w = make_chain(6, 4, 0);
	image.stack[3 * 4 - 2] = STACK + (64ull << 20); /* too far */
	assert_walk(&w, 512, 4, AP_REASON_NO_FRAME_POINTER);
	w = make_chain(6, 4, 0);
	image.stack[3 * 4 - 2] = 0xffff888000000000ull; /* a kernel address */
	assert_walk(&w, 512, 4, AP_REASON_NO_FRAME_POINTER);
	w = make_chain(6, 4, 0);
	image.stack[3 * 4 - 1] = 12; /* a return address that is none */
	assert_walk(&w, 512, 3, AP_REASON_NO_FRAME_POINTER);
	w = make_chain(6, 4, 0);
	image.stack[3 * 4 - 1] = 0; /* the ABI's outermost frame */
	assert_walk(&w, 512, 3, AP_REASON_OK);
}

static void tells_of_unreadable_stacks(void **state)
{
	struct ap_walk w = make_chain(6, 4, 0);

	image.words = 3 * 4; /* three frames are readable, less than a window */
	assert_walk(&w, 512, 4, AP_REASON_READ_FAULT);
}

static void cuts_at_the_limit_and_says_so(void **state)
{
	struct ap_walk w = make_chain(1100, 3, 0);

	assert_walk(&w, 512, 512, AP_REASON_TRUNCATED);
	w = make_chain(1100, 3, 0);
	assert_walk(&w, AP_USER_FRAMES_MAX, AP_USER_FRAMES_MAX, AP_REASON_TRUNCATED);
	/* One that just fits is complete. */
	w = make_chain(511, 3, 0);
	assert_walk(&w, 512, 512, AP_REASON_OK);
}

#if defined(__x86_64__)
/* Before its frame is built a function's return address lies at the stack pointer. */
static void sees_the_caller_from_a_prologue(void **state)
{
	static const struct {
		uint8_t code[4];
		uint32_t pushed; /* words pushed before */
	} cases[] = {
		{{0xf3, 0x0f, 0x1e, 0xfa}, 0}, /* endbr64 */
		{{0x55}, 0},		       /* push %rbp */
		{{0x48, 0x89, 0xe5}, 1},       /* mov %rsp,%rbp */
		{{0xc3}, 0},		       /* ret */
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(cases); i++) {
		struct ap_walk w = make_chain(3, 6, 0);

		/* The caller's frame is the first of the chain; its callee's words lie below. */
		image.stack[0] = image.stack[1] = 0xbad;
		image.stack[cases[i].pushed] = CODE + 8;
		memcpy(image.code, cases[i].code, sizeof(cases[i].code));
		ap_walk_user(&w, frames, 512);
		assert_int_equal(w.depth, 5);
		assert_int_equal(w.reason, AP_REASON_OK);
		assert_int_equal(frames[1], CODE + 8);
		assert_int_equal(frames[2], CODE + 16);
	}
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walks_a_good_chain_to_its_end),
		cmocka_unit_test(ends_well_near_the_start_of_the_main_stack_only),
		cmocka_unit_test(zero_in_the_leafs_register_proves_nothing),
		cmocka_unit_test(stops_at_loops_and_steps_down),
		cmocka_unit_test(stops_at_what_is_no_frame),
		cmocka_unit_test(tells_of_unreadable_stacks),
		cmocka_unit_test(cuts_at_the_limit_and_says_so),
#if defined(__x86_64__)
		cmocka_unit_test(sees_the_caller_from_a_prologue),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
