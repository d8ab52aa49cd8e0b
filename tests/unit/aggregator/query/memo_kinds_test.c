/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept serves every kind of question: an engine that keeps answers says what one says that keeps none, whatever
 * comes when. */
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "../../test.h"
#include "syscall_checks.h"

enum { ROUNDS = 60 };

static struct fixture f;
static struct ap_query_engine *keeps_none;

static int setup(void **state)
{
	struct ap_query_engine_options o = {.max_memo = 1};

	fixture_begin(&f);
	o.store = f.store;
	o.buffer = f.buffer;
	return ap_query_engine_new(&o, &keeps_none);
}

static int teardown(void **state)
{
	ap_query_engine_free(keeps_none);
	fixture_end(&f);
	return 0;
}

/* An answer as text. */
struct said {
	struct ap_query_engine *e;
	const struct ap_query *q;
	struct ap_buf text;
	struct ap_coverage c;
	struct ap_error err;
};

static void must(struct said *s, int r)
{
	if (r < 0)
		fail_msg("%s", s->err.msg);
	ap_buf_printf(&s->text,
		      "\n%llu lost %llu hosts %u complete %.6f:", (unsigned long long)s->c.samples,
		      (unsigned long long)s->c.lost, s->c.hosts_reporting, s->c.complete_share);
}

static void say(struct said *s, uint64_t v)
{
	ap_buf_printf(&s->text, " %lld", (long long)v);
}

static void say_series(struct said *s, const char *label, int64_t step_ms)
{
	_cleanup_(ap_cleanup_series) struct ap_series *t = NULL;

	must(s, ap_query_series(s->e, s->q, ap_str_of(label), step_ms, 0, &t, &s->c, &s->err));
	for (uint32_t i = 0; i < t->n_rows; i++) {
		ap_buf_printf(&s->text, "\n%.*s", AP_STR_ARG(t->rows[i].value));
		for (uint32_t k = 0; k < t->n_steps; k++)
			say(s, t->rows[i].values[k]);
	}
}

static void say_syscalls(struct said *s, const char *by)
{
	const struct ap_syscall_query which = {.by = ap_str_of(by), .steps = true};
	_cleanup_(ap_cleanup_syscall_table) struct ap_syscall_table *t = NULL;

	must(s, ap_query_syscalls(s->e, s->q, &which, &t, &s->c, &s->err));
	say(s, t->covered_s);
	for (uint32_t i = 0; i < t->n; i++) {
		const struct ap_syscall_row *row = &t->rows[i];
		const uint64_t numbers[] = {row->stat.count, row->stat.sum_ns, row->stat.max_ns,
					    row->errors,     row->in_flight,   row->oldest_ns};

		ap_buf_printf(&s->text, "\n%.*s %.*s", AP_STR_ARG(row->syscall),
			      AP_STR_ARG(row->value));
		for (size_t k = 0; k < AP_ARRAY_SIZE(numbers); k++)
			say(s, numbers[k]);
	}
	for (uint32_t i = 0; i < t->n_steps; i++) {
		say(s, t->steps[i].reported ? t->steps[i].count : UINT64_MAX);
		say(s, t->steps[i].max_ns);
	}
}

static void say_services(struct said *s)
{
	_cleanup_(ap_cleanup_services) struct ap_services *t = NULL;

	must(s, ap_query_services(s->e, s->q, &t, &s->c, &s->err));
	for (uint32_t i = 0; i < t->n; i++) {
		const struct ap_service *row = &t->rows[i];
		const uint64_t numbers[] = {row->value, row->samples,	     row->complete,
					    row->hosts, row->previous_value, row->has_previous};

		ap_buf_printf(&s->text, "\n%.*s", AP_STR_ARG(row->service));
		for (size_t k = 0; k < AP_ARRAY_SIZE(numbers); k++)
			say(s, numbers[k]);
	}
}

static void say_labels(struct said *s)
{
	_cleanup_(ap_cleanup_label_values) struct ap_label_values *t = NULL;

	must(s, ap_query_label_values(s->e, s->q, AP_STR("comm"), 0, &t, &s->c, &s->err));
	for (uint32_t i = 0; i < t->n; i++) {
		ap_buf_printf(&s->text, "\n%.*s", AP_STR_ARG(t->rows[i].value));
		say(s, t->rows[i].samples);
	}
}

static void say_all(struct said *s)
{
	say_series(s, "", 0);
	say_series(s, "comm", 60000);
	say_syscalls(s, "");
	say_syscalls(s, "service");
	say_services(s);
	say_labels(s);
	assert_false(ap_buf_error(&s->text));
	ap_buf_byte(&s->text, '\0');
}

static void check(int64_t from, int64_t to, const struct ap_filter *filter)
{
	struct ap_query q = query(T0 + from, T0 + to);
	struct said kept = {.e = f.queries, .q = &q}, anew = {.e = keeps_none, .q = &q};

	q.filter = filter;
	say_all(&kept);
	say_all(&anew);
	assert_string_equal((char *)kept.text.p, (char *)anew.text.p);
	ap_buf_free(&kept.text);
	ap_buf_free(&anew.text);
}

/* Mostly of just now, at times of long ago. */
static void push_some(int64_t now)
{
	int64_t second = now - (rand() % 10 == 0 ? rand() % 3000 : rand() % 15);
	struct ap_profile *p = ap_profile_new();
	const char *host = rand() % 2 ? "h1" : "h22";
	char text[48];

	snprintf(text, sizeof(text), "service=s%d,comm=c%d", rand() % 2, rand() % 3);
	sample(p, T0 + second, text,
	       stack(p, "main;f", "/bin/s", rand() % 4 ? AP_REASON_OK : AP_REASON_READ_FAULT),
	       1 + (uint64_t)rand() % 9);
	add_calls(p, T0 + second, text, rand() % 2 ? "read" : "futex", 1000 + (uint64_t)rand(),
		  (uint64_t)rand() % 4, (uint32_t)rand() % 3);
	push(&f, p, host, T0 + second, T0 + second + 1 + rand() % 60);
}

static void every_kind_of_answer_is_the_same(void **state)
{
	static const int64_t lengths[] = {900, 4000};
	_cleanup_(ap_cleanup_filter) struct ap_filter *filter = NULL;
	struct ap_query_stats stats;
	int64_t now = 6000;

	srand(11);
	assert_int_equal(ap_filter_parse(AP_STR("{service=\"s1\"}"), &filter, NULL, NULL), 0);
	for (int i = 0; i < ROUNDS; i++) {
		int64_t to = now + 1 - rand() % 3;

		for (int k = 1 + rand() % 4; k > 0; k--)
			push_some(now);
		if (rand() % 2 == 0)
			fixture_flush(&f);
		check(to - lengths[i % 2], to, rand() % 2 ? filter : NULL);
		now += rand() % 20;
	}
	ap_query_engine_get_stats(f.queries, &stats);
	assert_true(stats.recalled > 50);
	assert_true(stats.recalled_in_part > 50);
	assert_true(stats.recalled_ends > 50);
	assert_true(stats.extended > 50);
	ap_query_engine_get_stats(keeps_none, &stats);
	assert_int_equal(
		stats.recalled + stats.recalled_in_part + stats.recalled_ends + stats.extended, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_answer_is_the_same),
	};

	ENGINE_TESTS_OR_SKIP();
	return cmocka_run_group_tests(tests, setup, teardown);
}
