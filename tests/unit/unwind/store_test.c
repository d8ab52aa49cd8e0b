/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "unwind/store.h"

#include "base/clock.h"

#define ROOM 1000u /* words for tables */
#define REST AP_STORE_REST_NS

/* A table as a file has it: one page, `n_rows` rows, each with a rule of its own. */
struct file {
	struct ap_unwind_table t;
	struct ap_rule rules[8];
	uint32_t words[ROOM + 1];
};

struct fixture {
	uint32_t *words;
	struct ap_table_store *store;
};

static struct fixture begin(void)
{
	struct fixture f = {.words = calloc(AP_TABLES_AT + ROOM, sizeof(uint32_t))};

	f.store = ap_table_store_new(f.words, AP_TABLES_AT + ROOM);
	assert_true(f.words && f.store);
	return f;
}

static void end(struct fixture *f)
{
	ap_table_store_free(f->store);
	free(f->words);
}

/* `offset` tells tables apart; `order` shuffles the numbers of their rules. */
static struct file *make(uint32_t n_words, int32_t offset, uint32_t order)
{
	struct file *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->t = (struct ap_unwind_table){.rules = f->rules,
					.words = f->words,
					.n_rules = 8,
					.n_words = n_words,
					.first_page = 3,
					.n_pages = 1,
					.shift = 12};
	for (uint32_t i = 1; i < 8; i++)
		f->rules[i] = (struct ap_rule){.cfa = AP_CFA_REGISTER,
					       .cfa_offset = offset + (int32_t)(i ^ order)};
	f->words[0] = 2;
	f->words[1] = n_words;
	for (uint32_t i = 2; i < n_words; i++)
		f->words[i] = (i & 0xffff) | (i % 2 ? 3 ^ order : AP_RULE_NONE) << 16;
	return f;
}

static int add(struct fixture *f, uint32_t n_words, int32_t offset, uint64_t now, uint32_t *ret)
{
	struct file *file = make(n_words, offset, 0);
	struct ap_file_ref ref = {0};
	int r = ap_table_store_add(f->store, &file->t, now, &ref);

	*ret = ref.at;
	free(file);
	return r;
}

static struct ap_table_store_stats stats(const struct fixture *f)
{
	struct ap_table_store_stats s;

	ap_table_store_get_stats(f->store, &s);
	return s;
}

static void a_table_reads_back_with_the_rules_of_all(void **state)
{
	struct fixture f = begin();
	struct file *file = make(20, 100, 0);
	struct ap_file_ref ref = {.file = 7, .flags = 9};
	uint32_t other;

	assert_int_equal(add(&f, 30, 500, 0, &other), 0);
	assert_int_equal(ap_table_store_add(f.store, &file->t, 0, &ref), 0);
	assert_true(ref.at >= AP_TABLES_AT && ref.at != other);
	assert_int_equal(ref.file, 7);
	assert_int_equal(ref.flags, 9);
	assert_int_equal(ref.first_page, 3);
	assert_int_equal(ref.n_pages, 1);
	assert_int_equal(ref.shift, 12);
	assert_memory_equal(f.words + ref.at, file->words, 8);
	for (uint32_t i = 2; i < 20; i++) {
		uint32_t row = f.words[ref.at + i], own = file->words[i];

		assert_int_equal(row & 0xffff, own & 0xffff);
		assert_memory_equal(f.words + (size_t)(row >> 16) * AP_RULE_WORDS,
				    &file->rules[own >> 16], sizeof(struct ap_rule));
	}
	free(file);
	end(&f);
}

static void equal_tables_are_one(void **state)
{
	struct fixture f = begin();
	uint32_t a, b, c;

	assert_int_equal(add(&f, 50, 0, 0, &a), 0);
	assert_int_equal(add(&f, 50, 0, 0, &b), 0);
	assert_int_equal(add(&f, 50, 1, 0, &c), 0);
	assert_int_equal(a, b);
	assert_int_not_equal(a, c);
	assert_int_equal(stats(&f).tables, 2);
	assert_int_equal(stats(&f).table_bytes, 400);
	assert_int_equal(stats(&f).capacity_bytes, ROOM * 4);
	ap_table_store_release(f.store, a, 5);
	assert_int_equal(stats(&f).held, 2);
	ap_table_store_release(f.store, a, 6);
	assert_int_equal(stats(&f).held, 1);
	assert_int_equal(stats(&f).tables, 2);
	/* It was not needed elsewhere: it is found again. */
	assert_int_equal(add(&f, 50, 0, 7, &b), 0);
	assert_int_equal(a, b);
	assert_int_equal(stats(&f).held, 2);
	end(&f);
}

static void the_same_rules_otherwise_numbered_are_shared(void **state)
{
	struct fixture f = begin();
	struct file *a = make(20, 0, 0), *b = make(20, 0, 7);
	struct ap_file_ref x, y;

	assert_int_equal(ap_table_store_add(f.store, &a->t, 0, &x), 0);
	assert_int_equal(stats(&f).rules, 2 + 7);
	assert_int_equal(ap_table_store_add(f.store, &b->t, 0, &y), 0);
	assert_int_equal(stats(&f).rules, 2 + 8); /* 3 ^ 7 is new, as is 7 ^ 7 */
	assert_int_equal(f.words[x.at + 3], f.words[y.at + 3]);
	free(a);
	free(b);
	end(&f);
}

static void room_is_made_by_the_longest_released_after_their_rest(void **state)
{
	struct fixture f = begin();
	uint32_t a, b, c, d;

	assert_int_equal(add(&f, 400, 0, 0, &a), 0);
	assert_int_equal(add(&f, 400, 100, 0, &b), 0);
	assert_int_equal(add(&f, 300, 200, 0, &c), -ENOSPC);
	assert_int_equal(stats(&f).refusals, 1);
	ap_table_store_release(f.store, b, 10);
	ap_table_store_release(f.store, a, 20);
	assert_int_equal(add(&f, 300, 200, 9 + REST, &c), -ENOSPC);
	assert_int_equal(add(&f, 300, 200, 10 + REST, &c), 0);
	assert_int_equal(c, b);
	assert_int_equal(stats(&f).evictions, 1);
	assert_int_equal(stats(&f).tables, 2);
	/* The rest of b's words, with those behind it. */
	assert_int_equal(add(&f, 300, 300, 10 + REST, &d), 0);
	assert_int_equal(d, b + 300);
	assert_int_equal(stats(&f).evictions, 1);
	/* What never fits costs nobody anything. */
	assert_int_equal(add(&f, 401, 400, 99 * REST, &d), -ENOSPC);
	assert_int_equal(stats(&f).evictions, 1);
	assert_int_equal(add(&f, 400, 400, 99 * REST, &d), 0);
	assert_int_equal(d, a);
	end(&f);
}

static void released_neighbours_make_one_room(void **state)
{
	struct fixture f = begin();
	uint32_t at[10], all;

	for (int32_t i = 0; i < 10; i++)
		assert_int_equal(add(&f, 100, 10 * i, 0, &at[i]), 0);
	for (uint32_t i = 0; i < 10; i++)
		ap_table_store_release(f.store, at[i * 7 % 10], i);
	assert_int_equal(add(&f, ROOM, 999, 2 * REST, &all), 0);
	assert_int_equal(all, AP_TABLES_AT);
	assert_int_equal(stats(&f).evictions, 10);
	assert_int_equal(stats(&f).rules, 2 + 7);
	end(&f);
}

/* A table of `n` rules that nobody else has. */
static uint32_t add_rules(struct fixture *f, uint32_t n, int32_t offset, uint64_t now,
			  uint32_t *ret_unsupported)
{
	struct ap_rule *rules = calloc(n, sizeof(*rules));
	uint32_t *words = calloc(n + 2, sizeof(*words));
	struct ap_unwind_table t = {
		.rules = rules, .words = words, .n_rules = n, .n_words = n + 2, .n_pages = 1};
	struct ap_file_ref ref;

	assert_true(rules && words);
	for (uint32_t i = 1; i < n; i++) {
		rules[i] = (struct ap_rule){.cfa = AP_CFA_DEREF, .cfa_offset = offset + (int32_t)i};
		words[i + 2] = i | i << 16;
	}
	assert_int_equal(ap_table_store_add(f->store, &t, now, &ref), 0);
	*ret_unsupported = 0;
	for (uint32_t i = 2; i < n + 2; i++)
		*ret_unsupported += f->words[ref.at + i] >> 16 == 1;
	free(rules);
	free(words);
	return ref.at;
}

static void no_file_fills_the_dictionary(void **state)
{
	struct fixture f = {.words = calloc(AP_TABLES_AT + 100000, sizeof(uint32_t))};
	uint32_t at[8], cut, n_cut = 0;

	f.store = ap_table_store_new(f.words, AP_TABLES_AT + 100000);
	assert_true(f.words && f.store);
	for (int32_t i = 0; i < 8; i++) {
		at[i] = add_rules(&f, AP_TABLE_RULES_MAX, i * 100000, 0, &cut);
		assert_true(i > 1 || cut == 0);
		n_cut += cut;
	}
	assert_true(n_cut > 0);
	assert_int_equal(stats(&f).rules_refused, n_cut);
	assert_true(stats(&f).rules < AP_RULES_MAX);
	/* An ordinary file has its rules still. */
	add_rules(&f, 20, -1000, 0, &cut);
	assert_int_equal(cut, 0);
	/* Those of tables that nobody holds make way, though there are words enough. */
	for (uint32_t i = 0; i < 8; i++)
		ap_table_store_release(f.store, at[i], 5);
	add_rules(&f, AP_TABLE_RULES_MAX, -100000, 5 + REST, &cut);
	assert_int_equal(cut, 0);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_reads_back_with_the_rules_of_all),
		cmocka_unit_test(equal_tables_are_one),
		cmocka_unit_test(the_same_rules_otherwise_numbered_are_shared),
		cmocka_unit_test(room_is_made_by_the_longest_released_after_their_rest),
		cmocka_unit_test(released_neighbours_make_one_room),
		cmocka_unit_test(no_file_fills_the_dictionary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
