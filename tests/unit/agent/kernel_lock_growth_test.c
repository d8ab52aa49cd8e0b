/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kernel_lock_growth.h"

#include "../test.h"

struct told {
	uint64_t count[8], ns[8]; /* by place */
	unsigned calls;
};

#define ENTRIES 16

static struct ap_kernel_lock_entry table[ENTRIES];
static struct ap_kernel_lock_growth *growth;

static int setup(void **state)
{
	memset(table, 0, sizeof(table));
	growth = ap_kernel_lock_growth_new(table, ENTRIES);
	*state = growth;
	return growth ? 0 : -1;
}

static int teardown(void **state)
{
	ap_kernel_lock_growth_free(*state);
	return 0;
}

/* The entry at `at` has that key, and holds that. */
static void has(uint32_t at, struct ap_kernel_lock_key key, struct ap_kernel_lock_sums sums)
{
	table[at] = (struct ap_kernel_lock_entry){
		.mark = 2 * at + 1, .ready = 1, .key = key, .sums = sums};
}

static struct ap_kernel_lock_key key_of(uint32_t tgid, uint64_t place)
{
	return (struct ap_kernel_lock_key){.tgid = tgid, .place = place};
}

static void holds(uint32_t tgid, uint64_t place, struct ap_kernel_lock_sums sums)
{
	assert_in_range(tgid, 7, 9);
	assert_in_range(place, 0, 3);
	has((tgid - 7) * 4 + (uint32_t)place, key_of(tgid, place), sums);
}

static void note(void *ctx, const struct ap_kernel_lock_report *r)
{
	struct told *t = ctx;

	assert_true(r->key->place < 8);
	t->count[r->key->place] += r->count;
	t->ns[r->key->place] += r->ns;
	t->calls++;
}

static struct told report(uint64_t waits)
{
	struct told t = {0};

	ap_kernel_lock_growth_read(growth);
	assert_int_equal(ap_kernel_lock_growth_report(growth, note, &t), waits);
	return t;
}

#define SUMS(...) ((struct ap_kernel_lock_sums){__VA_ARGS__})

static void test_what_grew_is_told_once(void **state)
{
	struct told t;

	holds(7, 0, SUMS(0));
	holds(7, 1, SUMS(.count = 3, .ns = 900));
	t = report(3);
	assert_int_equal(t.calls, 1);
	assert_int_equal(t.ns[1], 900);
	holds(7, 1, SUMS(.count = 5, .ns = 1000));
	t = report(2);
	assert_int_equal(t.ns[1], 100);
	assert_int_equal(report(0).calls, 0);
}

static void test_waits_without_a_place_are_divided_as_the_drawn_ones_say(void **state)
{
	struct told t;

	/* Each of place 1 stands for nine more of 10 ns, each of place 2 for nine of 100. Place 3 was
	 * looked for before the storm. */
	holds(7, 2, SUMS(.count = 1, .ns = 100, .others = 9, .others_ns = 900));
	holds(7, 0, SUMS(.count = 101, .ns = 4001));
	holds(7, 3, SUMS(.count = 50, .ns = 5000));
	holds(7, 1, SUMS(.count = 3, .ns = 30, .others = 27, .others_ns = 270));
	t = report(155);
	assert_int_equal(t.count[0], 0);
	assert_int_equal(t.count[3], 50);
	assert_int_equal(t.ns[3], 5000);
	/* Exactly all of them, in the proportion of 3 to 1, and of 297 to 909. */
	assert_int_equal(t.count[1] + t.count[2], 105);
	assert_in_range(t.count[1], 3 + 75, 3 + 76);
	assert_int_equal(t.ns[1] + t.ns[2], 4131);
	assert_in_range(t.ns[1], 30 + 984, 30 + 986);
}

static void test_where_nobody_was_drawn_it_goes_as_before(void **state)
{
	struct told t;

	holds(7, 1, SUMS(.count = 30, .ns = 3000));
	holds(7, 2, SUMS(.count = 10, .ns = 1000));
	report(40);
	holds(7, 0, SUMS(.count = 8, .ns = 80));
	t = report(8);
	assert_int_equal(t.count[1], 6);
	assert_int_equal(t.count[2], 2);
	assert_int_equal(t.ns[1] + t.ns[2], 80);
}

static void test_processes_and_locks_are_kept_apart(void **state)
{
	struct ap_kernel_lock_key other = key_of(7, 2);
	struct ap_kernel_lock_sums sums =
		SUMS(.count = 10, .ns = 10, .others = 10, .others_ns = 10);
	struct told t;

	other.lock.kind = AP_KERNEL_MUTEX;
	has(12, other, sums);
	holds(8, 3, sums);
	holds(7, 0, SUMS(.count = 20, .ns = 20));
	holds(7, 1, SUMS(.count = 1, .ns = 1));
	holds(9, 0, SUMS(.count = 4, .ns = 4)); /* its places have left the table */
	t = report(45);
	assert_int_equal(t.count[1], 21);
	assert_int_equal(t.count[2], 10);
	assert_int_equal(t.count[3], 10);
	assert_int_equal(t.count[0], 4);
}

static void test_an_entry_that_is_being_taken_is_left_alone(void **state)
{
	holds(7, 1, SUMS(.count = 5, .ns = 50));
	table[1].ready = 0;
	assert_int_equal(report(0).calls, 0);
	table[1].ready = 1;
	assert_int_equal(report(5).ns[1], 50);
}

static void test_two_entries_of_one_key_are_both_told(void **state)
{
	struct told t;

	holds(7, 0, SUMS(.count = 4, .ns = 40));
	holds(7, 1, SUMS(.count = 5, .ns = 50, .others = 1, .others_ns = 10));
	has(9, key_of(7, 0), SUMS(.count = 2, .ns = 20));
	has(10, key_of(7, 1), SUMS(.count = 6, .ns = 60, .others = 1, .others_ns = 10));
	t = report(17);
	assert_int_equal(t.ns[0] + t.ns[1], 170);
}

static void test_a_silent_entry_leaves_with_what_it_gets_until_then(void **state)
{
	holds(7, 1, SUMS(.count = 5, .ns = 50));
	report(5);
	report(0);
	ap_kernel_lock_growth_forget(growth);
	assert_int_equal(table[1].mark, 3);
	report(0);
	ap_kernel_lock_growth_forget(growth);
	assert_int_equal(table[1].mark, AP_KERNEL_LOCK_CLOSED);
	/* A program had found it before. */
	table[1].sums.count = 6;
	table[1].sums.ns = 60;
	report(1);
	ap_kernel_lock_growth_forget(growth);
	assert_memory_equal(&table[1], &(struct ap_kernel_lock_entry){0}, sizeof(table[1]));
	/* It comes back, and begins anew. */
	holds(7, 1, SUMS(.count = 2, .ns = 20));
	assert_int_equal(report(2).ns[1], 20);
	ap_kernel_lock_growth_forget(growth);
	assert_int_equal(table[1].mark, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_grew_is_told_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_waits_without_a_place_are_divided_as_the_drawn_ones_say, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_where_nobody_was_drawn_it_goes_as_before,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_processes_and_locks_are_kept_apart, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_an_entry_that_is_being_taken_is_left_alone,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_entries_of_one_key_are_both_told, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_a_silent_entry_leaves_with_what_it_gets_until_then, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
