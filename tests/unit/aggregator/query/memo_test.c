/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that are kept are those that the store would give. What was pushed is counted here too, and each
 * answer compared with that. */
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "../../test.h"
#include "aggregator/store/peers.h"
#include "aggregator/store/rollup.h"
#include "fixture.h"

enum { SECONDS = 20000, SERVICES = 2, ROUNDS = 400, BATCHES = 4000, DAY_S = 86400 };

static struct fixture f;
static uint64_t pushed[SERVICES][SECONDS]; /* samples by second from T0 on */
static struct {
	int64_t begin, end;
} batches[BATCHES]; /* by second too */
static size_t n_batches;

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

static void push_to(struct fixture *to, int64_t second, int service, uint64_t count)
{
	struct ap_profile *p = ap_profile_new();
	char text[32], path[32];

	snprintf(text, sizeof(text), "service=s%d", service);
	snprintf(path, sizeof(path), "main;f%d", (int)(second % 7));
	sample(p, T0 + second, text, stack(p, path, "/bin/s", 0), count);
	pushed[service][second] += count;
	assert_true(n_batches < BATCHES);
	batches[n_batches].begin = second;
	batches[n_batches].end = second + 1 + second * 7 % 90;
	push(to, p, "h1", T0 + second, T0 + batches[n_batches++].end);
}

static void push_at(int64_t second, int service, uint64_t count)
{
	push_to(&f, second, service, count);
}

static uint64_t expected(int64_t from, int64_t to, int service)
{
	uint64_t sum = 0;

	for (int s = 0; s < SERVICES; s++)
		for (int64_t i = from; i < to && (service < 0 || s == service); i++)
			sum += pushed[s][i];
	return sum;
}

/* Of the batches that overlap the range, whatever they are of. */
static uint64_t expected_lost(int64_t from, int64_t to)
{
	uint64_t lost = 0;

	for (size_t i = 0; i < n_batches; i++)
		lost += batches[i].begin < to && batches[i].end > from ? PUSH_LOST : 0;
	return lost;
}

/* A flame graph of [from, to); service -1: of all. */
static void check(int64_t from, int64_t to, int service)
{
	struct ap_coverage c;

	_cleanup_(ap_cleanup_filter) struct ap_filter *filter = NULL;
	struct ap_query q = query(T0 + from, T0 + to);
	char selector[32];

	snprintf(selector, sizeof(selector), "{service=\"s%d\"}", service);
	if (service >= 0)
		assert_int_equal(ap_filter_parse(ap_str_of(selector), &filter, NULL, NULL), 0);
	q.filter = filter;
	assert_int_equal(total_of(&f, &q, &c), expected(from, to, service));
	assert_int_equal(c.lost, expected_lost(from, to));
}

static struct ap_query_stats stats(void)
{
	struct ap_query_stats s;

	ap_query_engine_get_stats(f.queries, &s);
	return s;
}

static void the_store_is_asked_once(void **state)
{
	struct ap_query_stats before, after;

	push_at(10, 0, 3);
	fixture_flush(&f);
	check(0, 60, -1);
	before = stats();
	check(0, 60, -1);
	after = stats();
	assert_int_equal(after.recalled - before.recalled, 2); /* its stacks, its ledger */
	assert_true(after.memo_bytes > 0);
}

static void and_for_rows_of_the_range_that_came(void **state)
{
	struct ap_query_stats before = stats();

	push_at(59, 0, 5);
	check(0, 60, -1); /* in the buffer: what is kept still holds */
	assert_int_equal(stats().recalled - before.recalled, 2);
	fixture_flush(&f);
	check(0, 60, -1);
	assert_int_equal(stats().recalled - before.recalled, 2);
	assert_int_equal(stats().extended - before.extended, 2);
	push_at(300, 0, 5);
	fixture_flush(&f);
	before = stats();
	check(0, 60, -1); /* others' */
	assert_int_equal(stats().recalled - before.recalled, 2);
}

static void a_range_that_moves_on_keeps_its_middle(void **state)
{
	struct ap_query_stats before = stats();

	for (int64_t second = 0; second < 2400; second += 20)
		push_at(second, 0, 1);
	fixture_flush(&f);
	for (int64_t from = 0; from < 50; from += 10)
		check(from, from + 2300, 0);
	/* Stacks and ledger: all of the first question, the middle of the second, and that for the rest. */
	assert_int_equal(stats().recalled_in_part - before.recalled_in_part, 3 * 2);
}

enum { MINUTE = 40 /* a whole one, from T0 */ };

/* More rows in a minute than are kept by the second. */
static void ends_that_are_too_large_are_asked_for(void **state)
{
	enum { STACKS = 1800, LARGE_FROM = MINUTE + 12000 };
	struct ap_profile *p = ap_profile_new();
	uint64_t before;

	for (int i = 0; i < STACKS; i++) {
		char path[32];
		uint32_t id;

		snprintf(path, sizeof(path), "main;g%d", i);
		id = stack(p, path, "/bin/s", 0);
		for (int64_t second = LARGE_FROM; second < LARGE_FROM + 60; second++)
			sample(p, T0 + second, "service=s0", id, 1);
	}
	for (int64_t second = LARGE_FROM; second < LARGE_FROM + 60; second++)
		pushed[0][second] += STACKS;
	batches[n_batches].begin = LARGE_FROM;
	batches[n_batches++].end = LARGE_FROM + 60;
	push(&f, p, "h1", T0 + LARGE_FROM, T0 + LARGE_FROM + 60);
	fixture_flush(&f);
	before = stats().recalled_ends;
	for (int64_t from = LARGE_FROM + 1; from < LARGE_FROM + 7; from++)
		check(from, from + 1000, 0);
	/* Of the stacks only the right end, which has none, and of the ledger both. */
	assert_int_equal(stats().recalled_ends - before, 3 * 3);
}

static uint64_t ends_recalled(int64_t from)
{
	uint64_t before = stats().recalled_ends;

	check(MINUTE + from, MINUTE + from + 2310, -1);
	return stats().recalled_ends - before;
}

static void and_its_ends(void **state)
{
	uint64_t before;

	assert_int_equal((T0 + MINUTE) % 60, 0);
	assert_int_equal(ends_recalled(1), 0); /* asked for all of it */
	assert_int_equal(ends_recalled(5), 0); /* for both ends */
	assert_int_equal(ends_recalled(12),
			 0); /* by the second, since they would have been of use */
	assert_int_equal(ends_recalled(19), 4); /* two of the stacks, two of the ledger */
	assert_int_equal(ends_recalled(3), 4);
	/* What came since is asked for alone: for the right ends of both, and then for the left ones. */
	before = stats().extended;
	push_at(MINUTE + 2300, 1, 4);
	fixture_flush(&f);
	assert_int_equal(ends_recalled(21), 2);
	assert_int_equal(stats().extended - before, 2);
	assert_int_equal(ends_recalled(8), 4);
	push_at(MINUTE + 25, 1, 4);
	fixture_flush(&f);
	assert_int_equal(ends_recalled(11), 2);
	assert_int_equal(stats().extended - before, 4);
	/* And for middles. */
	push_at(MINUTE + 500, 0, 4);
	fixture_flush(&f);
	assert_int_equal(ends_recalled(24), 4);
	assert_int_equal(stats().extended - before, 6);
	assert_int_equal(ends_recalled(30), 4);
	assert_int_equal(stats().extended - before, 6);
}

/* Mostly of just now, at times of long ago. */
static void push_some(int64_t now)
{
	int64_t late = rand() % 10 == 0 ? rand() % 4000 : rand() % 15;

	push_at(now - late > 0 ? now - late : 0, rand() % SERVICES, 1 + (uint64_t)rand() % 9);
}

static void ask_some(int64_t now)
{
	static const int64_t lengths[] = {120, 900, 3600, 9000};
	int64_t length = lengths[rand() % 4], to = now - rand() % 3 * 7, from;
	int service = rand() % 3 - 1;

	to = to > 0 ? to : 1;
	from = to > length ? to - length : 0;
	check(from, to, service);
	if (rand() % 4 == 0)
		check(from, to, service);
}

static void every_answer_is_exact_whatever_comes_when(void **state)
{
	int64_t now = 2500;

	srand(7);
	for (int i = 0; i < ROUNDS; i++) {
		now += rand() % 40;
		for (int k = rand() % 4; k > 0; k--)
			push_some(now);
		if (rand() % 3 == 0)
			fixture_flush(&f);
		ask_some(now);
	}
	assert_true(now < SECONDS);
	assert_true(stats().recalled > 20);
	assert_true(stats().recalled_in_part > 20);
	assert_true(stats().recalled_ends > 20);
	assert_true(stats().extended > 20);
}

static void what_is_kept_has_its_bound(void **state)
{
	struct ap_query_engine_options o = {
		.store = f.store, .buffer = f.buffer, .max_memo = 20000};
	struct ap_query_engine *large = f.queries;

	assert_int_equal(ap_query_engine_new(&o, &f.queries), 0);
	for (int i = 0; i < 100; i++) {
		check(i, 1000 + 2 * i, i % 3 - 1);
		assert_in_range(stats().memo_bytes, 1, 20000);
	}
	ap_query_engine_free(f.queries);
	f.queries = large;
}

/* Once the store has been looked at again. */
static void check_until_recalled(int64_t from, int64_t to)
{
	uint64_t deadline = ap_clock_mono_ns() + 20 * AP_NSEC_PER_SEC, before = stats().recalled;

	while (stats().recalled == before) {
		if (ap_clock_mono_ns() > deadline)
			fail_msg("nothing is kept");
		check(from, to, -1);
	}
}

static void what_another_stores_is_in_the_next_answer(void **state)
{
	char folder[] = "/tmp/aperture-test-XXXXXX";
	struct fixture other = {.folder = folder};
	struct ap_error err = {0};
	uint64_t recalled;

	if (!engine_is_server())
		skip(); /* its folder is one process's */
	assert_non_null(mkdtemp(folder));
	fixture_open(&other);
	check(0, 60, -1);
	check_until_recalled(0, 60);
	for (int i = 0; i < 2; i++) {
		push_to(&other, 30, 0, 7);
		fixture_flush(&other);
		recalled = stats().recalled;
		check(0, 60, -1);
		push_to(&other, 31, 1, 5);
		fixture_flush(&other);
		check(0, 60, -1);
		assert_int_equal(stats().recalled, recalled);
		/* What was kept before he came is not what there is now. */
		assert_int_equal(ap_peers_leave(other.store, &err), 0);
		check_until_recalled(0, 60);
	}
	fixture_close(&other);
	folder_remove(folder);
}

static void days_that_were_dropped_are_gone(void **state)
{
	_cleanup_(ap_cleanup_rollup) struct ap_rollup *rollup = NULL;
	struct ap_query_engine_options o = {.store = f.store, .buffer = f.buffer};
	struct ap_query_engine *without = f.queries;
	struct ap_query q = query(T0, T0 + 2000);
	struct ap_error err = {0};

	assert_int_equal(
		ap_rollup_new(&(struct ap_rollup_options){.store = f.store}, &rollup, NULL), 0);
	o.rollup = rollup;
	assert_int_equal(ap_query_engine_new(&o, &f.queries), 0);
	fixture_flush(&f);
	check(0, 2000, -1);
	check(0, 2000, -1);
	assert_int_equal(stats().recalled, 2);
	assert_int_equal(
		ap_rollup_note_dropped(rollup, AP_ROLLUP_RAW, (T0 / DAY_S + 1) * DAY_S, &err), 0);
	assert_int_equal(ap_store_alter(f.store, &err, "samples", "DROP PARTITION '2025-11-23'"),
			 0);
	assert_int_equal(total(&f, &q), 0);
	ap_query_engine_free(f.queries);
	f.queries = without;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_store_is_asked_once),
		cmocka_unit_test(and_for_rows_of_the_range_that_came),
		cmocka_unit_test(a_range_that_moves_on_keeps_its_middle),
		cmocka_unit_test(and_its_ends),
		cmocka_unit_test(ends_that_are_too_large_are_asked_for),
		cmocka_unit_test(every_answer_is_exact_whatever_comes_when),
		cmocka_unit_test(what_is_kept_has_its_bound),
		cmocka_unit_test(what_another_stores_is_in_the_next_answer),
		cmocka_unit_test(days_that_were_dropped_are_gone),
	};

	ENGINE_TESTS_OR_SKIP();
	return cmocka_run_group_tests(tests, setup, teardown);
}
