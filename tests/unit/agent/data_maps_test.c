/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/data_maps.h"

#include <unistd.h>

#include "../test.h"

static const char text[] =
	"55d0c0000000-55d0c0001000 r--p 00000000 08:01 77                         /srv/app\n"
	"55d0c0001000-55d0c0002000 r-xp 00001000 08:01 77                         /srv/app\n"
	"55d0c0003000-55d0c0004000 rw-p 00002000 08:01 77                         /srv/app\n"
	"55d0c0004000-55d0c0009000 rw-p 00000000 00:00 0 \n"
	"this is no mapping\n"
	"55d0c1000000-55d0c1021000 rw-p 00000000 00:00 0                          [heap]\n"
	"7f0000000000-7f0000021000 rw-p 00000000 00:00 0 \n"
	"7f0000021000-7f0004000000 ---p 00000000 00:00 0 \n"
	"7f1000000000-7f1000001000 rw-s 00003000 00:1b 9                          /dev/shm/x (deleted)\n"
	"7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]\n";

static void check(const struct ap_data_maps *m, uint64_t address, const char *name, uint64_t offset)
{
	const struct ap_data_map *r = ap_data_maps_find(m, address);

	assert_non_null(r);
	assert_string_equal(ap_data_map_name(m, r), name);
	assert_int_equal(r->offset + (address - r->start), offset);
}

static void tells_where_an_address_lies(void **state)
{
	struct ap_data_maps m = {0};

	assert_int_equal(ap_data_maps_parse(ap_str_of(text), &m), 0);
	check(&m, 0x55d0c0003040, "/srv/app", 0x2040);
	assert_false(ap_data_maps_find(&m, 0x55d0c0003040)->tail);
	/* What follows without a name goes on where the file's mapping ends. */
	check(&m, 0x55d0c0004008, "/srv/app", 0x3008);
	assert_true(ap_data_maps_find(&m, 0x55d0c0004008)->tail);
	check(&m, 0x55d0c10002a0, "[heap]", 0x2a0);
	check(&m, 0x7f0000000010, "", 0x10);
	check(&m, 0x7f1000000040, "/dev/shm/x", 0x3040);
	check(&m, 0x7ffc00000000, "[stack]", 0);
	/* Of code, of what nobody may write, of nothing. */
	assert_null(ap_data_maps_find(&m, 0x55d0c0001010));
	assert_null(ap_data_maps_find(&m, 0x7f0000021000));
	assert_null(ap_data_maps_find(&m, 0));
	assert_null(ap_data_maps_find(&m, UINT64_MAX));
	ap_data_maps_free(&m);
}

static int variable = 1;

static void reads_this_process(void **state)
{
	struct ap_data_maps m = {0};
	const struct ap_data_map *r;
	int on_stack;

	assert_int_equal(ap_data_maps_read(getpid(), &m), 0);
	r = ap_data_maps_find(&m, (uintptr_t)&variable);
	assert_non_null(r);
	assert_non_null(strstr(ap_data_map_name(&m, r), "data_maps_test"));
	r = ap_data_maps_find(&m, (uintptr_t)&on_stack);
	assert_string_equal(ap_data_map_name(&m, r), "[stack]");
	/* What was read stays when the process has gone. */
	assert_true(ap_data_maps_read(INT32_MAX, &m) < 0);
	assert_non_null(ap_data_maps_find(&m, (uintptr_t)&variable));
	ap_data_maps_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_where_an_address_lies),
		cmocka_unit_test(reads_this_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
