/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "agent/proc.h"

static void reads_stat_with_any_name(void **state)
{
	struct ap_proc_stat st;

	assert_int_equal(
		ap_proc_stat_parse(AP_STR("77 (a) b (c)) S 5 6 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 "
					  "1 0 12345 100 200 18446744073709551615 1\n"),
				   &st),
		0);
	assert_string_equal(st.comm, "a) b (c)");
	assert_int_equal(st.ppid, 5);
	assert_int_equal(st.group, 6);
	assert_false(st.kernel);
	assert_int_equal(st.start_time, 12345ull * 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK));
	assert_int_equal(
		ap_proc_stat_parse(AP_STR("2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 "
					  "1 0 3 0 0"),
				   &st),
		0);
	assert_true(st.kernel);
	assert_int_equal(ap_proc_stat_parse(AP_STR(""), &st), -EINVAL);
	assert_int_equal(ap_proc_stat_parse(AP_STR("1 )("), &st), -EINVAL);
	assert_int_equal(ap_proc_stat_parse(AP_STR("1 (x)"), &st), -EINVAL);
	assert_int_equal(ap_proc_stat_parse(AP_STR("1 (x) S 1 2 3"), &st), -EINVAL);
}

static void reads_lines_of_maps(void **state)
{
	struct ap_proc_map m;

	assert_int_equal(ap_proc_map_parse(AP_STR("7f00a000-7f00b000 r-xp 0001f000 fe:01 131   "
						  "      /usr/lib/a b (deleted)"),
					   &m),
			 0);
	assert_int_equal(m.start, 0x7f00a000);
	assert_int_equal(m.end, 0x7f00b000);
	assert_int_equal(m.pgoff, 0x1f000);
	assert_int_equal(m.dev, (0xfeull << 32) | 1);
	assert_int_equal(m.inode, 131);
	assert_true(m.exec);
	assert_true(ap_str_is(m.path, "/usr/lib/a b (deleted)"));
	assert_int_equal(ap_proc_map_parse(AP_STR("1000-2000 rw-p 00000000 00:00 0 "), &m), 0);
	assert_false(m.exec);
	assert_int_equal(m.path.n, 0);
	assert_int_equal(ap_proc_map_parse(AP_STR("1000-2000"), &m), -EINVAL);
	assert_int_equal(ap_proc_map_parse(AP_STR("10g0-2000 r-xp 0 0:0 0"), &m), -EINVAL);
	assert_int_equal(ap_proc_map_parse(AP_STR("11112222333344445-2 r-xp 0 0:0 0"), &m),
			 -EINVAL);
	assert_int_equal(ap_proc_map_parse(AP_STR(""), &m), -EINVAL);
}

static void tells_files_from_memory(void **state)
{
	assert_true(ap_proc_is_file(AP_STR("/usr/bin/true")));
	assert_false(ap_proc_is_file(AP_STR("//anon")));
	assert_false(ap_proc_is_file(AP_STR("/memfd:doublemapper (deleted)")));
	assert_false(ap_proc_is_file(AP_STR("/dev/zero (deleted)")));
	assert_false(ap_proc_is_file(AP_STR("[heap]")));
	assert_false(ap_proc_is_file(AP_STR("anon_inode:[x]")));
	assert_false(ap_proc_is_file(AP_STR("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_stat_with_any_name),
		cmocka_unit_test(reads_lines_of_maps),
		cmocka_unit_test(tells_files_from_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
