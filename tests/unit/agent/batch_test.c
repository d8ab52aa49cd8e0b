/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/batch.h"

#include <fcntl.h>
#include <unistd.h>

#include "../symbol/fixture.h"
#include "abi/kernel_lock.h"
#include "abi/offcpu.h"
#include "agent/rows.h"

struct maker {
	struct ap_rows *rows;
	struct ap_ledger ledger;
};

static uint32_t text(struct maker *m, const char *s)
{
	uint32_t id;

	assert_int_equal(ap_intern_add(m->rows->strings, ap_str_of(s), &id, NULL), 0);
	return id;
}

static void put_file(struct maker *m, const char *path, const char *build_id, int fd,
		     uint64_t serial)
{
	struct ap_rows_file f = {
		.path = text(m, path), .build_id = text(m, build_id), .fd = fd, .serial = serial};

	assert_int_equal(ap_vec_push(&m->rows->files, f), 0);
}

static uint32_t put_stack(struct maker *m, struct ap_raw_stack h, const uint64_t *kernel,
			  const struct ap_raw_frame *user)
{
	_cleanup_buf_ struct ap_buf b = {0};
	uint32_t id;

	ap_buf_append(&b, &h, sizeof(h));
	ap_buf_append(&b, kernel, h.n_kernel * sizeof(*kernel));
	ap_buf_append(&b, user, h.n_user * sizeof(*user));
	assert_int_equal(ap_intern_add(m->rows->stacks, ap_buf_view(&b), &id, NULL), 0);
	return id;
}

static void put_row(struct maker *m, uint32_t process, const char *thread, uint32_t stack,
		    uint64_t count)
{
	struct ap_row r = {.time_ns = 5000000000,
			   .count = count,
			   .value = count * 10101010,
			   .process = process,
			   .comm = text(m, thread),
			   .stack = stack,
			   .event = AP_EVENT_CPU};

	assert_int_equal(ap_vec_push(&m->rows->rows, r), 0);
}

/* File 1 is the fixture, process 0 runs it as a service, process 1 has JIT code. */
static void make(struct maker *m)
{
	const char *path = getenv("AP_FIXTURE");
	struct ap_rows_process p = {.serial = 1, .pid = 4242, .exe_file = 1, .alive = false};

	*m = (struct maker){.rows = ap_rows_new()};
	assert_non_null(m->rows);
	m->rows->start_ns = 5000000000;
	m->rows->end_ns = 6000000000;
	m->rows->period_ns = 10101010;
	put_file(m, "/srv/inlined", "00c0ffee0123456789abcdef", open(path, O_RDONLY), 77);
	put_file(m, "/srv/gone.so", "aa11", -1, 78);
	p.comm = text(m, "inlined");
	p.exe = text(m, "/srv/inlined");
	p.group_exe = p.exe;
	p.cgroup = text(m, "0::/system.slice/shop.service\n");
	assert_int_equal(ap_vec_push(&m->rows->processes, p), 0);
	p = (struct ap_rows_process){.serial = 2, .pid = (int32_t)getpid(), .alive = true};
	p.comm = text(m, "node");
	p.exe = text(m, "/usr/bin/node");
	assert_int_equal(ap_vec_push(&m->rows->processes, p), 0);
}

static void end(struct maker *m)
{
	if (m->rows->files.p[1].fd >= 0)
		close(m->rows->files.p[1].fd);
	ap_rows_free(m->rows);
}

static struct ap_profile *build(struct maker *m, struct ap_symbolizer *s, uint64_t *reasons)
{
	static const struct ap_user_label team = {AP_STR("team"), AP_STR("cart")};
	struct ap_batcher_opts opts = {.host = AP_STR("web-1"),
				       .labels = &team,
				       .n_labels = 1,
				       .symbolizer = s,
				       .ledger = &m->ledger};
	_cleanup_(ap_cleanup_batcher) struct ap_batcher *b = ap_batcher_new(&opts);
	struct ap_profile *p = NULL;
	struct ap_error err;

	assert_non_null(b);
	assert_int_equal(ap_batcher_build(b, m->rows, &p, &err), 0);
	if (reasons)
		memcpy(reasons, ap_batcher_reasons(b), AP_REASONS_MAX * sizeof(*reasons));
	return p;
}

/* "outermost;…;leaf" of a sample. */
static void check_stack(const struct ap_profile *p, size_t sample, const char *want)
{
	struct ap_stack s = ap_profile_get_stack(p, p->samples.p[sample].stack);
	_cleanup_buf_ struct ap_buf b = {0};

	for (uint32_t i = 0; i < s.n; i++) {
		if (i)
			ap_buf_byte(&b, ';');
		ap_profile_frame_name(p, s.frames[i], &b);
	}
	ap_buf_byte(&b, 0);
	assert_string_equal(b.p, want);
}

static void check_label(const struct ap_profile *p, size_t sample, const char *key,
			const char *want)
{
	struct ap_str got = ap_profile_label_value(p, p->samples.p[sample].labels, ap_str_of(key));

	if (!ap_str_is(got, want))
		fail_msg("%s is '%.*s', not '%s'", key, AP_STR_ARG(got), want);
}

static void names_expands_and_orders_frames(void **state)
{
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(NULL);
	const char *path = getenv("AP_FIXTURE");
	uint64_t holder = fixture_address(path, "holder"), start = fixture_address(path, "main");
	struct ap_raw_frame user[] = {{holder, 1, 0}, {start, 1, 0}, {0x1234, 2, 0}};
	struct ap_raw_stack h = {.n_user = 3, .process = AP_ROWS_NONE};
	const struct ap_frame *f;
	struct ap_profile *p;
	struct ap_stack stack;
	struct maker m;

	make(&m);
	put_row(&m, 0, "worker", put_stack(&m, h, NULL, user), 3);
	put_row(&m, 0, "worker", 1, 4);
	p = build(&m, s, NULL);
	assert_int_equal(p->samples.n, 2);
	check_stack(p, 0, "gone.so+0x1234;main;holder;middle;innermost");
	assert_int_equal(p->samples.p[0].stack, p->samples.p[1].stack);
	assert_int_equal(p->samples.p[0].labels, p->samples.p[1].labels);
	stack = ap_profile_get_stack(p, p->samples.p[0].stack);
	f = ap_profile_get_frame(p, stack.frames[4]);
	assert_int_equal(f->kind, AP_FRAME_INLINED);
	assert_int_equal(f->inline_index, 2);
	assert_int_equal(f->line, 9);
	assert_true(f->offset == holder);
	f = ap_profile_get_frame(p, stack.frames[2]);
	assert_int_equal(f->kind, AP_FRAME_NATIVE);
	assert_int_equal(f->inline_index, 0);
	assert_true(ap_str_is(ap_profile_str(p, ap_profile_get_mapping(p, f->mapping)->build_id),
			      "00c0ffee0123456789abcdef"));
	assert_int_equal(ap_ledger_get(&m.ledger, AP_LEDGER_BATCH_IN), 7);
	assert_int_equal(ap_ledger_get(&m.ledger, AP_LEDGER_BATCH_OUT), 7);
	assert_int_equal(ap_ledger_get(&m.ledger, AP_LEDGER_BATCH_NO_MEMORY), 0);
	assert_true(p->start_ns == 5000000000 && p->end_ns == 6000000000);
	assert_int_equal(p->period_ns, 10101010);
	ap_profile_free(p);

	/* What was found out stays known after the file is gone. */
	close(m.rows->files.p[1].fd);
	m.rows->files.p[1].fd = -1;
	p = build(&m, s, NULL);
	check_stack(p, 0, "gone.so+0x1234;main;holder;middle;innermost");
	ap_profile_free(p);
	end(&m);
}

static void labels_say_who_it_was(void **state)
{
	struct ap_profile *p;
	struct maker m;

	make(&m);
	put_row(&m, 0, "worker-\xff", 0, 1);
	put_row(&m, 1, "node", 0, 1);
	put_row(&m, AP_ROWS_NONE, "stray", 0, 1);
	p = build(&m, NULL, NULL);
	check_label(p, 0, "service", "shop");
	check_label(p, 0, "host", "web-1");
	check_label(p, 0, "unit", "shop.service");
	check_label(p, 0, "comm", "inlined");
	check_label(p, 0, "thread", "worker-?");
	check_label(p, 0, "pid", "4242");
	check_label(p, 0, "build", "00c0ffee0123456789abcdef");
	check_label(p, 0, "team", "cart");
	check_label(p, 0, "container", "");
	check_label(p, 1, "service", "node");
	check_label(p, 1, "build", "");
	check_label(p, 2, "thread", "stray");
	check_label(p, 2, "service", "");
	ap_profile_free(p);
	end(&m);
}

static void calls_have_their_name_and_error(void **state)
{
	static const struct {
		uint32_t error;
		const char *want;
	} calls[] = {{0, ""}, {ENOENT, "ENOENT"}, {4000, "4000"}};
	struct ap_batcher_opts o = {.host = AP_STR("h")};
	_cleanup_(ap_cleanup_batcher) struct ap_batcher *b = ap_batcher_new(&o);
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = NULL;
	struct ap_error err = {0};
	struct maker m;

	make(&m);
	m.rows->rows.n = 0;
	for (size_t i = 0; i < AP_ARRAY_SIZE(calls); i++) {
		put_row(&m, 0, "t", 0, 1);
		m.rows->rows.p[i].event = AP_EVENT_SYSCALL;
		m.rows->rows.p[i].other = text(&m, "openat");
		m.rows->rows.p[i].state = calls[i].error;
	}
	assert_int_equal(ap_batcher_build(b, m.rows, &p, &err), 0);
	assert_int_equal(p->samples.n, AP_ARRAY_SIZE(calls));
	for (size_t i = 0; i < AP_ARRAY_SIZE(calls); i++) {
		assert_int_equal(p->samples.p[i].event, AP_EVENT_SYSCALL);
		check_label(p, i, "syscall", "openat");
		check_label(p, i, "errno", calls[i].want);
		check_label(p, i, "state", "");
	}
	end(&m);
}

/* The aggregator refuses a whole batch for a row that lies more than a minute before it. */
static void rows_of_long_ago_are_within_the_batchs_reach(void **state)
{
	struct ap_batcher_opts o = {.host = AP_STR("h")};
	_cleanup_(ap_cleanup_batcher) struct ap_batcher *b = ap_batcher_new(&o);
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = NULL;
	struct ap_error err = {0};
	struct maker m;

	make(&m);
	m.rows->rows.n = 0;
	m.rows->start_ns = 300000000000;
	m.rows->end_ns = 310000000000;
	put_row(&m, 0, "t", 0, 1);
	put_row(&m, 0, "t", 0, 1);
	m.rows->rows.p[0].time_ns = 20000000000;
	m.rows->rows.p[1].time_ns = 290000000000;
	assert_int_equal(ap_batcher_build(b, m.rows, &p, &err), 0);
	assert_int_equal(p->samples.n, 2);
	assert_int_equal(p->samples.p[0].time_ns, 270000000000);
	assert_int_equal(p->samples.p[1].time_ns, 290000000000);
	end(&m);
}

static void put_place(struct maker *m, uint32_t file, const char *name, uint64_t offset, bool whole)
{
	struct ap_rows_place p = {offset, file, text(m, name), whole};

	assert_int_equal(ap_vec_push(&m->rows->places, p), 0);
}

static void locks_have_places_and_waits_ends(void **state)
{
	static const char *const ends[] = {"", "woken", "timeout", "signal"};
	static const char *const places[] = {"", "inlined+0x7fff0000", "/dev/shm/x+0x40",
					     "[stack]"};
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(NULL);
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = NULL;
	struct maker m;

	make(&m);
	put_place(&m, 1, "", 0x7fff0000, false);
	put_place(&m, 0, "/dev/shm/x", 0x40, false);
	put_place(&m, 0, "[stack]", 0, true);
	for (uint32_t i = 0; i < AP_WAIT_ENDS; i++) {
		put_row(&m, 0, "worker", 0, 1);
		m.rows->rows.p[i].event = AP_EVENT_LOCK;
		m.rows->rows.p[i].lock = 0x1000 + i;
		m.rows->rows.p[i].state = i;
		m.rows->rows.p[i].place = i;
	}
	put_row(&m, 0, "worker", 0, 1);
	m.rows->rows.p[AP_WAIT_ENDS].event = AP_EVENT_WAKER;
	m.rows->rows.p[AP_WAIT_ENDS].state = AP_WAIT_BLOCKED;
	m.rows->rows.p[AP_WAIT_ENDS].other = text(&m, "sleeper");
	p = build(&m, s, NULL);
	for (uint32_t i = 0; i < AP_WAIT_ENDS; i++) {
		check_label(p, i, "ended", ends[i]);
		check_label(p, i, "place", places[i]);
		check_label(p, i, "kind", "futex");
	}
	check_label(p, AP_WAIT_ENDS, "state", "blocked");
	check_label(p, AP_WAIT_ENDS, "waiter", "sleeper");
	check_label(p, AP_WAIT_ENDS, "ended", "");
	end(&m);
}

static void reasons_are_counted_and_kept(void **state)
{
	uint64_t kernel[] = {0xffffffff81000010, 0xffffffff81000020};
	struct ap_raw_frame user[] = {{0x99, 2, 0}};
	struct ap_raw_stack cut = {.flags = AP_RECORD_F_KSTACK_CUT,
				   .n_kernel = 2,
				   .n_user = 1,
				   .process = AP_ROWS_NONE};
	struct ap_raw_stack no_fp = {
		.reason = AP_REASON_NO_FRAME_POINTER, .n_user = 1, .process = AP_ROWS_NONE};
	uint64_t reasons[AP_REASONS_MAX];
	struct ap_profile *p;
	struct maker m;

	make(&m);
	put_row(&m, 0, "a", put_stack(&m, cut, kernel, user), 5);
	put_row(&m, 0, "a", put_stack(&m, no_fp, NULL, user), 2);
	put_row(&m, 0, "b", 2, 2);
	p = build(&m, NULL, reasons);
	check_stack(p, 0, "gone.so+0x99;[kernel]+0xffffffff81000020;[kernel]+0xffffffff81000010");
	assert_int_equal(ap_profile_get_stack(p, p->samples.p[0].stack).reason,
			 AP_REASON_TRUNCATED);
	assert_int_equal(reasons[AP_REASON_TRUNCATED], 5);
	assert_int_equal(reasons[AP_REASON_NO_FRAME_POINTER], 4);
	assert_int_equal(reasons[AP_REASON_OK], 0);
	ap_profile_free(p);
	end(&m);
}

static void names_jit_code_of_living_processes(void **state)
{
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(NULL);
	struct ap_raw_frame user[] = {
		{0x7f0000001010, AP_ROWS_JIT, 0}, {0x7f0000009000, AP_ROWS_JIT, 0}, {0x99, 0, 0}};
	struct ap_raw_stack h = {.n_user = 3, .process = 1};
	struct ap_profile *p;
	struct maker m;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("7f0000001000 100 JS:*sort app.js:7\n", f);
	fclose(f);
	make(&m);
	put_row(&m, 1, "node", put_stack(&m, h, NULL, user), 1);
	p = build(&m, s, NULL);
	unlink(path);
	check_stack(p, 0, "[anon]+0x99;[jit];JS:*sort app.js:7");
	ap_profile_free(p);
	/* The map is kept past its process's end. */
	m.rows->processes.p[1].alive = false;
	p = build(&m, s, NULL);
	check_stack(p, 0, "[anon]+0x99;[jit];JS:*sort app.js:7");
	ap_profile_free(p);
	m.rows->processes.p[1].serial++;
	m.rows->processes.p[1].runtime = AP_RUNTIME_NODE;
	p = build(&m, s, NULL);
	check_stack(p, 0,
		    "[anon]+0x99;[jit: needs --perf-basic-prof];[jit: needs --perf-basic-prof]");
	ap_profile_free(p);
	end(&m);
}

static void put_kernel_wait(struct maker *m, uint32_t stack, uint64_t lock,
			    enum ap_kernel_lock_kind kind, enum ap_kernel_lock_object object)
{
	struct ap_row r = {.time_ns = 5000000000,
			   .count = 1,
			   .value = 7,
			   .comm = text(m, "worker"),
			   .stack = stack,
			   .event = AP_EVENT_LOCK,
			   .lock = lock,
			   .kernel_lock = AP_ROWS_KERNEL_LOCK(kind, object)};

	assert_int_equal(ap_vec_push(&m->rows->rows, r), 0);
}

static void check_kernel_wait(const struct ap_profile *p, size_t i, const char *lock,
			      const char *kind, const char *caller)
{
	check_label(p, i, "domain", "kernel");
	check_label(p, i, "lock", lock);
	check_label(p, i, "kind", kind);
	check_label(p, i, "caller", caller);
}

static void names_locks_of_the_kernel(void **state)
{
	static const char symbols[] = "ffffffff81000000 T bpf_trace_run2\n"
				      "ffffffff81000100 T __traceiter_contention_begin\n"
				      "ffffffff81000200 T down_write\n"
				      "ffffffff81000300 T vm_munmap\n"
				      "ffffffff82000000 D init_task\n"
				      "ffffffff82000400 D cgroup_mutex\n"
				      "ffffffff82000500 T end\n";
	const uint64_t kernel[] = {0xffffffff81000010, 0xffffffff81000110, 0xffffffff81000210,
				   0xffffffff81000310, 0xffffffff90000000};
	const struct ap_raw_frame user[] = {{.address = 0x10, .file = 2}};
	struct ap_raw_stack h = {
		.n_kernel = 4, .n_user = 1, .flags = AP_RECORD_F_TRACED, .process = AP_ROWS_NONE};
	struct ap_raw_stack shorter = {.n_kernel = 4,
				       .flags = AP_RECORD_F_TRACED,
				       .reason = AP_REASON_SHORT_WAIT,
				       .process = AP_ROWS_NONE};
	struct ap_raw_stack nowhere = {.n_kernel = 1, .process = AP_ROWS_NONE};
	char path[] = "/tmp/aperture-kallsyms-XXXXXX";
	int fd = mkstemp(path);
	struct ap_symbolizer_opts opts = {.kallsyms = path};
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(&opts);
	struct ap_profile *p;
	struct maker m;

	assert_int_equal(write(fd, symbols, sizeof(symbols) - 1), sizeof(symbols) - 1);
	close(fd);
	make(&m);
	put_kernel_wait(&m, put_stack(&m, h, kernel, user), 0xffffffff82000408, AP_KERNEL_MUTEX,
			AP_KERNEL_LOCK_STATIC);
	put_kernel_wait(&m, put_stack(&m, shorter, kernel, NULL), 0, AP_KERNEL_RWSEM_WRITE,
			AP_KERNEL_LOCK_MMAP);
	put_kernel_wait(&m, put_stack(&m, nowhere, kernel + 4, NULL), 0xffffffff90000000,
			AP_KERNEL_SPINLOCK, AP_KERNEL_LOCK_STATIC);
	put_kernel_wait(&m, put_stack(&m, h, kernel, user), 0, AP_KERNEL_PERCPU_READ,
			AP_KERNEL_LOCK_HEAP);
	p = build(&m, s, NULL);
	unlink(path);
	check_stack(p, 0, "gone.so+0x10;vm_munmap;down_write");
	check_kernel_wait(p, 0, "cgroup_mutex+0x8", "mutex", "vm_munmap");
	check_stack(p, 1, "[short waits];vm_munmap;down_write");
	check_kernel_wait(p, 1, "mmap_lock", "rwsem write", "vm_munmap");
	check_kernel_wait(p, 2, "[kernel data]", "spinlock", "[unknown]");
	check_kernel_wait(p, 3, "[kernel heap]", "percpu-rwsem read", "vm_munmap");
	ap_profile_free(p);
	end(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_expands_and_orders_frames),
		cmocka_unit_test(labels_say_who_it_was),
		cmocka_unit_test(calls_have_their_name_and_error),
		cmocka_unit_test(locks_have_places_and_waits_ends),
		cmocka_unit_test(rows_of_long_ago_are_within_the_batchs_reach),
		cmocka_unit_test(reasons_are_counted_and_kept),
		cmocka_unit_test(names_jit_code_of_living_processes),
		cmocka_unit_test(names_locks_of_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
