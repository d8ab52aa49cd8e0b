/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/perf_map.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../test.h"
#include "base/clock.h"
#include "base/io.h"

static struct ap_perf_map *map_of(int *ret_fd)
{
	struct ap_perf_map *m;
	int fd = memfd_create("map", MFD_CLOEXEC);

	assert_true(fd >= 0);
	*ret_fd = fd;
	assert_int_equal(ap_perf_map_new(dup(fd), &m), 0);
	return m;
}

static void append(int fd, const char *text)
{
	assert_true(lseek(fd, 0, SEEK_END) >= 0);
	assert_int_equal(ap_write_all(fd, text, strlen(text)), 0);
}

static void check(const struct ap_perf_map *m, uint64_t addr, const char *want)
{
	_cleanup_buf_ struct ap_buf name = {0};
	int err = ap_perf_map_find(m, addr, &name);

	assert_int_equal(err, want ? 0 : -ENOENT);
	if (want && !ap_str_is(ap_buf_view(&name), want))
		fail_msg("%llx is '%.*s', not '%s'", (unsigned long long)addr,
			 AP_STR_ARG(ap_buf_view(&name)), want);
}

static void later_lines_win(void **state)
{
	_cleanup_fd_ int fd = -1;
	_cleanup_(ap_cleanup_perf_map) struct ap_perf_map *m = map_of(&fd);

	append(fd, "1000 10 first\n"
		   "1010 0x20 LazyCompile:~sort native array.js:1\n"
		   "garbage\nzz 10 bad\n 5 5\n"
		   "ffffffffffffff00 200 wraps\n"
		   "1000 8 again\n"
		   "2000 100 outer\n2040 10 inner\n");
	assert_int_equal(ap_perf_map_refresh(m), 0);
	check(m, 0x1000, "again");
	check(m, 0x1008, "first");
	check(m, 0x102f, "LazyCompile:~sort native array.js:1");
	check(m, 0x1030, NULL);
	check(m, 0xfff, NULL);
	check(m, 0xffffffffffffff10, "wraps");
	check(m, 0x203f, "outer");
	check(m, 0x2040, "inner");
	check(m, 0x2050, "outer");
	check(m, 0x2100, NULL);
}

static void what_is_appended_supersedes(void **state)
{
	_cleanup_fd_ int fd = -1;
	_cleanup_(ap_cleanup_perf_map) struct ap_perf_map *m = map_of(&fd);

	append(fd, "1000 100 old\n3000 10 other\n20");
	assert_int_equal(ap_perf_map_refresh(m), 0);
	check(m, 0x2000, NULL);
	append(fd, "00 10 whole\n1080 100 new\n");
	assert_int_equal(ap_perf_map_refresh(m), 0);
	check(m, 0x2000, "whole");
	check(m, 0x107f, "old");
	check(m, 0x1080, "new");
	check(m, 0x117f, "new");
	check(m, 0x3000, "other");
}

/* As a dump on demand does, to the same file, shorter or longer than before. */
static void a_file_written_anew_is_read_anew(void **state)
{
	_cleanup_fd_ int fd = -1;
	_cleanup_(ap_cleanup_perf_map) struct ap_perf_map *m = map_of(&fd);

	append(fd, "1000 100 old\n3000 10 other\n");
	assert_int_equal(ap_perf_map_refresh(m), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	append(fd, "1000 100 much longer than what stood here before\n4000 10 next\n");
	assert_int_equal(ap_perf_map_refresh(m), 0);
	check(m, 0x1000, "much longer than what stood here before");
	check(m, 0x4000, "next");
	check(m, 0x3000, NULL);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(ap_perf_map_refresh(m), 0);
	check(m, 0x1000, NULL);
}

static void lines_cross_chunks_and_endless_ones_are_skipped(void **state)
{
	_cleanup_fd_ int fd = -1;
	_cleanup_(ap_cleanup_perf_map) struct ap_perf_map *m = map_of(&fd);
	_cleanup_buf_ struct ap_buf b = {0};

	for (unsigned int i = 0; i < 50000; i++)
		ap_buf_printf(&b, "%x 10 function_%u\n", i * 16, i);
	ap_buf_puts(&b, "70 10 ");
	for (unsigned int i = 0; i < 700000; i++)
		ap_buf_byte(&b, 'x');
	assert_int_equal(ap_write_all(fd, b.p, b.n), 0);
	assert_int_equal(ap_perf_map_refresh(m), 0);
	append(fd, "70 10 still too long\n500000 1 end\n");
	assert_int_equal(ap_perf_map_refresh(m), 0);
	check(m, 0x10, "function_1");
	check(m, 0x70, "function_7");
	check(m, 49999 * 16, "function_49999");
	check(m, 0x500000, "end");
	assert_in_range(ap_perf_map_bytes(m), 50000 * 16, 50000 * 32);
}

static void a_map_too_large_says_so_and_keeps_what_was_read(void **state)
{
	_cleanup_fd_ int fd = -1;
	_cleanup_(ap_cleanup_perf_map) struct ap_perf_map *m = map_of(&fd);
	_cleanup_buf_ struct ap_buf b = {0};

	append(fd, "1 1 first\n");
	for (unsigned int i = 0; i < AP_PERF_MAP_ENTRIES_MAX; i++)
		ap_buf_printf(&b, "%x 1 f\n", 0x1000 + i);
	assert_int_equal(ap_perf_map_refresh(m), 0);
	assert_int_equal(ap_write_all(fd, b.p, b.n), 0);
	assert_int_equal(ap_perf_map_refresh(m), -EFBIG);
	check(m, 1, "first");
	assert_in_range(ap_perf_map_bytes(m), 0, 64u << 20);
	assert_int_equal(ftruncate(fd, 0), 0);
	append(fd, "2 1 second\n");
	assert_int_equal(ap_perf_map_refresh(m), 0);
	check(m, 2, "second");
}

static int try_open(uint32_t pid, uint64_t start_time)
{
	struct ap_perf_map *m = NULL;
	int err = ap_perf_map_open(pid, start_time, &m);

	ap_perf_map_free(m);
	return err;
}

static void opens_only_the_users_own_regular_file(void **state)
{
	uint32_t pid = (uint32_t)getpid();
	struct timespec boot;
	char path[64];

	clock_gettime(CLOCK_BOOTTIME, &boot);
	snprintf(path, sizeof(path), "/tmp/perf-%u.map", pid);
	assert_int_equal(try_open(pid, 0), -ENOENT);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(try_open(pid, 0), -EPERM);
	unlink(path);
	assert_int_equal(ap_write_file_atomic(path, "10 10 f\n", 8, 0600, false), 0);
	assert_int_equal(try_open(pid, (uint64_t)boot.tv_sec * AP_NSEC_PER_SEC), 0);
	/* That of an earlier process with the same number. */
	assert_int_equal(try_open(pid, ((uint64_t)boot.tv_sec + 60) * AP_NSEC_PER_SEC), -ESTALE);
	if (getuid() == 0) {
		assert_int_equal(chown(path, 12345, 12345), 0);
		assert_int_equal(try_open(pid, 0), -EPERM);
	}
	unlink(path);
}

/* What runs in a pid and mount namespace of its own, as in a container: process 1 there writes
 * its map, says so, and waits. */
static void contained(int said)
{
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/tmp", "tmpfs", 0, NULL) < 0 ||
	    ap_write_file_atomic("/tmp/perf-1.map", "1000 10 inside\n", 15, 0600, false) < 0 ||
	    write(said, "1", 1) != 1)
		_exit(1);
	pause();
	_exit(0);
}

static void finds_the_map_of_a_container_by_its_own_number(void **state)
{
	struct ap_perf_map *m = NULL;
	int said[2], report[2];
	pid_t parent, inside = 0;
	char c = 0;

	if (geteuid() != 0)
		skip();
	assert_int_equal(pipe(said), 0);
	assert_int_equal(pipe(report), 0);
	parent = fork();
	if (parent == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
			_exit(1);
		inside = fork();
		if (inside == 0)
			contained(said[1]);
		if (write(report[1], &inside, sizeof(inside)) != sizeof(inside))
			_exit(1);
		waitpid(inside, NULL, 0);
		_exit(0);
	}
	close(said[1]);
	close(report[1]);
	assert_int_equal(read(report[0], &inside, sizeof(inside)), sizeof(inside));
	assert_int_equal(read(said[0], &c, 1), 1);
	assert_int_equal(ap_perf_map_open((uint32_t)inside, 0, &m), 0);
	kill(inside, SIGKILL);
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	assert_int_equal(ap_perf_map_refresh(m), 0);
	check(m, 0x1000, "inside");
	ap_perf_map_free(m);
	close(said[0]);
	close(report[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(later_lines_win),
		cmocka_unit_test(what_is_appended_supersedes),
		cmocka_unit_test(a_file_written_anew_is_read_anew),
		cmocka_unit_test(lines_cross_chunks_and_endless_ones_are_skipped),
		cmocka_unit_test(a_map_too_large_says_so_and_keeps_what_was_read),
		cmocka_unit_test(opens_only_the_users_own_regular_file),
		cmocka_unit_test(finds_the_map_of_a_container_by_its_own_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
