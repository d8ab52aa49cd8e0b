/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "unwind/rules.h"
#include "unwind/store.h"

static struct ap_rule rule(int32_t offset)
{
	return (struct ap_rule){.cfa = AP_CFA_REGISTER, .cfa_offset = offset};
}

static struct ap_rules *make(uint32_t **words)
{
	struct ap_rules *r;

	*words = calloc(AP_TABLES_AT, sizeof(**words));
	r = ap_rules_new(*words);
	assert_true(*words && r);
	return r;
}

static uint32_t take(struct ap_rules *r, int32_t offset, uint64_t now)
{
	struct ap_rule x = rule(offset);

	return ap_rules_take(r, &x, now);
}

static void equal_rules_have_one_number(void **state)
{
	static const struct ap_rule none, unsupported = {.cfa = AP_CFA_UNSUPPORTED};
	struct ap_rule x = rule(8);
	uint32_t *words, a, b;
	struct ap_rules *r = make(&words);

	assert_int_equal(ap_rules_find(r, &x), AP_RULE_UNSUPPORTED);
	a = take(r, 8, 0);
	b = take(r, 16, 0);
	assert_int_not_equal(a, b);
	assert_int_equal(take(r, 8, 0), a);
	assert_int_equal(ap_rules_find(r, &x), a);
	assert_memory_equal(words + a * AP_RULE_WORDS, &x, sizeof(x));
	assert_int_equal(ap_rules_take(r, &none, 0), AP_RULE_NONE);
	assert_int_equal(ap_rules_take(r, &unsupported, 0), AP_RULE_UNSUPPORTED);
	ap_rules_drop(r, AP_RULE_NONE, 0);
	ap_rules_drop(r, AP_RULE_UNSUPPORTED, 0);
	assert_int_equal(ap_rules_used(r), 4);
	ap_rules_drop(r, a, 0);
	assert_int_equal(ap_rules_used(r), 4);
	ap_rules_drop(r, a, 0);
	assert_int_equal(ap_rules_used(r), 3);
	/* It is there still, and may be taken again. */
	assert_int_equal(take(r, 8, 0), a);
	ap_rules_free(r);
	free(words);
}

static void numbers_are_used_again_after_their_rest_alone(void **state)
{
	const int32_t room = AP_RULES_MAX - 2;
	uint32_t *words, first, second;
	struct ap_rules *r = make(&words);
	struct ap_rule x = rule(0);

	first = take(r, 0, 0);
	second = take(r, 1, 0);
	for (int32_t i = 2; i < room; i++)
		assert_true(take(r, i, 0) > AP_RULE_UNSUPPORTED);
	assert_int_equal(take(r, room, 0), AP_RULE_UNSUPPORTED);
	ap_rules_drop(r, second, 100);
	ap_rules_drop(r, first, 200);
	assert_int_equal(take(r, room, 99 + AP_STORE_REST_NS), AP_RULE_UNSUPPORTED);
	assert_int_equal(take(r, room, 100 + AP_STORE_REST_NS), second);
	assert_int_equal(take(r, room + 1, 100 + AP_STORE_REST_NS), AP_RULE_UNSUPPORTED);
	assert_int_equal(take(r, room + 1, 200 + AP_STORE_REST_NS), first);
	assert_int_equal(ap_rules_find(r, &x), AP_RULE_UNSUPPORTED);
	x = rule(room + 1);
	assert_memory_equal(words + first * AP_RULE_WORDS, &x, sizeof(x));
	ap_rules_free(r);
	free(words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_rules_have_one_number),
		cmocka_unit_test(numbers_are_used_again_after_their_rest_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
