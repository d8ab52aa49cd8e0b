/* SPDX-License-Identifier: Apache-2.0 */
/* The walker over the stacks of running Go programs: each of their threads is stopped again and again
 * wherever it is, and its stack walked by the tables that its files give. */
#include "../test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "abi/ledger.h"
#include "base/buf.h"
#include "unwind/gopclntab.h"
#include "unwind/sections.h"
#include "unwind/store.h"

#define WALKS	     1500
#define WALKS_MAX    60000 /* until each kind of stack was seen */
#define FILES_MAX    16
#define MAPPINGS_MAX 64
#define STORE_WORDS  (AP_TABLES_AT + (1u << 20))
#define THREADS_MAX  64
#define EXPECTED_MAX 8

static struct {
	pid_t pid;
	int input; /* of the program: it ends when this does */
	uint32_t *words;
	struct ap_table_store *store;
	struct file {
		char path[256];
		int fd;
		struct ap_file_ref ref;
	} files[FILES_MAX];
	uint32_t n_files;
	struct mapping {
		uint64_t start, end, offset;
		uint32_t file;
	} mappings[MAPPINGS_MAX];
	uint32_t n_mappings;
	struct ap_gopclntab *go; /* of file 0 */
	struct ap_unwind_elf elf;
	struct ap_rule_memo memos[AP_RULE_MEMOS];
} program;

struct ap_walk;

static int ap_read_user(struct ap_walk *w, void *dst, uint32_t bytes, uint64_t address)
{
	struct iovec local = {dst, bytes}, remote = {(void *)address, bytes}; /* NOLINT */

	return process_vm_readv(program.pid, &local, 1, &remote, 1, 0) == (ssize_t)bytes ? 0 : -1;
}

static uint32_t ap_table_word(uint32_t i)
{
	return i < STORE_WORDS ? program.words[i] : 0;
}

static struct ap_rule_memo *ap_rule_memo(uint32_t i)
{
	return &program.memos[i];
}

#include "bpf/unwind.bpf.h"

static int ap_map_find(struct ap_walk *w, uint64_t address, uint32_t slot)
{
	for (uint32_t i = 0; i < program.n_mappings; i++) {
		const struct mapping *m = &program.mappings[i];

		if (address - m->start >= m->end - m->start)
			continue;
		w->maps[slot] = (struct ap_mapped){.start = m->start,
						   .end = m->end,
						   .delta = m->offset - m->start,
						   .file = program.files[m->file].ref,
						   .kind = AP_MAPPED_FILE};
		return 0;
	}
	return -1;
}

static uint32_t file_of(const char *path)
{
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *t = NULL;
	struct file *f;

	for (uint32_t i = 0; i < program.n_files; i++)
		if (strcmp(program.files[i].path, path) == 0)
			return i;
	assert_in_range(program.n_files, 0, FILES_MAX - 1);
	f = &program.files[program.n_files];
	snprintf(f->path, sizeof(f->path), "%s", path);
	f->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (f->fd >= 0 && ap_unwind_table_build(f->fd, &t) == 0)
		assert_int_equal(ap_table_store_add(program.store, t, 1, &f->ref), 0);
	f->ref.file = program.n_files + 1;
	return program.n_files++;
}

static void read_mappings(void)
{
	char path[64], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", program.pid);
	f = fopen(path, "re");
	assert_non_null(f);
	program.n_mappings = 0;
	while (fgets(line, sizeof(line), f)) {
		struct mapping m;
		char mode[8], name[256] = "";

		if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %255s", &m.start, &m.end, mode, &m.offset,
			   name) < 4 ||
		    mode[2] != 'x' || m.start > AP_USER_ADDRESS_MAX)
			continue;
		assert_in_range(program.n_mappings, 0, MAPPINGS_MAX - 1);
		m.file = file_of(name);
		program.mappings[program.n_mappings++] = m;
	}
	fclose(f);
}

static void read_vdso(void)
{
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *t = NULL;
	_cleanup_fd_ int fd = memfd_create("vdso", MFD_CLOEXEC);
	uint32_t number = file_of("[vdso]");
	struct file *f = &program.files[number];

	for (uint32_t i = 0; i < program.n_mappings; i++) {
		const struct mapping *m = &program.mappings[i];
		uint8_t page[4096];

		for (uint64_t at = m->start; m->file == number && at < m->end; at += sizeof(page)) {
			assert_int_equal(ap_read_user(NULL, page, sizeof(page), at), 0);
			assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
		}
	}
	if (ap_unwind_table_build(fd, &t) == 0)
		assert_int_equal(ap_table_store_add(program.store, t, 1, &f->ref), 0);
	f->ref.file = number + 1;
}

/* `library`: Go's code, where `path` is only its host; NULL: it is in `path`. */
static void start_program(const char *path, const char *library)
{
	int in[2], out[2];
	char ready[6];

	memset(&program, 0, sizeof(program));
	program.words = calloc(STORE_WORDS, sizeof(*program.words));
	program.store = ap_table_store_new(program.words, STORE_WORDS);
	assert_non_null(program.store);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	program.pid = fork();
	assert_return_code(program.pid, errno);
	if (program.pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl(path, path, library, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	program.input = in[1];
	assert_int_equal(read(out[0], ready, sizeof(ready)), sizeof(ready));
	close(out[0]);
	file_of(library ? library : path);
	assert_int_equal(ap_gopclntab_open(program.files[0].fd, &program.go), 0);
	assert_int_equal(ap_unwind_elf_read(program.files[0].fd, &program.elf), 0);
	read_mappings();
	read_vdso();
}

static void end_program(void)
{
	int status;
	pid_t tid;

	close(program.input);
	kill(program.pid, SIGKILL);
	/* Its threads are ours to wait for; it comes last. */
	do
		tid = waitpid(-1, &status, __WALL);
	while (tid > 0 && (tid != program.pid || WIFSTOPPED(status)));
	for (uint32_t i = 0; i < program.n_files; i++)
		if (program.files[i].fd >= 0)
			close(program.files[i].fd);
	ap_gopclntab_free(program.go);
	ap_table_store_free(program.store);
	free(program.words);
}

/* The function of a frame, "" where Go's table knows none: code of C. */
static void frame_name(uint64_t frame, struct ap_buf *out)
{
	uint64_t offset = frame & AP_FRAME_OFFSET_MASK;
	uint64_t file = (frame >> AP_FRAME_OFFSET_BITS) & AP_FRAME_FILE_MAX;
	struct ap_go_function f;

	for (uint32_t i = 0; i < program.elf.n_segments && file == 1; i++) {
		const struct ap_unwind_segment *s = &program.elf.segments[i];

		if (offset - s->offset < s->bytes &&
		    ap_gopclntab_find(program.go, s->vaddr + (offset - s->offset), &f) == 0 &&
		    f.pcsp)
			ap_gopclntab_name(program.go, f.name, out);
	}
}

struct stack {
	struct ap_walk w;
	uint64_t frames[AP_USER_FRAMES_MAX];
	struct ap_buf text; /* ";main.main;runtime.goexit;", innermost first */
};

static void name_stack(struct stack *s)
{
	ap_buf_clear(&s->text);
	ap_buf_byte(&s->text, ';');
	for (uint32_t i = 0; i < s->w.depth; i++) {
		size_t before = s->text.n;

		frame_name(s->frames[i], &s->text);
		ap_buf_puts(&s->text, s->text.n == before ? "C;" : ";");
	}
	ap_buf_byte(&s->text, 0);
}

/* Stops the thread wherever it is; signals on their way to it are let through. False: it has ended. */
static bool stop_thread(pid_t tid)
{
	int status;

	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0)
		return false;
	while (waitpid(tid, &status, __WALL) == tid && WIFSTOPPED(status)) {
		uintptr_t passed = (uintptr_t)WSTOPSIG(status);

		if (status >> 16 == PTRACE_EVENT_STOP)
			return true;
		if (ptrace(PTRACE_CONT, tid, NULL, (void *)passed) < 0) /* NOLINT */
			return false;
	}
	return false;
}

static bool walk_thread(pid_t tid, struct stack *s)
{
	struct user_regs_struct r;

	if (!stop_thread(tid))
		return false;
	assert_return_code(ptrace(PTRACE_GETREGS, tid, NULL, &r), errno);
	s->w = (struct ap_walk){.pc = r.rip, .tls = r.fs_base};
	memcpy(s->w.regs,
	       (uint64_t[]){r.rax, r.rdx, r.rcx, r.rbx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9,
			    r.r10, r.r11, r.r12, r.r13, r.r14, r.r15},
	       sizeof(s->w.regs));
	ap_walk_begin(&s->w);
	ap_walk_user(&s->w, s->frames, AP_USER_FRAMES_MAX);
	name_stack(s);
	return ptrace(PTRACE_CONT, tid, NULL, NULL) == 0;
}

/* Seizes what threads are new, and fills in all of them. */
static uint32_t find_threads(pid_t *tids)
{
	char path[64];
	struct dirent *e;
	uint32_t n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", program.pid);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)) && n < THREADS_MAX)
		if (e->d_name[0] != '.')
			tids[n++] = atoi(e->d_name);
	closedir(d);
	for (uint32_t i = 0; i < n; i++)
		ptrace(PTRACE_SEIZE, tids[i], NULL, NULL);
	return n;
}

/* Whether it ends in the outermost frame of a goroutine or of a thread, by that frame's name; threads
 * of C's are believed to. */
static bool is_complete(const struct stack *s, bool hosted)
{
	static const char *const outermost[] = {
		";runtime.goexit;", ";runtime.mstart;", ";runtime.rt0_go;",    ";runtime.mcall;",
		";runtime.clone;",  ";gogo;",		";runtime.morestack;",
	};
	struct ap_str text = {(const char *)s->text.p, s->text.n - 1};

	for (size_t i = 0; i < AP_ARRAY_SIZE(outermost); i++)
		if (ap_str_ends(text, ap_str_of(outermost[i])))
			return s->w.reason == AP_REASON_OK;
	return hosted && ap_str_ends(text, AP_STR(";C;")) && s->w.reason == AP_REASON_OK;
}

struct expectation {
	const char *seen;  /* a stack with this one */
	const char *above; /* has this one too, further out */
	uint32_t n, broken;
};

static void expect(struct expectation *e, const struct stack *s)
{
	const char *at = strstr((const char *)s->text.p, e->seen);

	if (!at)
		return;
	e->n++;
	if (strstr(at, e->above))
		return;
	e->broken++;
	print_message("%s without %s: %s\n", e->seen, e->above, (const char *)s->text.p);
}

static bool all_seen(const struct expectation *e)
{
	while (e->seen && e->n > 0)
		e++;
	return !e->seen;
}

static void walk_program(const char *path, const char *library, struct expectation *expected)
{
	static struct stack s;
	uint32_t n = 0, complete = 0;
	pid_t tids[THREADS_MAX];

	start_program(path, library);
	while (n < WALKS || (n < WALKS_MAX && !all_seen(expected))) {
		uint32_t threads = find_threads(tids);

		assert_in_range(threads, 1, THREADS_MAX);
		for (uint32_t i = 0; i < threads; i++) {
			if (!walk_thread(tids[i], &s))
				continue;
			n++;
			if (is_complete(&s, library))
				complete++;
			else
				print_message("%s: %s\n", ap_reason_name(s.w.reason),
					      (const char *)s.text.p);
			for (struct expectation *e = expected; e->seen; e++)
				expect(e, &s);
		}
	}
	end_program();
	ap_buf_free(&s.text);
	print_message("%s: %u of %u complete\n", path, complete, n);
	assert_in_range(complete * 1000, n * 995, n * 1000);
	for (struct expectation *e = expected; e->seen; e++) {
		print_message("%s with %s above it: %u of %u\n", e->seen, e->above,
			      e->n - e->broken, e->n);
		assert_in_range(e->n, 1, n);
		assert_int_equal(e->broken, 0);
	}
}

static void each_program(const char *name, const struct expectation *expected)
{
	static const char *const compilers[] = {"debian", "own"};
	uint32_t n = 0;

	for (size_t i = 0; i < AP_ARRAY_SIZE(compilers); i++) {
		struct expectation copy[EXPECTED_MAX + 1];
		char path[256], host[256];

		snprintf(path, sizeof(path), "%s/go_%s_%s", getenv("AP_GO_PROGRAMS"), compilers[i],
			 name);
		if (access(path, R_OK) < 0)
			continue;
		memcpy(copy, expected, sizeof(copy));
		snprintf(host, sizeof(host), "%s/go_host", getenv("AP_GO_PROGRAMS"));
		if (strcmp(name, "shared") == 0)
			walk_program(host, path, copy);
		else
			walk_program(path, NULL, copy);
		n++;
	}
	if (n == 0)
		skip();
}

static const struct expectation stacks[EXPECTED_MAX + 1] = {
	{.seen = ";runtime.systemstack;", .above = ";runtime.goexit;"},
	{.seen = ";runtime.gcDrain;", .above = ";runtime.systemstack;runtime.gcBgMarkWorker"},
	{.seen = ";runtime.newstack;", .above = ";runtime.morestack;"},
	{.seen = ";runtime.copystack;", .above = ";runtime.goexit;"},
	{.seen = ";runtime.newstack;runtime.morestack;main.descend;", .above = ";runtime.goexit;"},
	{.seen = ";time.now;", .above = ";main.call;"},
	{.seen = ";runtime.sigtramp;", .above = ";runtime.sigreturn"},
	{.seen = ";runtime.mcall;", .above = ";"},
};

static const struct expectation calls[EXPECTED_MAX + 1] = {
	{.seen = ";main.innermost;", .above = ";C;"},
	{.seen = ";main.innermost;", .above = ";main.outermost;"},
	{.seen = ";runtime.cgocallback;", .above = ";runtime.asmcgocall"},
	{.seen = ";main.innermost;", .above = ";runtime.cgocall;"},
};

static const struct expectation shared[EXPECTED_MAX + 1] = {
	{.seen = ";runtime.newproc.func1;runtime.systemstack;", .above = ";runtime.newproc;"},
	{.seen = ";runtime.newstack;runtime.morestack;main.descend;", .above = ";runtime.goexit;"},
	{.seen = ";main.run;", .above = ";runtime.cgocallback;crosscall2;C;"},
};

static void follows_the_runtimes_switches_of_stack(void **state)
{
	each_program("stacks", stacks);
}

static void and_those_of_stripped_programs_that_may_lie_anywhere(void **state)
{
	each_program("stacks_stripped", stacks);
}

static void goes_through_c_and_back(void **state)
{
	each_program("calls", calls);
}

static void and_where_cs_linker_has_put_it_together(void **state)
{
	each_program("calls_external", calls);
}

static void and_in_a_shared_library(void **state)
{
	each_program("shared", shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_the_runtimes_switches_of_stack),
		cmocka_unit_test(and_those_of_stripped_programs_that_may_lie_anywhere),
		cmocka_unit_test(goes_through_c_and_back),
		cmocka_unit_test(and_where_cs_linker_has_put_it_together),
		cmocka_unit_test(and_in_a_shared_library),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
