/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/guard.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../test.h"
#include "base/io.h"
#include "fixture.h"
#include "symbol/symbolizer.h"

/* What an ended call had allocated is lost, and that is known. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:blazesym\nleak:blaze_\n";
}

static struct ap_symbol look(struct ap_symbolizer *s, const char *path, uint64_t addr)
{
	struct ap_symbol_file f = {.key = ap_str_of(path), .open_path = path};
	struct ap_symbol ret;

	assert_int_equal(ap_symbolizer_file(s, &f, &addr, 1, &ret), 0);
	return ret;
}

/* The owner cuts a file short that is being read. */
static void a_file_that_shrinks_is_survived(void **state)
{
	char path[] = "/tmp/aperture-symbol-XXXXXX";
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(NULL);
	_cleanup_buf_ struct ap_buf good = {0};
	const char *fixture = getenv("AP_FIXTURE");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(ap_read_file(AT_FDCWD, fixture, 1 << 20, &good), 0);
	assert_int_equal(ap_write_all(fd, good.p, good.n), 0);
	assert_int_equal(look(s, path, fixture_address(fixture, "holder")).n, 3);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(look(s, path, fixture_address(fixture, "main")).n, 0);
	assert_int_equal(look(s, path, fixture_address(fixture, "holder")).n, 3);

	close(fd);
	unlink(path);
}

static volatile const char *page;
static volatile int seen;

static void read_page(void *arg)
{
	seen = *page;
}

static void give_up(void *arg)
{
	abort();
}

static int descend(int depth)
{
	volatile char frame[4096];

	frame[0] = (char)depth;
	return depth == INT32_MAX ? 0 : descend(depth + 1) + frame[0];
}

static void overflow(void *arg)
{
	seen = descend(0);
}

static void nothing(void *arg)
{
	seen = 7;
}

static void what_goes_wrong_ends_the_call_only(void **state)
{
	char path[] = "/tmp/aperture-symbol-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	seen = 1;
	assert_int_equal(ap_guard_run(read_page, NULL), -EFAULT);
	assert_int_equal(seen, 0);
	munmap((void *)page, 4096);
	close(fd);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ap_guard_run(give_up, NULL), -ECANCELED);
		assert_int_equal(ap_guard_run(overflow, NULL), -ECANCELED);
		assert_int_equal(ap_guard_run(nothing, NULL), 0);
		assert_int_equal(seen, 7);
	}
}

/* cmocka takes over the same signals at the start of each test, and the guard is put up once. */
static void guarded(void **state)
{
	a_file_that_shrinks_is_survived(state);
	what_goes_wrong_ends_the_call_only(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guarded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
