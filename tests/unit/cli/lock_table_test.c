/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/lock_table.h"

#include "../test.h"

/* A stack of "function@module", outermost first, by spaces. */
static uint32_t stack(struct ap_profile *p, const char *text)
{
	struct ap_str rest = ap_str_of(text);
	uint32_t frames[8], n = 0, id;

	while (rest.p) {
		struct ap_str module = ap_str_cut(&rest, ' '), name = ap_str_cut(&module, '@');
		struct ap_mapping m = {0};
		struct ap_function f = {0};
		struct ap_frame frame = {.offset = n + 1};

		assert_int_equal(ap_profile_string(p, module, &m.path), 0);
		assert_int_equal(ap_profile_mapping(p, &m, &frame.mapping), 0);
		assert_int_equal(ap_profile_string(p, name, &f.name), 0);
		assert_int_equal(ap_profile_function(p, &f, &frame.function), 0);
		assert_int_equal(ap_profile_frame(p, &frame, &frames[n++]), 0);
	}
	assert_int_equal(ap_profile_stack(p, frames, n, 0, &id), 0);
	return id;
}

/* Labels as "key=value", by spaces. */
static uint32_t labels(struct ap_profile *p, const char *text)
{
	struct ap_str rest = ap_str_of(text);
	struct ap_label set[8];
	uint32_t n = 0, id;

	while (rest.p) {
		struct ap_str value = ap_str_cut(&rest, ' '), key = ap_str_cut(&value, '=');

		assert_int_equal(ap_profile_string(p, key, &set[n].key), 0);
		assert_int_equal(ap_profile_string(p, value, &set[n++].value), 0);
	}
	assert_int_equal(ap_profile_labels(p, set, n, &id), 0);
	return id;
}

static void add(struct ap_profile *p, uint32_t event, const char *who, const char *where,
		uint64_t count, uint64_t ns)
{
	struct ap_sample s = {.event = event,
			      .labels = labels(p, who),
			      .stack = stack(p, where),
			      .count = count,
			      .value = ns};

	assert_int_equal(ap_profile_add(p, &s), 0);
}

#define MUTEX	"pid=7 comm=server lock=0x10 kind=mutex"
#define WAKER	"pid=7 comm=server lock=0x10"
#define WANTS	"main@server want@server pthread_mutex_lock@libc.so.6"
#define HOLDS	"main@server hold@server pthread_mutex_unlock@libc.so.6"
#define JOINS	"main@server pthread_join@libc.so.6"
#define IN_LIBC "pthread_mutex_lock@libc.so.6"

static void names_both_sides_of_a_lock(void **state)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = ap_profile_new();
	_cleanup_(ap_lock_table_free) struct ap_lock_table t = {0};
	_cleanup_buf_ struct ap_buf name = {0};
	const struct ap_lock_row *row;

	/* A wait that was told of in two parts, one that was not, and one whose stack ends early. */
	add(p, AP_EVENT_LOCK, MUTEX, WANTS, 0, 60);
	add(p, AP_EVENT_LOCK, MUTEX, WANTS, 1, 50);
	add(p, AP_EVENT_LOCK, MUTEX, WANTS, 1, 70);
	add(p, AP_EVENT_LOCK, MUTEX, IN_LIBC, 1, 100);
	add(p, AP_EVENT_WAKER, WAKER, HOLDS, 1, 110);
	/* Nobody ended this one, so that its last part is all that is known by itself. */
	add(p, AP_EVENT_LOCK, "pid=7 comm=server lock=0x20 kind=join", JOINS, 0, 900);
	add(p, AP_EVENT_LOCK, "pid=7 comm=server lock=0x20 kind=join", JOINS, 1, 100);
	add(p, AP_EVENT_LOCK, "pid=8 comm=other lock=0x10 kind=mutex", WANTS, 1, 5);
	add(p, AP_EVENT_LOCK, "pid=8 comm=other", WANTS, 3, 4);
	assert_int_equal(ap_lock_table_build(p, NULL, &t), 0);
	assert_int_equal(t.rows.n, 3);
	assert_int_equal(t.rows.p[0].max_ns, 0);
	row = &t.rows.p[1];
	assert_true(row->contended && ap_str_is(row->kind, "mutex") && ap_str_is(row->pid, "7"));
	assert_int_equal(row->sum.ns, 280);
	assert_int_equal(row->sum.count, 3);
	assert_int_equal(row->max_ns, 110);
	ap_wait_function(p, row->waiter, &name);
	ap_buf_puts(&name, " <- ");
	ap_wait_function(p, row->waker, &name);
	ap_buf_byte(&name, 0);
	assert_string_equal((char *)name.p, "want <- hold");
	assert_false(t.rows.p[0].contended);
	assert_int_equal(t.rows.p[2].waker, 0);
	assert_int_equal(t.contended.ns, 285);
	assert_int_equal(t.others.ns, 1000);
	assert_int_equal(t.short_waits.count, 3);
}

static void waits_are_by_function_and_cause(void **state)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = ap_profile_new();
	_cleanup_(ap_wait_table_free) struct ap_wait_table t = {0};
	_cleanup_buf_ struct ap_buf name = {0};
	bool wanted[8] = {false};
	uint32_t other = labels(p, "pid=9 state=sleeping");

	memset(wanted, true, sizeof(wanted));
	wanted[other] = false;
	add(p, AP_EVENT_OFFCPU, "state=lock", WANTS, 2, 30);
	add(p, AP_EVENT_OFFCPU, "state=sleeping", WANTS, 1, 20);
	add(p, AP_EVENT_OFFCPU, "state=stopped", HOLDS, 1, 7);
	add(p, AP_EVENT_OFFCPU, "pid=9 state=sleeping", WANTS, 1, 900);
	add(p, AP_EVENT_CPU, "state=lock", WANTS, 1, 800);
	assert_int_equal(ap_wait_table_build(p, wanted, &t), 0);
	assert_int_equal(t.rows.n, 2);
	assert_int_equal(t.sum.ns, 57);
	assert_int_equal(t.causes[AP_WAIT_CAUSE_LOCK].count, 2);
	assert_int_equal(t.causes[AP_WAIT_CAUSE_OTHER].ns, 7);
	assert_int_equal(ap_wait_row_cause(&t.rows.p[0]), AP_WAIT_CAUSE_LOCK);
	ap_wait_function(p, t.rows.p[0].frame, &name);
	ap_wait_function(p, 0, &name);
	ap_buf_byte(&name, 0);
	assert_string_equal((char *)name.p, "want(no user stack)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_both_sides_of_a_lock),
		cmocka_unit_test(waits_are_by_function_and_cause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
