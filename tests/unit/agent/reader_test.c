/* SPDX-License-Identifier: Apache-2.0 */
/* Samples and events are brought together by their times. */
#include "../test.h"
#include "agent/reader.h"
#include "profile/profile.h"

#include <errno.h>
#include <sys/syscall.h>

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
	struct ap_tables *tables;
	struct ap_rows_builder *rows;
	struct ap_reader *reader;
	struct ap_ledger ledger;
	struct ap_sideband_batch events;
	uint32_t *words;
	struct ap_file_key key; /* what the walker was told last */
	struct ap_file_ref ref;
};

static int set_file(void *ctx, const struct ap_file_key *key, const struct ap_file_ref *ref)
{
	struct fixture *f = ctx;

	f->key = *key;
	f->ref = *ref;
	return 0;
}

static int forget_file(void *ctx, const struct ap_file_key *key)
{
	return 0;
}

static void begin(struct fixture *f, bool exact, uint32_t max_rows)
{
	struct ap_tables_target target = {
		.set = set_file, .forget = forget_file, .ctx = f, .n_words = AP_TABLES_AT + 10};

	*f = (struct fixture){.words = calloc(target.n_words, sizeof(uint32_t))};
	target.words = f->words;
	f->processes = ap_process_table_new(10, 10);
	assert_true(f->words && f->processes);
	assert_int_equal(ap_tables_new(ap_process_table_files(f->processes), &target, &f->tables),
			 0);
	/* The vDSO's is too large, and out of the way. */
	ap_tables_wait(f->tables, UINT64_MAX);
	f->rows = ap_rows_builder_new(f->tables, exact, max_rows);
	f->reader = ap_reader_new(f->processes, f->tables, f->rows, &f->ledger);
	assert_true(f->rows && f->reader);
}

static void end(struct fixture *f)
{
	ap_reader_free(f->reader);
	ap_rows_builder_free(f->rows);
	ap_tables_free(f->tables);
	ap_process_table_free(f->processes);
	ap_sideband_batch_free(&f->events);
	free(f->words);
}

static void add_sample(struct fixture *f, uint64_t time, uint64_t leaf, uint64_t caller)
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
	};

	/* Frames lie at 4-byte alignment. */
	memcpy(s.user, &leaf, sizeof(leaf));
	memcpy(s.user + 2, &caller, sizeof(caller));
	ap_reader_add(f->reader, &s, sizeof(s));
}

static void add_notice(struct fixture *f, uint64_t time, struct ap_file_notice notice)
{
	struct {
		struct ap_record head;
		struct ap_section section;
		struct ap_file_notice notice;
		uint32_t pad;
	} __attribute__((packed)) n = {
		.head = {.type = AP_RECORD_FILE,
			 .n_sections = 1,
			 .size = sizeof(n),
			 .time = time,
			 .tgid = PID},
		.section = {AP_SECTION_FILE, sizeof(notice)},
		.notice = notice,
	};

	ap_reader_add(f->reader, &n, sizeof(n));
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

/* A mapping that the walker met and did not know, of a process that is gone. */
static void a_notice_gives_the_file_its_number(void **state)
{
	static const struct ap_file_key key = {.inode = 5, .device = 6, .generation = 7};
	struct ap_file_notice notice = {.key = key, .start = 0x1000, .end = 0x2000, .pgoff = 0x100};
	_cleanup_(ap_cleanup_rows) struct ap_rows *r = NULL;
	struct ap_tables_stats stats;
	struct ap_stack_view v;
	struct fixture f;
	uint64_t frame;

	begin(&f, true, 100);
	add_program(&f, 10, "/no/such/file");
	add_notice(&f, 20, notice);
	ap_reader_process(f.reader, &f.events, 30, 0);
	assert_memory_equal(&f.key, &key, sizeof(key));
	assert_true(f.ref.file > 0);
	frame = AP_FRAME_FILE | (uint64_t)f.ref.file << AP_FRAME_OFFSET_BITS | 0x321;
	add_sample(&f, 40, frame, 0x3000);
	add_sample(&f, 50, AP_FRAME_FILE | 99ull << AP_FRAME_OFFSET_BITS | 0x321, 0x3000);
	notice.start = 0x77000; /* mapped by nobody that is known */
	notice.end = 0x78000;
	add_notice(&f, 60, notice);
	notice.end = notice.start;
	add_notice(&f, 70, notice);
	ap_reader_process(f.reader, &f.events, 100, 0);
	r = take(&f);
	v = ap_rows_stack(r, r->rows.p[0].stack);
	assert_true(ap_str_is(leaf_path(r, 0), "/no/such/file"));
	assert_int_equal(v.user[0].address, 0x321);
	assert_int_equal(v.user[1].file, v.user[0].file);
	assert_int_equal(v.user[1].address, 0x2100);
	v = ap_rows_stack(r, r->rows.p[1].stack);
	assert_int_equal(v.user[0].file, 0);
	assert_int_equal(v.user[0].address, 0x321);
	ap_tables_get_stats(f.tables, &stats);
	assert_int_equal(stats.notices, 2);
	assert_int_equal(stats.unresolved, 1);
	/* Notices are no samples; one that is malformed is a record like any. */
	assert_int_equal(f.ledger.count[AP_LEDGER_READER_IN], 3);
	assert_int_equal(f.ledger.count[AP_LEDGER_READER_OUT], 2);
	assert_int_equal(f.ledger.count[AP_LEDGER_READER_MALFORMED], 1);
	end(&f);
}

struct wait_record {
	struct ap_record head;
	struct ap_section comm_section;
	char comm[16];
	uint32_t pad;
	struct ap_section wait_section;
	struct ap_wait wait;
	uint32_t pad2;
	struct ap_section lock_section;
	struct ap_lock lock;
	uint32_t pad3;
} __attribute__((packed));

/* A wait for a lock that lasted for `ns` until `time`. */
static void add_wait(struct fixture *f, uint64_t time, uint64_t ns, uint16_t flags)
{
	struct wait_record s = {
		.head = {.type = AP_RECORD_OFFCPU,
			 .n_sections = 3,
			 .size = sizeof(s),
			 .flags = flags,
			 .time = time,
			 .tgid = PID,
			 .tid = PID,
			 .value = ns},
		.comm_section = {AP_SECTION_COMM, 16},
		.comm = "worker",
		.wait_section = {AP_SECTION_WAIT, sizeof(s.wait)},
		.wait = {.since = time - ns, .state = AP_WAIT_LOCK, .end = AP_WAIT_END_TIMEOUT},
		.lock_section = {AP_SECTION_LOCK, sizeof(s.lock)},
		.lock = {.address = 0x1234, .comm = "holder"},
	};

	ap_reader_add(f->reader, &s, sizeof(s));
}

static void a_wait_is_spread_over_its_seconds(void **state)
{
	const uint64_t second = 1000000000;
	struct ap_rows *rows;
	struct fixture f;
	uint64_t value[2] = {0}, count[2] = {0};
	size_t n_rows[2] = {0};

	begin(&f, false, 100);
	add_wait(&f, 3 * second + second / 4, 2 * second + second / 2,
		 AP_RECORD_F_OFFCPU | AP_RECORD_F_LOCK);
	add_wait(&f, 4 * second, second / 4, AP_RECORD_F_OFFCPU | AP_RECORD_F_GOES_ON);
	ap_reader_process(f.reader, &f.events, 9 * second, 0);
	rows = ap_rows_builder_take(f.rows, f.processes);
	AP_VEC_FOREACH(&rows->rows, r) {
		int lock = r->event == AP_EVENT_LOCK;

		assert_true(lock || r->event == AP_EVENT_OFFCPU);
		assert_true(r->value <= second);
		assert_int_equal(r->time_ns % (int64_t)second, 0);
		assert_int_equal(r->lock, lock ? 0x1234 : 0);
		assert_int_equal(r->state, lock ? AP_WAIT_END_TIMEOUT : AP_WAIT_LOCK);
		/* Who ended it is told of the lock alone, unless it is asked for of all waits. */
		assert_int_equal(r->other != 0, lock);
		value[lock] += r->value;
		count[lock] += r->count;
		n_rows[lock]++;
	}
	/* 0.75 to 3.25 s, and of the wait that goes on 3.75 to 4 s, which is no end of one. */
	assert_int_equal(value[0], 2 * second + 3 * second / 4);
	assert_int_equal(value[1], 2 * second + 3 * second / 4);
	assert_int_equal(count[0], 1);
	assert_int_equal(count[1], 1);
	assert_int_equal(n_rows[1], 4);
	assert_int_equal(ap_ledger_get(&f.ledger, AP_LEDGER_READER_IN), 2);
	assert_int_equal(ap_ledger_get(&f.ledger, AP_LEDGER_READER_OUT), 2);
	ap_rows_free(rows);
	end(&f);
}

struct call_record {
	struct ap_record head;
	struct ap_section section;
	struct ap_syscall_told told;
	uint32_t pad;
} __attribute__((packed));

static void add_call(struct fixture *f, uint64_t time, uint64_t ns, struct ap_syscall_told told)
{
	struct call_record s = {
		.head = {.type = AP_RECORD_SYSCALL,
			 .n_sections = 1,
			 .size = sizeof(s),
			 .time = time,
			 .tgid = PID,
			 .tid = PID,
			 .value = ns},
		.section = {AP_SECTION_SYSCALL, sizeof(told)},
		.told = told,
	};

	ap_reader_add(f->reader, &s, sizeof(s));
}

static void a_system_call_is_a_row_by_name_and_error(void **state)
{
	const uint64_t second = 1000000000;
	const struct ap_syscall_told closed = {.number = SYS_close, .error = EBADF};
	const struct ap_syscall_told bad[] = {{.abi = AP_SYSCALL_ABI_MAX}, {.error = 5000}};
	uint64_t closes = 0, reads = 0, read_ns = 0;
	struct ap_rows *rows;
	struct fixture f;

	begin(&f, false, 100);
	add_call(&f, second / 4, 100, closed);
	add_call(&f, second / 2, 200, closed);
	add_call(&f, 3 * second, 2 * second, (struct ap_syscall_told){.number = SYS_read});
	for (size_t i = 0; i < AP_ARRAY_SIZE(bad); i++)
		add_call(&f, second, 1, bad[i]);
	ap_reader_process(f.reader, &f.events, 9 * second, 0);
	rows = ap_rows_builder_take(f.rows, f.processes);
	AP_VEC_FOREACH(&rows->rows, r) {
		assert_int_equal(r->event, AP_EVENT_SYSCALL);
		if (ap_str_is(ap_rows_str(rows, r->other), "close")) {
			assert_int_equal(r->state, EBADF);
			assert_int_equal(r->value, 300);
			closes += r->count;
			continue;
		}
		assert_true(ap_str_is(ap_rows_str(rows, r->other), "read"));
		assert_int_equal(r->state, 0);
		reads += r->count;
		read_ns += r->value;
	}
	assert_int_equal(closes, 2);
	assert_int_equal(reads, 1);
	assert_int_equal(read_ns, 2 * second);
	assert_int_equal(ap_ledger_get(&f.ledger, AP_LEDGER_READER_OUT), 3);
	assert_int_equal(ap_ledger_get(&f.ledger, AP_LEDGER_READER_MALFORMED), 2);
	ap_rows_free(rows);
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
		cmocka_unit_test(a_notice_gives_the_file_its_number),
		cmocka_unit_test(a_wait_is_spread_over_its_seconds),
		cmocka_unit_test(a_system_call_is_a_row_by_name_and_error),
		cmocka_unit_test(losses_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
