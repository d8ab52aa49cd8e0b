/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"

#include "profile/merge.h"

static uint32_t string(struct ap_profile *p, const char *s)
{
	uint32_t id;

	assert_int_equal(ap_profile_string(p, ap_str_of(s), &id), 0);
	return id;
}

/* A profile of one row: the stack names[0] > names[1] of the process `comm`. `pad` shifts its ids
 * away from those of other profiles. */
static struct ap_profile *one_row(const char *pad, const char *comm, const char *const names[2],
				  uint64_t count)
{
	struct ap_profile *p = ap_profile_new();
	struct ap_sample s = {.count = count, .value = count * 10, .event = AP_EVENT_CPU};
	struct ap_mapping m = {0};
	struct ap_label label;
	uint32_t frames[2];

	assert_non_null(p);
	string(p, pad);
	for (int i = 0; i < 2; i++) {
		struct ap_function f = {.name = string(p, names[i]), .start_line = 7};
		struct ap_frame frame = {.offset = 0x10, .line = 9};

		m.path = string(p, "/bin/x");
		m.build_id = string(p, "abcd");
		assert_int_equal(ap_profile_mapping(p, &m, &frame.mapping), 0);
		assert_int_equal(ap_profile_function(p, &f, &frame.function), 0);
		assert_int_equal(ap_profile_frame(p, &frame, &frames[i]), 0);
	}
	label = (struct ap_label){string(p, "comm"), string(p, comm)};
	assert_int_equal(ap_profile_labels(p, &label, 1, &s.labels), 0);
	assert_int_equal(ap_profile_stack(p, frames, 2, AP_REASON_BAD_CFA, &s.stack), 0);
	assert_int_equal(ap_profile_add(p, &s), 0);
	p->start_ns = (int64_t)count * 100;
	p->end_ns = p->start_ns + 50;
	p->period_ns = 10;
	return p;
}

static void check_row(const struct ap_profile *p, size_t i, const char *comm, const char *leaf)
{
	const struct ap_sample *s = &p->samples.p[i];
	struct ap_stack stack = ap_profile_get_stack(p, s->stack);
	const struct ap_frame *f;

	assert_true(ap_str_is(ap_profile_label_value(p, s->labels, AP_STR("comm")), comm));
	assert_int_equal(stack.n, 2);
	assert_int_equal(stack.reason, AP_REASON_BAD_CFA);
	f = ap_profile_get_frame(p, stack.frames[1]);
	assert_int_equal(f->offset, 0x10);
	assert_int_equal(f->line, 9);
	assert_true(
		ap_str_is(ap_profile_str(p, ap_profile_get_function(p, f->function)->name), leaf));
	assert_true(ap_str_is(ap_profile_str(p, ap_profile_get_mapping(p, f->mapping)->build_id),
			      "abcd"));
}

static void test_merge(void **state)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *into = ap_profile_new();
	_cleanup_(ap_cleanup_profile) struct ap_profile *a =
		one_row("x", "web", (const char *const[]){"main", "spin"}, 1);
	_cleanup_(ap_cleanup_profile) struct ap_profile *b =
		one_row("main", "db", (const char *const[]){"run", "spin"}, 2);

	assert_int_equal(ap_profile_merge(into, a), 0);
	assert_int_equal(ap_profile_merge(into, b), 0);
	assert_int_equal(ap_profile_merge(into, a), 0);
	assert_int_equal(into->samples.n, 3);
	check_row(into, 0, "web", "spin");
	check_row(into, 1, "db", "spin");
	check_row(into, 2, "web", "spin");
	assert_int_equal(into->samples.p[0].stack, into->samples.p[2].stack);
	assert_int_not_equal(into->samples.p[0].stack, into->samples.p[1].stack);
	assert_int_equal(into->samples.p[1].value, 20);
	assert_int_equal(into->start_ns, 100);
	assert_int_equal(into->end_ns, 250);
	assert_int_equal(into->period_ns, 10);
	assert_int_equal(ap_intern_count(into->frames), 4); /* main, run, spin and id 0 */
}

static void test_merge_periods(void **state)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *a =
		one_row("x", "web", (const char *const[]){"main", "spin"}, 1);
	_cleanup_(ap_cleanup_profile) struct ap_profile *b =
		one_row("x", "web", (const char *const[]){"main", "spin"}, 1);

	b->period_ns = 20;
	assert_int_equal(ap_profile_merge(a, b), 0);
	assert_int_equal(a->period_ns, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_merge_periods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
