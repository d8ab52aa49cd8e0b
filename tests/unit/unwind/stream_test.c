/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"

#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

#include "base/io.h"
#include "unwind/stream.h"

enum { PLAIN_BYTES = 300000, BEFORE = 100 };

/* Bytes that pack badly enough to take more than one piece. */
static void fill(uint8_t *p, size_t n)
{
	uint32_t x = 1;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = (uint8_t)(x >> 28);
	}
}

/* A file with the packed bytes behind others, and `ret_n` of them. */
static int packed(enum ap_stream_packing packing, const uint8_t *plain, size_t *ret_n)
{
	static uint8_t out[2 * PLAIN_BYTES];
	uLongf n = sizeof(out) - BEFORE;
	int fd = memfd_create("packed", MFD_CLOEXEC);

	if (packing == AP_STREAM_ZLIB)
		assert_int_equal(compress(out + BEFORE, &n, plain, PLAIN_BYTES), Z_OK);
	else if (packing == AP_STREAM_ZSTD)
		n = ZSTD_compress(out + BEFORE, n, plain, PLAIN_BYTES, 1);
	else
		memcpy(out + BEFORE, plain, n = PLAIN_BYTES);
	assert_int_equal(ap_write_all(fd, out, BEFORE + n + 1), 0);
	*ret_n = n;
	return fd;
}

static void reads_and_skips(void **state)
{
	static uint8_t plain[PLAIN_BYTES], got[PLAIN_BYTES + 1];

	fill(plain, PLAIN_BYTES);
	for (int packing = AP_STREAM_PLAIN; packing <= AP_STREAM_ZSTD; packing++) {
		_cleanup_(ap_cleanup_stream) struct ap_stream *s = NULL;
		size_t n, k;
		_cleanup_fd_ int fd = packed(packing, plain, &n);

		assert_int_equal(ap_stream_open(fd, BEFORE, n, packing, &s), 0);
		assert_int_equal(ap_stream_read(s, got, 1000, &k), 0);
		assert_int_equal(k, 1000);
		assert_memory_equal(got, plain, 1000);
		assert_int_equal(ap_stream_skip(s, 99000), 0);
		assert_int_equal(ap_stream_read(s, got, sizeof(got), &k), 0);
		assert_int_equal(k, PLAIN_BYTES - 100000);
		assert_memory_equal(got, plain + 100000, k);
		assert_int_equal(ap_stream_read(s, got, sizeof(got), &k), 0);
		assert_int_equal(k, 0);
		assert_int_equal(ap_stream_skip(s, UINT64_MAX), 0);
	}
}

/* What is cut off is given up to the cut, damage is said. */
static void says_damage(void **state)
{
	static uint8_t plain[PLAIN_BYTES], got[PLAIN_BYTES];

	fill(plain, PLAIN_BYTES);
	for (int packing = AP_STREAM_PLAIN; packing <= AP_STREAM_ZSTD; packing++) {
		_cleanup_(ap_cleanup_stream) struct ap_stream *cut = NULL, *bad = NULL,
							      *gone = NULL;
		size_t n, k;
		_cleanup_fd_ int fd = packed(packing, plain, &n);
		int err = packing == AP_STREAM_PLAIN ? 0 : -EBADMSG;

		assert_int_equal(ap_stream_open(fd, BEFORE, n - 5, packing, &cut), 0);
		assert_int_equal(ap_stream_read(cut, got, sizeof(got), &k), 0);
		assert_in_range(k, PLAIN_BYTES / 4, PLAIN_BYTES);
		assert_memory_equal(got, plain, k);
		assert_int_equal(ap_stream_read(cut, got, sizeof(got), &k), err);
		k = 7;
		assert_int_equal(ap_stream_open(fd, 0, n, packing, &bad), 0);
		assert_int_equal(ap_stream_read(bad, got, 10, &k), err);
		assert_int_equal(ap_stream_open(fd, 1 << 30, n, packing, &gone), 0);
		assert_int_equal(ap_stream_read(gone, got, 10, &k), err);
		assert_int_equal(k, packing == AP_STREAM_PLAIN ? 0 : 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_skips),
		cmocka_unit_test(says_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
