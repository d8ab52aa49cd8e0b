/* SPDX-License-Identifier: Apache-2.0 */
/* The walker that the BPF programs use, replayed on memory images. */
#include "../test.h"

#include "abi/ledger.h"
#include "abi/record.h"
#include "abi/unwind.h"
#include "base/macro.h"

/* The image: one stack, a second one for signals, a page of generated code and a file with a table.
 * Everything else faults. */
#define STACK	     0x7ffe00000000ull
#define SIGNAL_STACK 0x7fff00000000ull
#define CODE	     0x400000ull
#define TEXT	     0x7f0000001000ull
#define TEXT_BYTES   0x20000ull
#define TEXT_OFFSET  0x5000ull /* in the file */
#define FILE_ID	     77

static struct {
	uint64_t stack[4096], signal_stack[64];
	size_t words; /* of the stack */
	uint8_t code[16], text[TEXT_BYTES];
	uint32_t store[AP_TABLES_AT + 4096];
	struct ap_file_ref file;
	bool unknown; /* nobody has told of the file */
	struct ap_rule_memo memos[AP_RULE_MEMOS];
} image;

static int read_range(void *dst, uint32_t bytes, uint64_t address, uint64_t at, const void *from,
		      size_t size)
{
	if (address < at || !ap_range_ok(address - at, bytes, size))
		return -EFAULT;
	memcpy(dst, (const uint8_t *)from + (address - at), bytes);
	return 0;
}

struct ap_walk;

static int ap_read_user(struct ap_walk *w, void *dst, uint32_t bytes, uint64_t address)
{
	if (read_range(dst, bytes, address, STACK, image.stack, image.words * 8) == 0 ||
	    read_range(dst, bytes, address, SIGNAL_STACK, image.signal_stack,
		       sizeof(image.signal_stack)) == 0 ||
	    read_range(dst, bytes, address, CODE, image.code, sizeof(image.code)) == 0 ||
	    read_range(dst, bytes, address, TEXT, image.text, sizeof(image.text)) == 0)
		return 0;
	return -EFAULT;
}

static uint32_t ap_table_word(uint32_t i)
{
	return i < AP_ARRAY_SIZE(image.store) ? image.store[i] : 0;
}

static struct ap_rule_memo *ap_rule_memo(uint32_t i)
{
	return &image.memos[i];
}

#include "bpf/unwind.bpf.h"

static int ap_map_find(struct ap_walk *w, uint64_t address, uint32_t slot)
{
	struct ap_mapped *m = &w->maps[slot];

	if (address - CODE < 0x100000) {
		*m = (struct ap_mapped){
			.start = CODE, .end = CODE + 0x100000, .kind = AP_MAPPED_MEMORY};
		return 0;
	}
	if (address - TEXT >= TEXT_BYTES)
		return -1;
	*m = (struct ap_mapped){.start = TEXT,
				.end = TEXT + TEXT_BYTES,
				.delta = TEXT_OFFSET - TEXT,
				.file = image.file,
				.kind = image.unknown ? AP_MAPPED_UNKNOWN_FILE : AP_MAPPED_FILE};
	return 0;
}

static uint64_t frames[AP_USER_FRAMES_MAX];

/* A chain of `n` frames of `words` words each, the leaf's at the bottom; frame i returns to
 * CODE + 16 * (i + 1), and the outermost one's saved frame pointer is `last`. */
static struct ap_walk make_chain(uint32_t n, uint32_t words, uint64_t last)
{
	struct ap_walk w = {.pc = CODE};

	memset(&image, 0, sizeof(image));
	memset(frames, 0, sizeof(frames));
	memset(image.code, 0x90, sizeof(image.code));
	image.words = (size_t)n * words + 64;
	assert_true(image.words <= AP_ARRAY_SIZE(image.stack));
	for (uint32_t i = 0; i < n; i++) {
		uint64_t *record = &image.stack[(size_t)(i + 1) * words - 2];

		record[0] = i + 1 < n ? STACK + ((uint64_t)(i + 2) * words - 2) * 8 : last;
		record[1] = CODE + 16ull * (i + 1);
	}
	w.regs[AP_REG_SP] = STACK;
	w.regs[AP_REG_FP] = STACK + ((uint64_t)words - 2) * 8;
	return w;
}

static void assert_walk(struct ap_walk *w, uint32_t max, uint32_t depth, uint32_t reason)
{
	ap_walk_begin(w);
	ap_walk_user(w, frames, max);
	assert_int_equal(w->depth, depth);
	assert_string_equal(ap_reason_name(w->reason), ap_reason_name(reason));
	for (uint32_t i = 0; i < depth; i++)
		assert_int_equal(frames[i], CODE + 16ull * i - (i > 0));
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
	assert_walk(&w, 512, 6, AP_REASON_JIT);
	w = make_chain(5, 8, 1);
	assert_walk(&w, 512, 6, AP_REASON_JIT);
}

static void zero_in_the_leafs_register_proves_nothing(void **state)
{
	struct ap_walk w = make_chain(5, 8, 0);

	w.regs[AP_REG_FP] = 0;
	assert_walk(&w, 512, 1, AP_REASON_JIT);
}

static void stops_at_loops_and_steps_down(void **state)
{
	struct ap_walk w = make_chain(6, 4, 0);

	image.stack[3 * 4 - 2] = STACK + (3 * 4 - 2) * 8; /* the third record points to itself */
	assert_walk(&w, 512, 4, AP_REASON_JIT);
	w = make_chain(6, 4, 0);
	image.stack[3 * 4 - 2] = STACK + 2 * 8; /* to the first */
	assert_walk(&w, 512, 4, AP_REASON_JIT);
}

static void stops_at_what_is_no_frame(void **state)
{
	struct ap_walk w = make_chain(6, 4, 0);

	image.stack[3 * 4 - 2] |= 4;
	assert_walk(&w, 512, 4, AP_REASON_JIT);
	w = make_chain(6, 4, 0);
	image.stack[3 * 4 - 2] = STACK + AP_FRAME_BYTES_MAX + 65536; /* too far */
	assert_walk(&w, 512, 4, AP_REASON_JIT);
	w = make_chain(6, 4, 0);
	image.stack[3 * 4 - 2] = 0xffff888000000000ull; /* a kernel address */
	assert_walk(&w, 512, 4, AP_REASON_JIT);
	w = make_chain(6, 4, 0);
	image.stack[3 * 4 - 1] = 12; /* a return address that is none */
	assert_walk(&w, 512, 3, AP_REASON_JIT);
	w = make_chain(6, 4, 0);
	image.stack[3 * 4 - 1] = 0; /* the ABI's outermost frame */
	assert_walk(&w, 512, 3, AP_REASON_OK);
}

static void tells_of_unreadable_stacks(void **state)
{
	struct ap_walk w = make_chain(6, 4, 0);

	image.words = 3 * 4; /* three frames are readable, less than a window */
	assert_walk(&w, 512, 4, AP_REASON_JIT);
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

/* A table with `n` rows over pages of 4 KiB from the file's first: offset and rule of each. */
struct row {
	uint32_t offset;
	struct ap_rule rule;
};

static void put_table(const struct row *rows, uint32_t n)
{
	uint32_t pages = (TEXT_OFFSET + TEXT_BYTES) >> 12, *words = &image.store[AP_TABLES_AT];

	for (uint32_t i = 0, page = 0; i < n; i++) {
		for (; page <= rows[i].offset >> 12; page++)
			words[page] = pages + 1 + i;
		words[pages + 1 + i] = (rows[i].offset & 0xffff) | (i + 1) << 16;
		memcpy(&image.store[(i + 1) * AP_RULE_WORDS], &rows[i].rule, sizeof(rows[i].rule));
		for (uint32_t rest = page; i + 1 == n && rest <= pages; rest++)
			words[rest] = pages + 1 + n;
	}
	image.file = (struct ap_file_ref){
		.file = FILE_ID, .at = AP_TABLES_AT, .n_pages = pages, .shift = 12};
}

#define SP_RULE(bytes)              \
	{.cfa = AP_CFA_REGISTER,    \
	 .cfa_register = AP_REG_SP, \
	 .cfa_offset = (bytes),     \
	 .ra = AP_SAVED_CFA,        \
	 .ra_offset = -8}

static uint64_t file_frame(uint64_t offset)
{
	return AP_FRAME_FILE | (uint64_t)FILE_ID << AP_FRAME_OFFSET_BITS | offset;
}

/* Functions of the file: a at 0x6000 and b at 0x6100 without frame pointers, c at 0x16000 with one,
 * start at 0x17000. */
static struct ap_walk make_program(void)
{
	static const struct row rows[] = {
		{0x6000, SP_RULE(16)},
		{0x6100, SP_RULE(8 * 6)},
		{0x6200, {0}},
		{0x16000,
		 {.cfa = AP_CFA_REGISTER,
		  .cfa_register = AP_REG_FP,
		  .cfa_offset = 16,
		  .ra = AP_SAVED_CFA,
		  .ra_offset = -8,
		  .fp_tracked = AP_SAVED_CFA,
		  .fp_offset = -16}},
		{0x17000, {.cfa = AP_CFA_END}},
		{0x17100, {0}},
	};
	struct ap_walk w = {.pc = TEXT + 0x6010 - TEXT_OFFSET};

	memset(&image, 0, sizeof(image));
	put_table(rows, AP_ARRAY_SIZE(rows));
	image.words = 128;
	image.stack[1] = TEXT + 0x6150 - TEXT_OFFSET; /* a's caller: b, whose frame is 6 words */
	image.stack[2 + 5] = TEXT + 0x16000 + 0x20 - TEXT_OFFSET; /* b's: c */
	image.stack[20] = 0xf00;				  /* c's caller's frame pointer */
	image.stack[21] = TEXT + 0x17000 + 4 - TEXT_OFFSET;	  /* c's: start */
	w.regs[AP_REG_SP] = STACK;
	w.regs[AP_REG_FP] = STACK + 20 * 8;
	return w;
}

static void assert_program(struct ap_walk *w, uint64_t leaf)
{
	const uint64_t expected[] = {file_frame(leaf), file_frame(0x614f), file_frame(0x1601f),
				     file_frame(0x17003)};

	ap_walk_begin(w);
	ap_walk_user(w, frames, 512);
	assert_string_equal(ap_reason_name(w->reason), "ok");
	assert_int_equal(w->depth, 4);
	assert_memory_equal(frames, expected, sizeof(expected));
}

static void follows_tables_without_frame_pointers(void **state)
{
	struct ap_walk w = make_program();

	assert_program(&w, 0x6010);
	/* The leaf's rule is that of its own address, a return address' that of the call before. */
	w = make_program();
	w.pc = TEXT + 0x6000 - TEXT_OFFSET;
	image.stack[1] = TEXT + 0x6150 - TEXT_OFFSET;
	assert_program(&w, 0x6000);
}

/* What a look-up found is found again without the table; a memo that two CPUs wrote at once is not
 * believed. */
static void keeps_rules_in_mind(void **state)
{
	struct ap_walk w = make_program(), first = w;

	assert_program(&w, 0x6010);
	memset(image.store, 0, sizeof(image.store));
	w = first;
	assert_program(&w, 0x6010);
	for (size_t i = 0; i < AP_RULE_MEMOS; i++)
		image.memos[i].rule[1] ^= 1 << 16;
	w = first;
	w.regs[AP_REG_FP] = 3;
	ap_walk_begin(&w);
	ap_walk_user(&w, frames, 512);
	assert_int_equal(w.depth, 1);
	assert_string_equal(ap_reason_name(w.reason), "no_rule");
}

static void says_why_a_table_did_not_help(void **state)
{
	struct ap_walk w = make_program();

	w.pc = TEXT + 0x6210 - TEXT_OFFSET; /* between functions */
	w.regs[AP_REG_FP] = 3;
	ap_walk_begin(&w);
	ap_walk_user(&w, frames, 512);
	assert_int_equal(w.depth, 1);
	assert_int_equal(frames[0], file_frame(0x6210));
	assert_string_equal(ap_reason_name(w.reason), "no_rule");

	w = make_program();
	w.regs[AP_REG_FP] = 3;
	image.file.at = 0;
	image.file.flags = AP_FILE_PENDING;
	ap_walk_begin(&w);
	ap_walk_user(&w, frames, 512);
	assert_int_equal(w.depth, 1);
	assert_int_equal(frames[0], file_frame(0x6010));
	assert_string_equal(ap_reason_name(w.reason), "no_table");

	w = make_program();
	w.regs[AP_REG_FP] = 3;
	image.unknown = true;
	ap_walk_begin(&w);
	ap_walk_user(&w, frames, 512);
	assert_int_equal(frames[0], TEXT + 0x6010 - TEXT_OFFSET);
	assert_string_equal(ap_reason_name(w.reason), "no_table");
}

static void ends_before_a_return_address_to_nowhere(void **state)
{
	struct ap_walk w = make_program();

	image.stack[7] = 0x123456789000;
	ap_walk_begin(&w);
	ap_walk_user(&w, frames, 512);
	assert_int_equal(w.depth, 2);
	assert_string_equal(ap_reason_name(w.reason), "no_mapping");
}

static void refuses_frames_that_do_not_move_up(void **state)
{
	struct ap_walk w = make_program();

	w.pc = TEXT + 0x16004 - TEXT_OFFSET; /* CFA by a frame pointer below the stack pointer */
	w.regs[AP_REG_FP] = STACK - 64;
	ap_walk_begin(&w);
	ap_walk_user(&w, frames, 512);
	assert_int_equal(w.depth, 1);
	assert_string_equal(ap_reason_name(w.reason), "bad_cfa");
}

static void survives_any_table(void **state)
{
	uint32_t seed = 1;

	for (int round = 0; round < 20000; round++) {
		struct ap_walk w = make_program();

		for (int i = 0; i < 12; i++) {
			seed = seed * 1103515245 + 12345;
			image.store[seed >> 8 & 1 ? AP_TABLES_AT + seed % 200 : seed % 64] =
				seed * 2654435761u;
		}
		if (round & 1)
			image.file.n_pages = image.file.at = seed;
		ap_walk_begin(&w);
		ap_walk_user(&w, frames, 512);
		assert_true(w.depth >= 1 && w.depth <= 512);
	}
}

#if defined(__x86_64__)
static void crosses_signal_frames_to_another_stack(void **state)
{
	struct ap_walk w = make_program();
	const uint8_t restorer[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
	uint64_t *context = image.signal_stack + 1 + AP_SIGCONTEXT_AT / 8;

	/* A handler, by luck with the rule of a(), was called while a() was interrupted. */
	memcpy(image.text + 0x200, restorer, sizeof(restorer));
	image.signal_stack[1] = TEXT + 0x200;
	context += 1;
	context[10] = w.regs[AP_REG_FP];
	context[15] = w.regs[AP_REG_SP];
	context[16] = TEXT + 0x6000 - TEXT_OFFSET; /* its first instruction: no byte before it */
	w.regs[AP_REG_SP] = SIGNAL_STACK;
	w.regs[AP_REG_FP] = 5;
	ap_walk_begin(&w);
	ap_walk_user(&w, frames, 512);
	assert_string_equal(ap_reason_name(w.reason), "ok");
	assert_int_equal(w.depth, 6);
	assert_int_equal(frames[1], file_frame(TEXT_OFFSET + 0x200));
	assert_int_equal(frames[2], file_frame(0x6000));
	assert_int_equal(frames[5], file_frame(0x17003));
}

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
		ap_walk_begin(&w);
		ap_walk_user(&w, frames, 512);
		assert_int_equal(w.depth, 5);
		assert_int_equal(w.reason, AP_REASON_OK);
		assert_int_equal(frames[1], CODE + 7);
		assert_int_equal(frames[2], CODE + 15);
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
		cmocka_unit_test(follows_tables_without_frame_pointers),
		cmocka_unit_test(keeps_rules_in_mind),
		cmocka_unit_test(says_why_a_table_did_not_help),
		cmocka_unit_test(ends_before_a_return_address_to_nowhere),
		cmocka_unit_test(refuses_frames_that_do_not_move_up),
		cmocka_unit_test(survives_any_table),
#if defined(__x86_64__)
		cmocka_unit_test(crosses_signal_frames_to_another_stack),
		cmocka_unit_test(sees_the_caller_from_a_prologue),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
