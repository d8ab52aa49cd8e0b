/* SPDX-License-Identifier: Apache-2.0 */
/* The start code of real files: what no .eh_frame tells of it. */
#include "../test.h"

#include <fcntl.h>
#include <unistd.h>

#include "bpf/arch_x86.h"
#include "unwind/sections.h"

static const char *library;

static struct ap_unwind_table *table_of(const char *path, struct ap_unwind_elf *e)
{
	struct ap_unwind_table *t = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ap_unwind_elf_read(fd, e), 0);
	assert_int_equal(ap_unwind_table_build(fd, &t), 0);
	close(fd);
	return t;
}

#if defined(__x86_64__)
/* .init is the first section of the code. */
static void knows_the_frame_of_init(void **state)
{
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *t = NULL;
	const struct ap_rule *r;
	struct ap_unwind_elf e;
	uint64_t init;
	bool left = false;

	t = table_of(library, &e);
	assert_int_equal(e.n_segments, 1);
	init = e.segments[0].offset;
	r = ap_unwind_table_find(t, init);
	assert_int_equal(r->cfa, AP_CFA_REGISTER);
	assert_int_equal(r->cfa_register, AP_REG_SP);
	assert_int_equal(r->cfa_offset, 8);
	assert_int_equal(ap_unwind_table_find(t, init + 12)->cfa_offset, 16);
	for (uint64_t i = 12; i < 40 && !left; i++)
		left = ap_unwind_table_find(t, init + i)->cfa_offset == 8;
	assert_true(left);
}
#endif

static void ends_stacks_where_the_dynamic_linker_starts(void **state)
{
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *t = NULL;
	const char *path = access("/lib64/ld-linux-x86-64.so.2", R_OK) == 0
				   ? "/lib64/ld-linux-x86-64.so.2"
				   : "/lib/ld-linux-aarch64.so.1";
	struct ap_unwind_elf e;

	t = table_of(path, &e);
	assert_true(e.entry >= e.segments[0].vaddr);
	assert_int_equal(
		ap_unwind_table_find(t, e.entry - e.segments[0].vaddr + e.segments[0].offset)->cfa,
		AP_CFA_END);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#if defined(__x86_64__)
		cmocka_unit_test(knows_the_frame_of_init),
#endif
		cmocka_unit_test(ends_stacks_where_the_dynamic_linker_starts),
	};

	library = argc > 1 ? argv[1] : "";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
