/* SPDX-License-Identifier: Apache-2.0 */
/* Samples and events are brought together by their times. */
#include "../test.h"
#include "agent/reader.h"

#define PID 0x3ffffff0 /* nothing in /proc */

struct sample {
	struct ap_record head;
	struct ap_section comm_section;
	char comm[16];
	uint32_t pad;
	struct ap_section user_section;
	uint32_t user[4];
	uint32_t pad2;
};

struct fixture {
	struct ap_process_table *processes;
	struct ap_rows_builder *rows;
	struct ap_reader *reader;
	struct ap_ledger ledger;
	struct ap_sideband_batch events;
};

static void begin(struct fixture *f, bool exact, uint32_t max_rows)
{
	*f = (struct fixture){0};
	f->processes = ap_process_table_new(10, 10);
	f->rows = ap_rows_builder_new(exact, max_rows);
	f->reader = ap_reader_new(f->processes, f->rows, &f->ledger);
	assert_true(f->processes && f->rows && f->reader);
}

static void end(struct fixture *f)
{
	ap_reader_free(f->reader);
	ap_rows_builder_free(f->rows);
	ap_process_table_free(f->processes);
	ap_sideband_batch_free(&f->events);
}

static void add_sample(struct fixture *f, uint64_t time, uint32_t leaf, uint32_t caller)
{
	struct sample s = {
		.head = {.type = AP_RECORD_CPU,
			 .n_sections = 2,
			 .size = sizeof(s),
			 .time = time,
			 .tgid = PID,
			 .tid = PID + 1,
			 .value = 100},
		.comm_section = {AP_SECTION_COMM, 16},
		.comm = "worker",
		.user_section = {AP_SECTION_USER_STACK, 16},
		.user = {leaf, 0, caller, 0},
	};

	ap_reader_add(f->reader, &s, sizeof(s));
}

static void add_event(struct fixture *f, struct ap_sideband_event e, const char *text)
{
	e.pid = e.tid = PID;
	e.text.p = ap_arena_strdup(&f->events.text, ap_str_of(text));
	e.text.n = strlen(text);
	assert_int_equal(ap_vec_push(&f->events.events, e), 0);
}

static void add_program(struct fixture *f, uint64_t time, const char *path)
{
	add_event(f, (struct ap_sideband_event){.kind = AP_SIDEBAND_EXEC, .time = time}, "x");
	add_event(f,
		  (struct ap_sideband_event){.kind = AP_SIDEBAND_MMAP,
					     .time = time + 1,
					     .start = 0x1000,
					     .end = 0x9000,
					     .pgoff = 0x100},
		  path);
}

static struct ap_rows *take(struct fixture *f)
{
	struct ap_rows *r = ap_rows_builder_take(f->rows, f->processes);

	assert_non_null(r);
	return r;
}

static struct ap_str leaf_path(const struct ap_rows *r, size_t row)
{
	struct ap_stack_view v = ap_rows_stack(r, r->rows.p[row].stack);

	assert_true(v.n_user > 0);
	return ap_rows_str(r, r->files.p[v.user[0].file].path);
}

static void a_sample_sees_the_process_of_its_time(void **state)
{
	_cleanup_(ap_cleanup_rows) struct ap_rows *r = NULL;
	struct fixture f;

	begin(&f, true, 100);
	add_program(&f, 10, "/no/such/first");
	add_program(&f, 30, "/no/such/second");
	add_program(&f, 50, "/no/such/third");
	add_sample(&f, 40, 0x2000, 0x3000); /* out of order, as from two CPUs */
	add_sample(&f, 20, 0x2000, 0x3000);
	add_sample(&f, 45, 0x2000, 0x3000); /* later than the pass: waits */
	ap_reader_process(f.reader, &f.events, 42, 1000);
	r = take(&f);
	assert_int_equal(r->rows.n, 2);
	assert_int_equal(r->rows.p[0].time_ns, 1020);
	assert_true(ap_str_is(leaf_path(r, 0), "/no/such/first"));
	assert_true(ap_str_is(leaf_path(r, 1), "/no/such/second"));
	assert_int_equal(f.events.events.n, 2);
	ap_rows_free(AP_TAKE_PTR(r));
	ap_reader_process(f.reader, &f.events, 100, 1000);
	r = take(&f);
	assert_int_equal(r->rows.n, 1);
	assert_true(ap_str_is(leaf_path(r, 0), "/no/such/second"));
	assert_int_equal(f.ledger.count[AP_LEDGER_READER_IN], 3);
	assert_int_equal(f.ledger.count[AP_LEDGER_READER_OUT], 3);
	end(&f);
}

static void equal_samples_of_a_second_are_one_row(void **state)
{
	_cleanup_(ap_cleanup_rows) struct ap_rows *r = NULL;
	struct ap_stack_view v;
	struct fixture f;

	begin(&f, false, 100);
	add_program(&f, 10, "/no/such/file");
	add_sample(&f, 20, 0x2000, 0x3000);
	add_sample(&f, 30, 0x2000, 0x3000);
	add_sample(&f, 40, 0x2000, 0x3004);
	add_sample(&f, 1000000020, 0x2000, 0x3000);
	ap_reader_process(f.reader, &f.events, UINT64_MAX, 5000000000);
	r = take(&f);
	assert_int_equal(r->rows.n, 3);
	assert_int_equal(r->rows.p[0].count, 2);
	assert_int_equal(r->rows.p[0].value, 200);
	assert_int_equal(r->rows.p[0].time_ns, 5000000000);
	assert_int_equal(r->rows.p[0].tid, 0);
	assert_int_equal(r->rows.p[2].time_ns, 6000000000);
	assert_int_equal(r->rows.p[0].stack, r->rows.p[2].stack);
	assert_true(ap_str_is(ap_rows_str(r, r->rows.p[0].comm), "worker"));
	v = ap_rows_stack(r, r->rows.p[0].stack);
	assert_int_equal(v.user[0].address, 0x1100); /* the instruction, as an offset in the file */
	assert_int_equal(v.user[1].address, 0x2100); /* as the walker gave it */
	assert_int_equal(v.process, AP_ROWS_NONE);
	end(&f);
}

/* Its only sample falls into its exec(), and it is gone when the rows are taken. */
static void what_is_learned_after_the_last_sample_counts(void **state)
{
	_cleanup_(ap_cleanup_rows) struct ap_rows *r = NULL;
	struct fixture f;

	begin(&f, false, 100);
	add_event(&f, (struct ap_sideband_event){.kind = AP_SIDEBAND_EXEC, .time = 10}, "late");
	add_sample(&f, 11, 0x2000, 0x3000);
	add_event(&f,
		  (struct ap_sideband_event){
			  .kind = AP_SIDEBAND_MMAP, .time = 12, .start = 0x1000, .end = 0x2000},
		  "/no/such/late");
	add_event(&f, (struct ap_sideband_event){.kind = AP_SIDEBAND_EXIT, .time = 13}, "");
	ap_reader_process(f.reader, &f.events, 20 + AP_PROCESS_GRACE_NS, 0);
	r = take(&f);
	assert_int_equal(r->processes.n, 1);
	assert_true(ap_str_is(ap_rows_str(r, r->processes.p[0].exe), "/no/such/late"));
	assert_false(r->processes.p[0].alive);
	ap_process_table_expire(f.processes, 20 + AP_PROCESS_GRACE_NS);
	assert_null(ap_process_table_find(f.processes, PID));
	end(&f);
}

static void frames_outside_all_code_are_cut_off(void **state)
{
	_cleanup_(ap_cleanup_rows) struct ap_rows *r = NULL;
	struct ap_stack_view v;
	struct fixture f;

	begin(&f, true, 100);
	add_program(&f, 10, "/no/such/file");
	add_sample(&f, 20, 0x2000, 0xffff0000);
	add_sample(&f, 30, 0xffff0000, 0x2000);
	ap_reader_process(f.reader, &f.events, 100, 0);
	r = take(&f);
	v = ap_rows_stack(r, r->rows.p[0].stack);
	assert_int_equal(v.n_user, 1);
	assert_int_equal(v.reason, AP_REASON_NO_FRAME_POINTER);
	v = ap_rows_stack(r, r->rows.p[1].stack);
	assert_int_equal(v.n_user, 2);
	assert_int_equal(v.reason, AP_REASON_NO_MAPPING);
	assert_int_equal(v.user[0].file, 0);
	assert_int_equal(v.process, r->rows.p[1].process);
	assert_int_equal(f.ledger.stacks[AP_REASON_NO_FRAME_POINTER], 1);
	assert_int_equal(f.ledger.stacks[AP_REASON_NO_MAPPING], 1);
	end(&f);
}

static void losses_are_counted(void **state)
{
	struct ap_record bad = {.type = AP_RECORD_CPU, .size = 4};
	struct fixture f;

	begin(&f, true, 2);
	for (uint64_t t = 1; t <= 5; t++)
		add_sample(&f, t, 0x2000, 0x3000);
	add_sample(&f, 2, 0x2000, 0x3000); /* into a row that is there already */
	ap_reader_add(f.reader, &bad, sizeof(bad));
	ap_reader_process(f.reader, &f.events, 100, 0);
	assert_int_equal(f.ledger.count[AP_LEDGER_READER_IN], 7);
	assert_int_equal(f.ledger.count[AP_LEDGER_READER_MALFORMED], 1);
	assert_int_equal(f.ledger.count[AP_LEDGER_READER_TABLE_FULL], 3);
	assert_int_equal(f.ledger.count[AP_LEDGER_READER_OUT], 3);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sample_sees_the_process_of_its_time),
		cmocka_unit_test(equal_samples_of_a_second_are_one_row),
		cmocka_unit_test(what_is_learned_after_the_last_sample_counts),
		cmocka_unit_test(frames_outside_all_code_are_cut_off),
		cmocka_unit_test(losses_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
