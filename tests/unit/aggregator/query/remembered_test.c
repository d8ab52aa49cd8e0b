/* SPDX-License-Identifier: Apache-2.0 */
/* A server that remembers blocks which it has then failed to put in their place: when they come again it takes them and
 * does nothing. Rows are made by the real engine; what is remembered is the test's. */
#include <spawn.h>
#include <sys/wait.h>

#include "../../test.h"
#include "aggregator/store/rollup.h"
#include "fixture.h"

enum { NAMES_MAX = 64, COUNT = 7 };

static const struct ap_store_driver *real;
static struct ap_store_driver forgetful;
static struct {
	char names[NAMES_MAX][128];
	size_t n;
	const char *failing; /* the table whose next insert fails and is remembered; NULL: none */
	bool comes_about;    /* although it fails */
	int left_out;
} memory;

/* By its name, or by what is in it: here, of which table it is. */
static bool is_known(const char *table, const char *token)
{
	char name[128];

	snprintf(name, sizeof(name), "%s %s", table, token ?: "");
	for (size_t i = 0; i < memory.n; i++)
		if (strcmp(memory.names[i], name) == 0)
			return true;
	assert_true(memory.n < NAMES_MAX);
	strcpy(memory.names[memory.n++], name);
	return false;
}

static int insert(struct ap_store *s, const char *table, const struct ap_native_block *block,
		  const char *token, struct ap_error *err)
{
	int r = 0;

	if (is_known(table, token)) {
		memory.left_out++;
		return 0;
	}
	if (!memory.failing || strcmp(memory.failing, table) != 0)
		return real->insert(s, table, block, AP_STORE_ANEW, err);
	memory.failing = NULL;
	if (memory.comes_about)
		r = real->insert(s, table, block, AP_STORE_ANEW, err);
	return r < 0 ? r : ap_error_set(err, -ENOSPC, "no space left on device");
}

/* Sums are told apart by their name, or else by their table. */
static int insert_select(struct ap_store *s, struct ap_str sql, const char *token,
			 struct ap_error *err)
{
	char table[32];
	int r = 0;

	assert_int_equal(sscanf(sql.p, "INSERT INTO %31s", table), 1);
	if (is_known(table, token)) {
		memory.left_out++;
		return 0;
	}
	if (!memory.failing || strcmp(memory.failing, table) != 0)
		return real->insert_select(s, sql, AP_STORE_ANEW, err);
	memory.failing = NULL;
	if (memory.comes_about)
		r = real->insert_select(s, sql, AP_STORE_ANEW, err);
	return r < 0 ? r : ap_error_set(err, -ENOSPC, "no space left on device");
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fixture_begin(f);
	real = f->store->driver;
	forgetful = *real;
	forgetful.inserts_end = false;
	forgetful.insert = insert;
	forgetful.insert_select = insert_select;
	f->store->driver = &forgetful;
	memset(&memory, 0, sizeof(memory));
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	f->store->driver = real;
	fixture_end(f);
	free(f);
	return 0;
}

static void push_one(struct fixture *f)
{
	struct ap_profile *p = ap_profile_new();

	sample(p, T0, "service=web", stack(p, "main;f", "/app", 0), COUNT);
	push(f, p, "h1", T0, T0 + 1);
}

/* Rows of samples, of the names of their frames and of the ledger's batches, in the store alone. */
static void stored_are(struct fixture *f, uint64_t samples, uint64_t frames, uint64_t batches)
{
	const struct {
		const char *sql;
		uint64_t expected;
	} counts[] = {
		{"SELECT sum(count) FROM samples", samples},
		{"SELECT uniqExact(id) FROM frames", frames},
		{"SELECT countIf(kind = 2) FROM ledger", batches},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(counts); i++) {
		struct ap_error err = {0};
		uint64_t n = 0;

		assert_int_equal(ap_store_query_uint(f->store, counts[i].sql, &n, &err), 0);
		if (n != counts[i].expected)
			fail_msg("%s: %llu", counts[i].sql, (unsigned long long)n);
	}
}

static void flush(struct fixture *f, uint64_t failures)
{
	struct ap_writer *w = fixture_writer(f, AP_NSEC_PER_MSEC);
	struct ap_writer_stats s;

	assert_int_equal(ap_writer_flush(w, ap_clock_mono_ns() + 60 * AP_NSEC_PER_SEC), 0);
	ap_writer_get_stats(w, &s);
	assert_int_equal(s.flushes_failed, failures);
	ap_writer_stop(w);
}

static void fail_in_turn(struct fixture *f, bool comes_about)
{
	static const char *const tables[] = {"frames", "stacks", "samples", "ledger"};

	for (uint64_t i = 0; i < AP_ARRAY_SIZE(tables); i++) {
		bool once = i >= 2;

		memset(&memory, 0, sizeof(memory));
		memory.failing = tables[i];
		memory.comes_about = comes_about;
		push_one(f);
		flush(f, 1);
		assert_int_equal(memory.left_out, once && !comes_about);
		stored_are(f, (i + 1) * COUNT, 2, i + 1);
	}
}

static void what_is_remembered_and_not_there_comes_again(void **state)
{
	fail_in_turn(*state, false);
}

static void what_came_about_is_not_doubled(void **state)
{
	fail_in_turn(*state, true);
}

static void sums_are(struct fixture *f, const char *table, uint64_t expected)
{
	struct ap_error err = {0};
	uint64_t n = 0;
	char sql[64];

	snprintf(sql, sizeof(sql), "SELECT sum(count) FROM %s", table);
	assert_int_equal(ap_store_query_uint(f->store, sql, &n, &err), 0);
	if (n != expected)
		fail_msg("%s: %llu", table, (unsigned long long)n);
}

/* An insert of sums of each table fails; the next job makes the range whole. */
static void fail_sums_in_turn(struct fixture *f, bool comes_about)
{
	static const struct {
		const char *table;
		enum ap_rollup_level level;
	} tables[] = {{"samples_1h", AP_ROLLUP_HOUR},
		      {"ledger_1h", AP_ROLLUP_HOUR},
		      {"samples_1d", AP_ROLLUP_DAY}};
	struct ap_rollup *rollup;
	struct ap_error err = {0};

	assert_int_equal(
		ap_rollup_new(&(struct ap_rollup_options){.store = f->store}, &rollup, &err), 0);
	for (uint64_t i = 0; i < AP_ARRAY_SIZE(tables); i++) {
		memset(&memory, 0, sizeof(memory));
		push_one(f);
		flush(f, 0);
		if (tables[i].level == AP_ROLLUP_DAY)
			assert_int_equal(ap_rollup_run(rollup, AP_ROLLUP_HOUR,
						       ap_buffer_watermark(f->buffer), &err),
					 0);
		memory.failing = tables[i].table;
		memory.comes_about = comes_about;
		assert_int_equal(ap_rollup_run(rollup, tables[i].level,
					       ap_buffer_watermark(f->buffer), &err),
				 -ENOSPC);
		for (int level = AP_ROLLUP_HOUR; level <= AP_ROLLUP_DAY; level++)
			assert_int_equal(ap_rollup_run(rollup, (enum ap_rollup_level)level,
						       ap_buffer_watermark(f->buffer), &err),
					 0);
		assert_int_equal(memory.left_out, !comes_about);
		sums_are(f, "samples_1h", (i + 1) * COUNT);
		sums_are(f, "samples_1d", (i + 1) * COUNT);
		sums_are(f, "ledger_1h WHERE kind = 2", (i + 1) * COUNT);
	}
	ap_rollup_free(rollup);
}

static void sums_that_are_remembered_and_not_there_are_made(void **state)
{
	fail_sums_in_turn(*state, false);
}

static void sums_that_came_about_are_not_doubled(void **state)
{
	fail_sums_in_turn(*state, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_remembered_and_not_there_comes_again,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_came_about_is_not_doubled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sums_that_are_remembered_and_not_there_are_made,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(sums_that_came_about_are_not_doubled, set_up,
						tear_down),
	};

	ENGINE_TESTS_OR_SKIP();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
