/* SPDX-License-Identifier: Apache-2.0 */
/* Symbols that come after the samples, on the real engine: what is missing, what a put renames, in
 * the buffer, in the store, and after a restart. */
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "../../test.h"
#include "checks.h"

#define APP   AP_STR("aa11")
#define OTHER AP_STR("bb22")

static struct fixture f;

static int setup(void **state)
{
	fixture_begin(&f);
	return 0;
}

static int teardown(void **state)
{
	fixture_end(&f);
	return 0;
}

struct place {
	const char *build_id, *module;
	uint64_t offset;
	const char *function, *file; /* NULL: none */
	uint16_t inline_index;
};

static uint32_t place(struct ap_profile *p, const struct place *at)
{
	struct ap_function fn = {0};
	struct ap_mapping m = {0};
	struct ap_frame fr = {.offset = at->offset,
			      .inline_index = at->inline_index,
			      .kind = at->inline_index ? AP_FRAME_INLINED : AP_FRAME_NATIVE};
	uint32_t id;

	ap_profile_string(p, ap_str_of(at->module), &m.path);
	ap_profile_string(p, ap_str_of(at->build_id), &m.build_id);
	ap_profile_mapping(p, &m, &fr.mapping);
	if (at->function) {
		ap_profile_string(p, ap_str_of(at->function), &fn.name);
		ap_profile_string(p, ap_str_of(at->file ?: ""), &fn.file);
		ap_profile_function(p, &fn, &fr.function);
	}
	assert_int_equal(ap_profile_frame(p, &fr, &id), 0);
	return id;
}

static const struct place outer = {"aa11", "/bin/app", 0x10, NULL, NULL, 0},
			  middle = {"aa11", "/bin/app", 0x20, NULL, NULL, 0},
			  nearest = {"aa11", "/bin/app", 0x30, "nearest", NULL, 0},
			  full = {"aa11", "/bin/app", 0x40, "full", "full.c", 0},
			  within = {"aa11", "/bin/app", 0x40, "within", "full.c", 1},
			  library = {"bb22", "/lib/other.so", 0x10, NULL, NULL, 0},
			  nowhere = {"", "/bin/old", 0x77, NULL, NULL, 0};

static void push_stack(int64_t second, const struct place *const *places, uint64_t count)
{
	struct ap_profile *p = ap_profile_new();
	uint32_t frames[16], n = 0, id;

	for (; places[n]; n++)
		frames[n] = place(p, places[n]);
	assert_int_equal(ap_profile_stack(p, frames, n, AP_REASON_OK, &id), 0);
	sample(p, second, "service=app", id, count);
	push(&f, p, "h1", second, second + 1);
}

static void push_all(int64_t second)
{
	push_stack(second, (const struct place *const[]){&outer, &middle, &library, NULL}, 4);
	push_stack(second, (const struct place *const[]){&outer, &nearest, &middle, NULL}, 2);
	push_stack(second, (const struct place *const[]){&outer, &full, &within, NULL}, 1);
	push_stack(second, (const struct place *const[]){&nowhere, NULL}, 1);
}

/* The tree in preorder: dashes for depth, the name, ' for inlined, its own samples. */
static void expect_tree(int64_t from, int64_t to, const char *want)
{
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_query q = query(from, to);
	struct ap_coverage c;
	struct ap_error err = {0};

	if (ap_query_flamegraph(f.queries, &q, &t, &c, &err) < 0)
		fail_msg("%s", err.msg);
	for (uint32_t i = 1; i < t->n; i++)
		ap_buf_printf(&b, "%.*s%.*s%s=%llu ", (int)t->depth[i] - 1, "--------",
			      AP_STR_ARG(t->strings[t->name[i]]),
			      t->kind[i] == AP_FRAME_INLINED ? "'" : "",
			      (unsigned long long)t->self[0][i]);
	ap_buf_byte(&b, 0);
	assert_string_equal((const char *)b.p, want);
}

#define BEFORE                                                                      \
	"app+0x10=0 -app+0x20=0 --other.so+0x10=4 -nearest=0 --app+0x20=2 -full=0 " \
	"--within'=1 old+0x77=1 "
#define AFTER                                                                                \
	"start=0 -work=0 --leaf'=0 ---other.so+0x10=4 -right=0 --work=0 ---leaf'=2 -full=0 " \
	"--within'=1 old+0x77=1 "

static void expect_missing(struct ap_str build_id, const uint64_t *after, size_t limit,
			   const char *want, size_t want_total, size_t unnamed)
{
	_cleanup_(ap_missing_symbols_free) struct ap_missing_symbols m = {0};
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_error err = {0};

	if (ap_query_missing_symbols(f.queries, build_id, after, limit, &m, &err) < 0)
		fail_msg("%s", err.msg);
	for (size_t i = 0; i < m.n; i++)
		ap_buf_printf(&b, "%llx ", (unsigned long long)m.offsets[i]);
	ap_buf_byte(&b, 0);
	assert_string_equal((const char *)b.p, want);
	assert_int_equal(m.total, want_total);
	assert_int_equal(m.unnamed, unnamed);
}

static struct ap_symbol_level level(const char *name, const char *file, uint32_t line)
{
	return (struct ap_symbol_level){ap_str_of(name), AP_STR(""), ap_str_of(file), line, 1};
}

static struct ap_put_symbols put(const uint64_t *offsets, const struct ap_symbol *symbols, size_t n)
{
	struct ap_put_symbols counts;
	struct ap_error err = {0};

	if (ap_query_put_symbols(f.queries, APP, offsets, symbols, n, &counts, &err) < 0)
		fail_msg("%s", err.msg);
	return counts;
}

static void put_debug_info(void)
{
	const struct ap_symbol_level start = level("start", "app.c", 3),
				     right = level("right", "", 0),
				     full_again = level("lesser", "", 0),
				     work[] = {level("work", "app.c", 9),
					       level("leaf", "leaf.h", 2)};
	const uint64_t offsets[] = {0x10, 0x20, 0x30, 0x40, 0x99};
	const struct ap_symbol symbols[] = {
		{&start, 1}, {work, 2}, {&right, 1}, {&full_again, 1}, {&start, 1}};
	struct ap_put_symbols counts = put(offsets, symbols, AP_ARRAY_SIZE(offsets));

	assert_int_equal(counts.stored, 3);
	assert_int_equal(counts.unchanged, 1);
	assert_int_equal(counts.unknown, 1);
}

static void modules_are_ranked_by_what_they_hide(void **state)
{
	_cleanup_(ap_cleanup_modules) struct ap_modules *m = NULL;
	struct ap_query q = query(T0, T0 + 10);
	struct ap_coverage c;
	struct ap_error err = {0};

	push_all(T0);
	assert_int_equal(ap_query_modules(f.queries, &q, 2, &m, &c, &err), 0);
	assert_int_equal(m->n_modules, 3);
	assert_int_equal(m->total, 8);
	assert_string_equal(c.truncated, "modules");
	assert_int_equal(c.cut, 1);
	assert_int_equal(m->n, 2);
	assert_true(ap_str_is(m->rows[0].path, "/bin/app"));
	assert_true(ap_str_is(m->rows[0].build_id, "aa11"));
	assert_int_equal(m->rows[0].total, 7); /* each stack once */
	assert_int_equal(m->rows[0].self, 2);
	assert_int_equal(m->rows[0].frames, 2);
	assert_true(ap_str_is(m->rows[1].path, "/lib/other.so"));
	assert_int_equal(m->rows[1].total, 4);
	assert_int_equal(m->rows[1].self, 4);
}

static void what_is_missing_is_told_page_by_page(void **state)
{
	struct ap_missing_symbols m;
	struct ap_error err = {0};
	uint64_t after = 0x10;

	for (int stored = 0; stored < 2; stored++) {
		expect_missing(APP, NULL, 100, "10 20 30 ", 3, 2);
		expect_missing(APP, NULL, 1, "10 ", 3, 2);
		expect_missing(APP, &after, 100, "20 30 ", 3, 2);
		expect_missing(OTHER, NULL, 100, "10 ", 1, 1);
		assert_int_equal(
			ap_query_missing_symbols(f.queries, AP_STR("cc33"), NULL, 9, &m, &err),
			-ENOENT);
		fixture_flush(&f);
	}
}

static void a_put_renames_what_is_stored(void **state)
{
	push_all(T0 + 100);
	expect_tree(T0, T0 + 10, BEFORE);
	put_debug_info();
	expect_tree(T0, T0 + 10, AFTER);
	expect_tree(T0 + 100, T0 + 110, AFTER); /* of the buffer */
	expect_missing(APP, NULL, 100, "30 ", 1, 0);
	expect_missing(OTHER, NULL, 100, "10 ", 1, 1);
}

static void it_lasts(void **state)
{
	fixture_flush(&f);
	fixture_close(&f);
	fixture_open(&f);
	push_all(T0 + 200);
	expect_tree(T0 + 200, T0 + 210, AFTER); /* what comes later is renamed too */
	expect_tree(T0, T0 + 10, AFTER);
	expect_tree(T0 + 100, T0 + 110, AFTER);
}

static void the_newest_wins_unless_it_is_lesser(void **state)
{
	const struct ap_symbol_level named = level("named", "", 0),
				     better = level("better", "x.c", 1);
	const uint64_t offset = 0x20;
	struct ap_put_symbols counts = put(&offset, &(struct ap_symbol){&named, 1}, 1);

	assert_int_equal(counts.unchanged, 1);
	counts = put(&offset, &(struct ap_symbol){&better, 1}, 1);
	assert_int_equal(counts.stored, 1);
	expect_tree(T0, T0 + 10,
		    "start=0 -better=0 --other.so+0x10=4 -right=0 --better=2 -full=0 "
		    "--within'=1 old+0x77=1 ");
}

static void only_modules_of_samples_are_taken(void **state)
{
	const struct ap_symbol_level name = level("name", "", 0);
	const uint64_t offset = 0x10;
	struct ap_put_symbols counts;
	struct ap_error err = {0};

	assert_int_equal(ap_query_put_symbols(f.queries, AP_STR("cc33"), &offset,
					      &(struct ap_symbol){&name, 1}, 1, &counts, &err),
			 -ENOENT);
	assert_int_equal(ap_query_put_symbols(f.queries, APP, &offset,
					      &(struct ap_symbol){&name, 0}, 1, &counts, &err),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modules_are_ranked_by_what_they_hide),
		cmocka_unit_test(what_is_missing_is_told_page_by_page),
		cmocka_unit_test(a_put_renames_what_is_stored),
		cmocka_unit_test(it_lasts),
		cmocka_unit_test(the_newest_wins_unless_it_is_lesser),
		cmocka_unit_test(only_modules_of_samples_are_taken),
	};

	ENGINE_TESTS_OR_SKIP();
	return cmocka_run_group_tests(tests, setup, teardown);
}
