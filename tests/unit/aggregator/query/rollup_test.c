/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever the rollups have got to, and wherever their job was cut off, each answer is what the rows
 * themselves give: random batches of four days, many of them late. */
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

#include "../../test.h"
#include "answers.h"
#include "syscall_checks.h"

enum { DAY = 86400, DAYS = 4, QUESTIONS = 5 };
#define BEGIN ((int64_t)T0 / DAY * DAY)

static struct fixture f; /* its questions are answered from raw rows alone */
static struct ap_rollup *rollup;
static struct ap_query_engine *with_rollups;
static uint64_t seed = 1;

static uint64_t random_number(uint64_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % below;
}

static uint64_t hold_ns; /* 0: the store is taken for one that syncs */

static void open_rollups(void)
{
	struct ap_query_engine_options o = {.store = f.store, .buffer = f.buffer};
	const struct ap_rollup_options sums = {
		.store = f.store, .hold_ns = hold_ns, .folder = hold_ns ? f.folder : NULL};
	struct ap_error err = {0};

	if (ap_rollup_new(&sums, &rollup, &err) < 0)
		fail_msg("%s", err.msg);
	o.rollup = rollup;
	assert_int_equal(ap_query_engine_new(&o, &with_rollups), 0);
}

static void close_rollups(void)
{
	ap_query_engine_free(with_rollups);
	ap_rollup_free(rollup);
}

static int setup(void **state)
{
	fixture_begin(&f);
	open_rollups();
	return 0;
}

static int teardown(void **state)
{
	close_rollups();
	fixture_end(&f);
	return 0;
}

/* A batch of up to a minute, or of more than an hour, at any time of the four days. */
static void push_random(void)
{
	static const char *const hosts[] = {"h1", "h22", "h333"};
	static const char *const texts[] = {
		"service=redis,comm=io,pid=7,team=db,thread=t1",
		"service=redis,comm=bg,pid=8,team=db",
		"service=web,comm=w,pid=9",
		"service=web,comm=w,pid=9,lock=0x10,kind=mutex,place=table,waker=h,thread=t2",
		"service=web,comm=w,pid=9,lock=0x20,kind=mutex,ended=woken,thread=t3",
		"service=web,domain=kernel,lock=mmap_lock,kind=rwsem,caller=munmap,pid=1",
	};
	int64_t from = BEGIN + (int64_t)random_number(DAYS * DAY - 4000);
	int64_t length = random_number(10) ? 10 + (int64_t)random_number(50) : 3590;
	struct ap_profile *p = ap_profile_new();
	int n = 1 + (int)random_number(20);

	for (int i = 0; i < n; i++) {
		int64_t second = from + (int64_t)random_number((uint64_t)length);
		const char *text = texts[random_number(AP_ARRAY_SIZE(texts))];
		char path[64];

		snprintf(path, sizeof(path), "main;f%u;g%u", (unsigned int)random_number(3),
			 (unsigned int)random_number(5));
		sample(p, second, text,
		       stack(p, path, "/bin/app", random_number(4) ? 0 : AP_REASON_READ_FAULT),
		       1 + random_number(9));
		if (strstr(text, "lock="))
			p->samples.p[p->samples.n - 1].event = AP_EVENT_LOCK;
		add_calls(p, second, text, random_number(2) ? "read" : "futex",
			  1000 + random_number(1000000), 1 + random_number(5), 0);
	}
	push(&f, p, hosts[random_number(AP_ARRAY_SIZE(hosts))], from, from + length);
}

static void push_many(int n)
{
	for (int i = 0; i < n; i++) {
		push_random();
		if (random_number(8) == 0)
			fixture_flush(&f);
	}
}

static int64_t random_end(void)
{
	int64_t t = BEGIN + (int64_t)random_number(DAYS * DAY);

	switch (random_number(3)) {
	case 0:
		return t - t % DAY;
	case 1:
		return t - t % 3600;
	default:
		return t;
	}
}

static void compare_range(const char *selector, int64_t from, int64_t to, uint32_t which)
{
	_cleanup_buf_ struct ap_buf raw = {0}, rolled = {0};

	answers(f.queries, selector, from, to, which, &raw);
	answers(with_rollups, selector, from, to, which, &rolled);
	ap_buf_byte(&raw, '\0');
	ap_buf_byte(&rolled, '\0');
	if (strcmp((char *)raw.p, (char *)rolled.p) != 0)
		fail_msg("seed %llu, %s of [%lld, %lld): from rows\n%s\nwith rollups\n%s",
			 (unsigned long long)seed, selector, (long long)from, (long long)to, raw.p,
			 rolled.p);
}

static void compare(int n)
{
	static const char *const selectors[] = {
		"",
		"{service=\"redis\"}",
		"{team=\"db\",host!=\"h1\"}",
		"{pid=\"9\"}",
		"{comm=~\"i.\"}",
		"{lock=\"0x10\"}",
		"{kind=\"mutex\"}",
	};

	compare_range("", BEGIN - DAY, BEGIN + 5 * DAY, 1);
	for (int i = 0; i < n; i++) {
		int64_t a = random_end(), b = random_end();

		compare_range(selectors[random_number(AP_ARRAY_SIZE(selectors))], AP_MIN(a, b),
			      AP_MAX(a, b) + (a == b),
			      1u << random_number(10) | 1u << random_number(10));
	}
}

static void run(enum ap_rollup_level level)
{
	struct ap_error err = {0};

	if (ap_rollup_run(rollup, level, ap_buffer_watermark(f.buffer), &err) < 0)
		fail_msg("%s", err.msg);
}

static uint64_t count_rows(const char *table)
{
	_cleanup_free_ char *sql = NULL;
	struct ap_error err = {0};
	uint64_t n = 0;

	assert_true(asprintf(&sql, "SELECT count() FROM %s", table) > 0);
	if (ap_store_query_uint(f.store, sql, &n, &err) < 0)
		fail_msg("%s", err.msg);
	return n;
}

static void answers_are_the_same(void **state)
{
	push_many(60);
	compare(5); /* nothing is built */
	fixture_flush(&f);
	run(AP_ROLLUP_HOUR);
	assert_true(count_rows("samples_1h") > 0);
	assert_int_equal(count_rows("samples_1d"), 0);
	compare(QUESTIONS);
	push_many(30); /* late, some of it in the buffer */
	compare(QUESTIONS);
	run(AP_ROLLUP_DAY);
	assert_true(count_rows("samples_1d") > 0);
	compare(QUESTIONS);
	fixture_flush(&f);
	run(AP_ROLLUP_HOUR);
	compare(QUESTIONS);
	run(AP_ROLLUP_DAY);
	compare(QUESTIONS);
	compare_range("", BEGIN + 1000, BEGIN + 4 * DAY - 1000, ALL_ANSWERS);
	/* One block a table and day of a range. */
	assert_int_equal(count_rows("(SELECT segment, toDate(time) AS d FROM samples_1h "
				    "GROUP BY segment, d HAVING uniqExact(_part) > 1)"),
			 0);
}

/* The same after a restart, when the buffer does not know yet that what is summed up is stored. */
static void a_restart_changes_nothing(void **state)
{
	close_rollups();
	fixture_close(&f);
	fixture_open(&f);
	open_rollups();
	push_many(10);
	compare(5);
}

static const struct ap_store_driver *real;
static int left;   /* statements until the job is cut off */
static bool after; /* the last of them comes about */

static bool comes_about(void)
{
	return left > 1 || (left == 1 && after);
}

static int cut_off(int r, struct ap_error *err)
{
	return --left > 0 ? r : ap_error_set(err, -EIO, "cut off");
}

static int cut_exec(struct ap_store *s, struct ap_str sql, struct ap_error *err)
{
	return cut_off(comes_about() ? real->exec(s, sql, err) : 0, err);
}

static int cut_insert(struct ap_store *s, struct ap_str sql, const char *token,
		      struct ap_error *err)
{
	return cut_off(comes_about() ? real->insert_select(s, sql, token, err) : 0, err);
}

/* Wherever the job is killed: before an insert, or after it without its end being known. */
static void a_killed_job_goes_on(void **state)
{
	struct ap_store_driver broken;
	struct ap_error err = {0};
	int cuts = 0;

	real = f.store->driver;
	broken = *real;
	broken.exec = cut_exec;
	broken.insert_select = cut_insert;
	for (int i = 0; i < 6; i++) {
		enum ap_rollup_level level = i % 3 == 2 ? AP_ROLLUP_DAY : AP_ROLLUP_HOUR;
		int r;

		push_many(3);
		fixture_flush(&f);
		f.store->driver = &broken;
		left = 1 + (int)random_number(8);
		after = random_number(2);
		r = ap_rollup_run(rollup, level, ap_buffer_watermark(f.buffer), &err);
		f.store->driver = real;
		cuts += r < 0;
		close_rollups();
		open_rollups(); /* as another process, which knows what is written down */
		compare(1);
		push_many(2); /* a range that was begun does not grow */
		fixture_flush(&f);
		run(level);
		compare(1);
	}
	assert_true(cuts > 2);
}

static void exec(const char *fmt, const char *table, unsigned long long n)
{
	_cleanup_free_ char *sql = NULL;
	struct ap_error err = {0};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	assert_true(asprintf(&sql, fmt, table, n) > 0);
#pragma GCC diagnostic pop
	if (ap_store_exec(f.store, &err, "%s", sql) < 0)
		fail_msg("%s", err.msg);
}

/* Mutations of an old server are over some time after they were asked for. */
static void await_mutations(void)
{
	while (count_rows("system.mutations WHERE NOT is_done"))
		usleep(1000);
}

/* What was written down as complete is of kind 1 and 2, by level. */
static uint64_t complete(enum ap_rollup_level level)
{
	_cleanup_free_ char *sql = NULL;
	uint64_t n = 0;

	assert_true(asprintf(&sql,
			     "SELECT max(value) FROM rollups WHERE kind = %d AND writer = %llu",
			     level, (unsigned long long)f.store->segment_base) > 0);
	assert_int_equal(ap_store_query_uint(f.store, sql, &n, NULL), 0);
	return AP_MAX(n, f.store->segment_base);
}

static uint64_t confirmed[AP_ROLLUP_LEVELS]; /* on disk, whatever becomes of the note of it */

/* Of sums that nobody has confirmed yet one day in three goes, wherever it is from. */
static uint64_t lose_sums(void)
{
	static const char *const tables[] = {"samples_1h", "syscalls_1h", "ledger_1h", "samples_1d",
					     "syscalls_1d"};
	uint64_t before = 0, after_it = 0;

	for (size_t i = 0; i < AP_ARRAY_SIZE(tables); i++) {
		enum ap_rollup_level level = i < 3 ? AP_ROLLUP_HOUR : AP_ROLLUP_DAY;

		before += count_rows(tables[i]);
		exec("ALTER TABLE %s DELETE WHERE segment > %llu AND "
		     "cityHash64(segment, toDate(time, 'UTC')) % 3 = 0",
		     tables[i], (unsigned long long)confirmed[level]);
	}
	await_mutations();
	for (size_t i = 0; i < AP_ARRAY_SIZE(tables); i++)
		after_it += count_rows(tables[i]);
	return before - after_it;
}

/* What was written down as complete since then; a merge may have put it in the place of what was before. */
static void lose_notes(const uint64_t since[AP_ROLLUP_LEVELS])
{
	for (int level = AP_ROLLUP_HOUR; level <= AP_ROLLUP_DAY; level++) {
		unsigned long long base = f.store->segment_base, value = since[level];
		char row[96];

		snprintf(row, sizeof(row), "rollups DELETE WHERE kind = %d AND writer = %llu",
			 level, base);
		exec("ALTER TABLE %s AND value > %llu", row, value);
		await_mutations();
		snprintf(row, sizeof(row), "(%d, %llu", level, base);
		exec("INSERT INTO rollups (kind, writer, value) VALUES %s, %llu)", row, value);
	}
}

static void confirm(void)
{
	struct ap_error err = {0};

	if (ap_rollup_confirm(rollup, &err) < 0)
		fail_msg("%s", err.msg);
	for (int level = AP_ROLLUP_HOUR; level <= AP_ROLLUP_DAY; level++)
		confirmed[level] = AP_MAX(confirmed[level], complete((enum ap_rollup_level)level));
}

/* Until nothing is in doubt any more. */
static void settle(void)
{
	for (int level = AP_ROLLUP_HOUR; level <= AP_ROLLUP_DAY; level++) {
		run((enum ap_rollup_level)level);
		for (int i = 0; i < 8; i++) {
			confirm();
			while (ap_rollup_waits(rollup, (enum ap_rollup_level)level))
				run((enum ap_rollup_level)level);
		}
	}
	assert_int_equal(complete(AP_ROLLUP_HOUR), ap_buffer_watermark(f.buffer));
	assert_int_equal(complete(AP_ROLLUP_DAY), ap_buffer_watermark(f.buffer));
}

/* What sums have is what they were made of. */
static void check_sums(void)
{
	static const char *const tables[] = {"samples_1h", "samples_1d"};

	for (size_t i = 0; i < AP_ARRAY_SIZE(tables); i++) {
		char sql[160];

		snprintf(sql, sizeof(sql),
			 "(SELECT (SELECT (sum(count), sum(value)) FROM samples) AS a, (SELECT "
			 "(sum(count), sum(value)) FROM %s) AS b) WHERE a = b",
			 tables[i]);
		assert_int_equal(count_rows(sql), 1);
	}
}

/* A server that syncs nothing has lost some of what was not confirmed, again and again, at times beside the aggregator
 * itself; and what was written down last. */
static void what_the_server_lost_is_made_again(void **state)
{
	uint32_t caps = f.store->caps;
	uint64_t lost = 0, complete_before[AP_ROLLUP_LEVELS];

	if (!engine_is_server())
		skip(); /* the embedded engine syncs, and deletes rows slowly */
	f.store->caps &= ~(uint32_t)AP_STORE_CAP_FSYNC;
	hold_ns = 1;
	close_rollups();
	open_rollups();
	settle();
	for (int i = 0; i < 12; i++) {
		push_many(3);
		fixture_flush(&f);
		run(AP_ROLLUP_HOUR);
		compare_range("", BEGIN - DAY, BEGIN + 5 * DAY, 1);
		if (random_number(2))
			lost += lose_sums();
		compare_range("", BEGIN - DAY, BEGIN + 5 * DAY, 1);
		if (random_number(3) == 0) {
			close_rollups();
			open_rollups();
		}
		if (random_number(3))
			run(AP_ROLLUP_DAY);
		lost += random_number(2) ? lose_sums() : 0;
		for (int level = 1; level < AP_ROLLUP_LEVELS; level++)
			complete_before[level] = complete((enum ap_rollup_level)level);
		confirm();
		if (i % 2)
			lose_notes(complete_before);
		if (random_number(2)) {
			close_rollups();
			open_rollups();
		}
		compare(1);
	}
	assert_true(lost > 0);
	settle();
	compare(QUESTIONS);
	check_sums();
	hold_ns = 0;
	f.store->caps = caps;
	close_rollups();
	open_rollups();
}

/* Another aggregator's segments on the same server: each has rollups of his own. */
static const uint64_t other = 77ull << AP_SEGMENT_NUMBER_BITS;

/* It shares our store, so it says nothing of itself there (store/peers.h): what was kept knows nothing of its rows. */
static void forget_answers(void)
{
	struct ap_query_engine_options o = {.store = f.store, .buffer = f.buffer};

	ap_query_engine_free(f.queries);
	assert_int_equal(ap_query_engine_new(&o, &f.queries), 0);
	close_rollups();
	open_rollups();
}

static void two_writers(void **state)
{
	uint64_t base = f.store->segment_base;
	struct ap_buffer_config config = {.last_segment = other};
	struct ap_buffer *mine = f.buffer;

	assert_int_equal(ap_buffer_new(&config, &f.buffer), 0);
	f.store->segment_base = other;
	push_many(20);
	fixture_flush(&f);
	run(AP_ROLLUP_HOUR);
	push_many(5);
	fixture_flush(&f);
	ap_buffer_free(f.buffer);
	f.buffer = mine;
	f.store->segment_base = base;
	forget_answers();
	compare(QUESTIONS);
	run(AP_ROLLUP_HOUR);
	run(AP_ROLLUP_DAY);
	compare(QUESTIONS);
}

static uint64_t samples_of(const char *selector, int64_t from, int64_t to, struct ap_coverage *c)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *filter = NULL;
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	struct ap_query q = query(from, to);
	struct ap_error err = {0};

	assert_int_equal(ap_filter_parse(ap_str_of(selector), &filter, NULL, NULL), 0);
	q.filter = filter;
	if (ap_query_flamegraph(with_rollups, &q, &t, c, &err) < 0)
		fail_msg("%s", err.msg);
	return t->total[0][0];
}

/* Cells are of an hour where no more is known, and fill their columns. */
static void check_heatmap(uint32_t n_rows, uint32_t expected_rows, int64_t from, int64_t to)
{
	_cleanup_heatmap_ struct ap_heatmap map = {0};
	struct ap_query q = query(from, to);
	struct ap_error err = {0};
	struct ap_coverage c;

	if (ap_query_heatmap(with_rollups, &q, 60000, n_rows, &map, &c, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(map.series->step_ms, 3600000);
	assert_int_equal(map.n_rows, expected_rows);
	assert_true(map.n_columns > 0 && map.max > 0);
	assert_int_equal(map.series->n_steps, map.n_rows * map.n_columns);
	assert_true(map.series->from_ms <= from * 1000 && map.series->to_ms >= to * 1000);
}

/* Once the rows of a day have gone its hours answer, and say so; what they cannot tell is said too. */
static void what_has_gone_is_told(void **state)
{
	int64_t day = BEGIN + DAY, from = day + 1800, to = day + 5 * 3600 + 60;
	struct ap_series *series = NULL;
	struct ap_query q = query(from, to);
	struct ap_error err = {0};
	struct ap_coverage c;
	uint64_t whole, base = f.store->segment_base;

	fixture_flush(&f);
	run(AP_ROLLUP_HOUR);
	f.store->segment_base = other;
	assert_int_equal(ap_rollup_run(rollup, AP_ROLLUP_HOUR, other + 1000, &err), 0);
	f.store->segment_base = base;
	whole = samples_of("", day, day + 6 * 3600, &c);
	assert_int_equal(c.resolution_s, 1);
	assert_true(whole > 0);
	assert_int_equal(ap_rollup_note_dropped(rollup, AP_ROLLUP_RAW, (uint32_t)day + DAY, &err),
			 0);
	for (int i = 0; i < 2; i++) {
		char name[16];
		time_t t = day - i * DAY;
		struct tm tm;

		strftime(name, sizeof(name), "%F", gmtime_r(&t, &tm));
		assert_int_equal(ap_store_exec(f.store, &err,
					       "ALTER TABLE samples DROP PARTITION '%s'", name),
				 0);
	}
	assert_int_equal(samples_of("", from, to, &c), whole);
	assert_int_equal(c.resolution_s, 3600);
	assert_int_equal(c.from_ms, day * 1000);
	assert_int_equal(c.to_ms, (day + 6 * 3600) * 1000);
	assert_int_equal(c.unanswered_to_ms, 0);
	assert_int_equal(samples_of("{pid=\"9\"}", from, to, &c), 0);
	assert_int_equal(c.resolution_s, 1);
	assert_int_equal(c.unanswered_to_ms, to * 1000);
	if (ap_query_series(with_rollups, &q, AP_STR("service"), 60000, 0, &series, &c, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(series->step_ms, 3600000);
	ap_series_free(series);
	check_heatmap(0, 24, from, to);
	check_heatmap(5, 5, from, to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_the_same),
		cmocka_unit_test(a_restart_changes_nothing),
		cmocka_unit_test(a_killed_job_goes_on),
		cmocka_unit_test(what_the_server_lost_is_made_again),
		cmocka_unit_test(two_writers),
		cmocka_unit_test(what_has_gone_is_told),
	};

	ENGINE_TESTS_OR_SKIP();
	return cmocka_run_group_tests(tests, setup, teardown);
}
