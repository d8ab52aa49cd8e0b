/* SPDX-License-Identifier: Apache-2.0 */
/* The process table fed with events of processes that do not exist: pids above the kernel's limit,
 * so that nothing is found in /proc. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../test.h"
#include "agent/process.h"
#include "base/io.h"

#define SHELL 0x3ffffff0
#define CHILD 0x3ffffff1

static const uint8_t ids[2][20] = {{1}, {2}};

static void apply(struct ap_process_table *t, struct ap_sideband_event e)
{
	assert_int_equal(ap_process_table_apply(t, &e), 0);
}

static void exec(struct ap_process_table *t, int32_t pid, uint64_t time, const char *comm)
{
	apply(t, (struct ap_sideband_event){.kind = AP_SIDEBAND_EXEC,
					    .pid = pid,
					    .tid = pid,
					    .time = time,
					    .text = ap_str_of(comm)});
}

static void map(struct ap_process_table *t, int32_t pid, uint64_t start, uint64_t end,
		const char *path, int id)
{
	struct ap_sideband_event e = {.kind = AP_SIDEBAND_MMAP,
				      .pid = pid,
				      .tid = pid,
				      .start = start,
				      .end = end,
				      .pgoff = 0x1000,
				      .build_id_bytes = 20,
				      .text = ap_str_of(path)};

	memcpy(e.build_id, ids[id], 20);
	apply(t, e);
}

static void fork_child(struct ap_process_table *t, int32_t parent, int32_t pid, uint64_t time)
{
	apply(t, (struct ap_sideband_event){.kind = AP_SIDEBAND_FORK,
					    .pid = pid,
					    .tid = pid,
					    .ppid = parent,
					    .time = time});
}

static void end(struct ap_process_table *t, int32_t pid, uint64_t time)
{
	apply(t, (struct ap_sideband_event){
			 .kind = AP_SIDEBAND_EXIT, .pid = pid, .tid = pid, .time = time});
}

static struct ap_process *sampled(struct ap_process_table *t, int32_t pid, uint64_t start_time)
{
	struct ap_process_sample s = {.pid = pid,
				      .tid = pid,
				      .start_time = start_time,
				      .time = 1000,
				      .comm = "thread\0\0\0\0\0\0\0\0\0"};

	return ap_process_table_sampled(t, &s);
}

static const char *file_at(const struct ap_process *p, uint64_t address)
{
	const struct ap_map_range *r = ap_maps_find(&p->maps, address);

	return r ? r->file ? r->file->path : "(anonymous)" : "(none)";
}

static struct ap_process_table *make(void)
{
	struct ap_process_table *t = ap_process_table_new(100, 16);

	assert_non_null(t);
	exec(t, SHELL, 1, "sh");
	map(t, SHELL, 0x1000, 0x3000, "/no/such/sh", 0);
	map(t, SHELL, 0x7000, 0x9000, "/no/such/libc.so", 1);
	map(t, SHELL, 0xa000, 0xb000, "//anon", 1);
	return t;
}

static void a_program_is_named_by_its_first_mapping(void **state)
{
	_cleanup_(ap_cleanup_process_table) struct ap_process_table *t = make();
	struct ap_process *p = sampled(t, SHELL, 5);

	assert_string_equal(p->exe, "/no/such/sh");
	assert_string_equal(p->comm, "sh");
	assert_string_equal(p->exe_file->path, "/no/such/sh");
	assert_int_equal(p->exe_file->map.build_id[0], 1);
	assert_string_equal(file_at(p, 0x1000), "/no/such/sh");
	assert_string_equal(file_at(p, 0x2fff), "/no/such/sh");
	assert_string_equal(file_at(p, 0x3000), "(none)");
	assert_string_equal(file_at(p, 0xa800), "(anonymous)");
}

static void a_child_is_complete_before_and_after_exec(void **state)
{
	_cleanup_(ap_cleanup_process_table) struct ap_process_table *t = make();
	struct ap_process *p;

	fork_child(t, SHELL, CHILD, 2);
	p = ap_process_table_find(t, CHILD);
	assert_string_equal(p->exe, "/no/such/sh");
	assert_string_equal(p->comm, "sh");
	assert_string_equal(file_at(p, 0x7000), "/no/such/libc.so");
	exec(t, CHILD, 3, "true");
	map(t, CHILD, 0x5000, 0x6000, "/no/such/true", 1);
	end(t, CHILD, 4);
	p = sampled(t, CHILD, 5);
	assert_string_equal(p->exe, "/no/such/true");
	assert_string_equal(p->comm, "true");
	assert_string_equal(file_at(p, 0x7000), "(none)");
	assert_string_equal(file_at(p, 0x5000), "/no/such/true");
	/* The parent is as it was. */
	assert_string_equal(file_at(sampled(t, SHELL, 5), 0x7000), "/no/such/libc.so");
}

static void new_mappings_replace_what_they_overlap(void **state)
{
	_cleanup_(ap_cleanup_process_table) struct ap_process_table *t = make();
	const struct ap_process *p = ap_process_table_find(t, SHELL);

	map(t, SHELL, 0x7800, 0x8000, "/no/such/plugin.so", 0);
	assert_string_equal(file_at(p, 0x7000), "/no/such/libc.so");
	assert_string_equal(file_at(p, 0x7800), "/no/such/plugin.so");
	assert_string_equal(file_at(p, 0x8000), "/no/such/libc.so");
	/* What is left behind the hole keeps its place in the file. */
	assert_int_equal(ap_maps_find(&p->maps, 0x8000)->pgoff, 0x2000);
	map(t, SHELL, 0x2000, 0xb000, "/no/such/all.so", 0);
	assert_string_equal(file_at(p, 0x1fff), "/no/such/sh");
	assert_string_equal(file_at(p, 0x2000), "/no/such/all.so");
	assert_int_equal(p->maps.ranges.n, 2);
}

static void a_reused_pid_is_another_process(void **state)
{
	_cleanup_(ap_cleanup_process_table) struct ap_process_table *t = make();
	uint64_t first = sampled(t, SHELL, 1000000000)->serial;
	struct ap_process *p;

	assert_int_equal(sampled(t, SHELL, 1000000000)->serial, first);
	p = sampled(t, SHELL, 9000000000);
	assert_int_not_equal(p->serial, first);
	assert_string_equal(file_at(p, 0x1000), "(none)");
	assert_string_equal(p->comm, "thread");
	first = p->serial;
	fork_child(t, CHILD, SHELL, 20);
	assert_int_not_equal(ap_process_table_find(t, SHELL)->serial, first);
}

static void the_ended_stay_for_a_while(void **state)
{
	_cleanup_(ap_cleanup_process_table) struct ap_process_table *t = make();

	end(t, SHELL, 100);
	ap_process_table_expire(t, 100 + AP_PROCESS_GRACE_NS);
	assert_non_null(ap_process_table_find(t, SHELL));
	ap_process_table_expire(t, 101 + AP_PROCESS_GRACE_NS);
	assert_null(ap_process_table_find(t, SHELL));
}

static void the_table_is_bounded_and_counts_what_it_forgets(void **state)
{
	_cleanup_(ap_cleanup_process_table) struct ap_process_table *t = make();
	struct ap_process_counts counts;

	for (int32_t i = 0; i < 150; i++)
		exec(t, CHILD + i, 10 + (uint64_t)i, "x");
	ap_process_table_counts(t, &counts);
	assert_int_equal(counts.processes, 100);
	assert_int_equal(counts.evicted, 51);
	assert_null(ap_process_table_find(t, SHELL));
	assert_non_null(ap_process_table_find(t, CHILD + 149));
}

static void threads_and_foreign_namespaces_change_nothing(void **state)
{
	_cleanup_(ap_cleanup_process_table) struct ap_process_table *t = make();
	struct ap_sideband_event thread = {
		.kind = AP_SIDEBAND_FORK, .pid = SHELL, .ppid = SHELL, .tid = SHELL + 7};
	uint64_t serial = ap_process_table_find(t, SHELL)->serial;
	struct ap_process_counts counts;

	apply(t, thread);
	thread.kind = AP_SIDEBAND_EXIT;
	apply(t, thread);
	assert_int_equal(ap_process_table_find(t, SHELL)->serial, serial);
	assert_false(ap_process_table_find(t, SHELL)->exited);
	exec(t, 0, 5, "x");
	exec(t, -1, 5, "x");
	ap_process_table_counts(t, &counts);
	assert_int_equal(counts.processes, 1);
}

/* Ourselves, through /proc. */
static void a_live_process_is_read_when_sampled(void **state)
{
	_cleanup_(ap_cleanup_process_table) struct ap_process_table *t =
		ap_process_table_new(100, 16);
	struct ap_process *p = sampled(t, getpid(), 0);
	uint64_t code = (uint64_t)(uintptr_t)a_live_process_is_read_when_sampled;
	const struct ap_map_range *r = ap_maps_find(&p->maps, code);

	assert_non_null(r);
	assert_non_null(r->file);
	assert_string_equal(r->file->path, p->exe);
	assert_ptr_equal(r->file, p->exe_file);
	assert_true(r->file->fd >= 0 && r->file->elf && r->file->map.n_loads > 0);
	assert_true(p->cgroup && strlen(p->cgroup) > 0);
	assert_true(p->start_time > 0);
}

/* A copy of sleep(1) that runs from `fd`, or from `path`, which is then deleted. */
static pid_t start_copy(int fd, const char *path)
{
	static char *const argv[] = {"sleep", "60", NULL};
	_cleanup_buf_ struct ap_buf b = {0};
	char link[64], exe[256] = "";
	int done[2];
	pid_t pid;
	char c;

	assert_int_equal(ap_read_file(AT_FDCWD, "/bin/sleep", 1 << 24, &b), 0);
	assert_int_equal(ap_write_all(fd, b.p, b.n), 0);
	assert_int_equal(pipe2(done, O_CLOEXEC), 0);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (path)
		close(fd);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execv(path ? path : link, argv);
		_exit(127);
	}
	/* exec() closes the pipe. */
	close(done[1]);
	assert_int_equal(read(done[0], &c, 1), 0);
	close(done[0]);
	snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
	assert_true(readlink(link, exe, sizeof(exe) - 1) > 0);
	assert_null(strstr(exe, "process_test"));
	return pid;
}

static void check_copy(pid_t pid, const char *want)
{
	_cleanup_(ap_cleanup_process_table) struct ap_process_table *t =
		ap_process_table_new(100, 16);
	struct ap_process *p = sampled(t, pid, 0);

	assert_non_null(p->exe_file);
	assert_string_equal(p->exe_file->path, want);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(p->exe_file->fd >= 0 && p->exe_file->elf && p->exe_file->map.n_loads > 0);
}

/* Read through the descriptor that is kept, also once the process is gone. */
static void programs_without_a_path_keep_their_file(void **state)
{
	char path[] = "/tmp/aperture-gone-XXXXXX";
	int fd;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	fd = memfd_create("program", 0);
	assert_true(fd >= 0);
	check_copy(start_copy(fd, NULL), "/memfd:program");
	close(fd);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0700), 0);
	pid = start_copy(fd, path);
	assert_int_equal(unlink(path), 0);
	check_copy(pid, path);
}

static void only_those_asked_for_and_their_children_are_followed(void **state)
{
	_cleanup_(ap_cleanup_process_table) struct ap_process_table *t =
		ap_process_table_new(100, 16);
	struct ap_process_counts counts;

	ap_process_table_set_scope(t, AP_SCOPE_LEARNED);
	exec(t, SHELL, 1, "sh");
	fork_child(t, SHELL, CHILD, 2);
	map(t, CHILD, 0x1000, 0x2000, "/no/such/other", 0);
	ap_process_table_counts(t, &counts);
	assert_int_equal(counts.processes, 0);
	assert_int_equal(counts.files, 0);
	/* Its fork is told of after it was asked for. */
	ap_process_table_learn(t, CHILD, 20);
	fork_child(t, SHELL, CHILD, 10);
	assert_non_null(ap_process_table_find(t, CHILD));
	exec(t, CHILD, 30, "sh");
	fork_child(t, CHILD, CHILD + 1, 40);
	exec(t, CHILD + 1, 50, "true");
	map(t, CHILD + 1, 0x1000, 0x2000, "/no/such/true", 1);
	assert_string_equal(sampled(t, CHILD + 1, 5)->exe, "/no/such/true");
	/* The number is another process's now. */
	fork_child(t, SHELL, CHILD, 60);
	assert_null(ap_process_table_find(t, CHILD));
}

static void note_file(void *ctx, struct ap_file *f)
{
	char **names = ctx, *name = strrchr(f->path, '/') + 1;
	size_t n = strlen(*names);

	*names = realloc(*names, n + strlen(name) + 2);
	assert_non_null(*names);
	sprintf(*names + n, "%s ", name);
}

static void what_is_needed_depends_on_who_maps_it(void **state)
{
	static const enum ap_process_scope scopes[] = {AP_SCOPE_ALL, AP_SCOPE_SAMPLED};
	char script[] = "/tmp/ap-script-XXXXXX";
	int fd = mkstemp(script);

	assert_int_equal(write(fd, "#! /bin/ls -l\nx", 15), 15);
	for (size_t i = 0; i < 2; i++) {
		_cleanup_(ap_cleanup_process_table) struct ap_process_table *t =
			ap_process_table_new(100, 16);
		_cleanup_free_ char *names = calloc(1, 1);
		struct ap_sideband_event e = {.kind = AP_SIDEBAND_MMAP,
					      .pid = SHELL,
					      .tid = SHELL,
					      .start = 0x1000,
					      .end = 0x2000,
					      .text = AP_STR("/bin/true")};

		ap_process_table_set_scope(t, scopes[i]);
		ap_file_table_watch(ap_process_table_files(t), note_file, &names);
		exec(t, SHELL, 1, "sh");
		apply(t, e);
		assert_string_equal(names, scopes[i] == AP_SCOPE_ALL ? "true " : "");
		sampled(t, SHELL, 5);
		fork_child(t, SHELL, CHILD, 20);
		exec(t, CHILD, 30, "x");
		e.pid = e.tid = CHILD;
		apply(t, e); /* again: it has no number yet */
		ap_process_table_expect(t, script);
		ap_process_table_expect(t, "/no/such/file");
		assert_string_equal(names,
				    scopes[i] == AP_SCOPE_ALL ? "true true ls " : "true ls ");
	}
	close(fd);
	unlink(script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_is_named_by_its_first_mapping),
		cmocka_unit_test(a_child_is_complete_before_and_after_exec),
		cmocka_unit_test(new_mappings_replace_what_they_overlap),
		cmocka_unit_test(a_reused_pid_is_another_process),
		cmocka_unit_test(the_ended_stay_for_a_while),
		cmocka_unit_test(the_table_is_bounded_and_counts_what_it_forgets),
		cmocka_unit_test(threads_and_foreign_namespaces_change_nothing),
		cmocka_unit_test(a_live_process_is_read_when_sampled),
		cmocka_unit_test(only_those_asked_for_and_their_children_are_followed),
		cmocka_unit_test(what_is_needed_depends_on_who_maps_it),
		cmocka_unit_test(programs_without_a_path_keep_their_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
