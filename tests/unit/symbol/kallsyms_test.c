/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/kallsyms.h"

#include <unistd.h>

#include "../test.h"
#include "base/io.h"

/* `path` is a template of mkstemp(). */
static void write_text(const char *text, char *path)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(ap_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static int read_text(const char *text, struct ap_kallsyms **ret)
{
	char path[] = "/tmp/aperture-kallsyms-XXXXXX";
	int err;

	write_text(text, path);
	err = ap_kallsyms_read(path, ret);
	unlink(path);
	return err;
}

static void check(const struct ap_kallsyms *k, uint64_t addr, const char *want)
{
	_cleanup_buf_ struct ap_buf b = {0};
	int err = ap_kallsyms_find(k, addr, &b);

	assert_int_equal(err, want ? 0 : -ENOENT);
	if (want) {
		ap_buf_byte(&b, 0);
		assert_string_equal(b.p, want);
	}
}

static void names_functions_and_modules(void **state)
{
	_cleanup_(ap_cleanup_kallsyms) struct ap_kallsyms *k = NULL;

	assert_int_equal(read_text("ffffffff81000100 t local\n"
				   "ffffffff81000000 T __alias\n"
				   "ffffffff81000000 T start\n"
				   "ffffffff81000000 t also\n"
				   "ffffffff81000200 D data\n"
				   "ffffffff81000240 d more\n"
				   "ffffffffc0000000 t read_block\t[ext4]\n"
				   "ffffffffc0000100 b state\t[ext4]\n"
				   "ffffffffc0009000 t bpf_prog_6deef7357e7b4530\t[bpf]\n"
				   "not a line\n\n",
				   &k),
			 0);
	check(k, 0xffffffff80ffffff, NULL);
	check(k, 0xffffffff81000000, "start");
	check(k, 0xffffffff810000ff, "start");
	check(k, 0xffffffff81000100, "local");
	check(k, 0xffffffff81000200, NULL);
	check(k, 0xffffffff81000250, NULL);
	check(k, 0xffffffffc0000080, "read_block [ext4]");
	check(k, 0xffffffffc0000180, NULL);
	check(k, 0xffffffffc0009010, "bpf_prog_6deef7357e7b4530 [bpf]");
	check(k, 0xffffffffd0000000, NULL);
}

static void hidden_addresses_are_told_from_none(void **state)
{
	struct ap_kallsyms *k = NULL;

	assert_int_equal(read_text("0000000000000000 T start\n0000000000000000 t x\t[m]\n", &k),
			 -EACCES);
	assert_null(k);
	assert_int_equal(ap_kallsyms_read("/nonexistent", &k), -ENOENT);
}

static void tells_at_once_whether_addresses_are_shown(void **state)
{
	char path[] = "/tmp/aperture-kallsyms-XXXXXX";
	static const char hidden[] = "0000000000000000 T a\n0000000000000000 T b\n";
	static const char shown[] = "ffffffff81000000 T c\n";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, hidden, strlen(hidden)), strlen(hidden));
	assert_int_equal(ap_kallsyms_check(path), -EACCES);
	assert_int_equal(write(fd, shown, strlen(shown)), strlen(shown));
	assert_int_equal(ap_kallsyms_check(path), 0);
	close(fd);
	unlink(path);
	assert_int_equal(ap_kallsyms_check(path), -ENOENT);
}

static void finds_the_address_of_any_symbol(void **state)
{
	char path[] = "/tmp/aperture-kallsyms-XXXXXX";
	static const char text[] = "ffffffff81000000 T start\nffffffff81000200 D page_offset_base\n"
				   "ffffffffc0000100 b state\t[ext4]\n0000000000000000 d hidden\n";
	int fd = mkstemp(path);
	uint64_t address = 0;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(ap_kallsyms_address(path, "page_offset_base", &address), 0);
	assert_int_equal(address, 0xffffffff81000200);
	assert_int_equal(ap_kallsyms_address(path, "state", &address), 0);
	assert_int_equal(address, 0xffffffffc0000100);
	assert_int_equal(ap_kallsyms_address(path, "page_offset", &address), -ENOENT);
	assert_int_equal(ap_kallsyms_address(path, "hidden", &address), -EACCES);
	unlink(path);
	assert_int_equal(ap_kallsyms_address(path, "start", &address), -ENOENT);
}

static void check_objects(const char *text, const char *const want[5])
{
	static const uint64_t addrs[5] = {0xffffffff80000000, 0xffffffff82000000,
					  0xffffffff82000048, 0xffffffff82000110,
					  0xffffffffc0000104};
	char path[] = "/tmp/aperture-kallsyms-XXXXXX";
	struct ap_buf names[5] = {0};

	write_text(text, path);
	assert_int_equal(ap_kallsyms_objects(path, addrs, 5, names), 0);
	unlink(path);
	for (size_t i = 0; i < 5; i++) {
		ap_buf_byte(&names[i], 0);
		assert_string_equal(names[i].p, want[i]);
		ap_buf_free(&names[i]);
	}
}

#define OBJECTS                                    \
	"ffffffff82000100 T function\n"            \
	"ffffffffc0000100 b module_lock\t[ext4]\n" \
	"ffffffff82000000 T at_the_same_address\n" \
	"ffffffff82000000 D tasklist_lock\n"       \
	"ffffffff82000000 t this_too\n"            \
	"ffffffff82000040 d cgroup_mutex\n"        \
	"ffffffff8fffffff T function_far_away\nnot a line\n\n"

static void names_data(void **state)
{
	check_objects("ffffffff81000000 D init_task\n" OBJECTS,
		      (const char *const[]){"", "tasklist_lock", "cgroup_mutex+0x8", "",
					    "module_lock+0x4 [ext4]"});
}

/* The few data that such a kernel lists lie anywhere before an address. */
static void a_kernel_that_names_no_data_names_none(void **state)
{
	check_objects(OBJECTS, (const char *const[]){"", "", "", "", ""});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_functions_and_modules),
		cmocka_unit_test(names_data),
		cmocka_unit_test(a_kernel_that_names_no_data_names_none),
		cmocka_unit_test(hidden_addresses_are_told_from_none),
		cmocka_unit_test(tells_at_once_whether_addresses_are_shown),
		cmocka_unit_test(finds_the_address_of_any_symbol),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
