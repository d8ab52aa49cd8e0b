/* SPDX-License-Identifier: Apache-2.0 */
/* Perf maps, read in two steps as they grow: every address of a small range has the name that the
 * last line about it gives, as a plain reading of the text finds it. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/io.h"
#include "symbol/perf_map.h"

#define ADDRESSES 64

/* Only what is simple enough to be beyond doubt: "0xS 0xN NAME" of at most 8 digits each. */
static bool simple_line(struct ap_str line, uint64_t *start, uint64_t *size, struct ap_str *name)
{
	char text[64] = "";
	int at = 0;

	memcpy(text, line.p, AP_MIN(line.n, sizeof(text) - 1));
	if (sscanf(text, "%8" SCNx64 " %8" SCNx64 " %n", start, size, &at) < 2 || at <= 0)
		return false;
	*name = (struct ap_str){line.p + at, line.n - (size_t)at};
	return true;
}

static void compare(const struct ap_perf_map *m, const char *text, size_t n)
{
	for (uint64_t addr = 0; addr < ADDRESSES; addr++) {
		_cleanup_buf_ struct ap_buf got = {0};
		struct ap_str rest = {text, n}, want = {0};

		while (ap_str_find(rest, '\n') >= 0) {
			struct ap_str name, line = ap_str_cut(&rest, '\n');
			uint64_t start, size;

			if (simple_line(line, &start, &size, &name) && addr >= start &&
			    addr - start < size)
				want = name;
		}
		if (ap_perf_map_find(m, addr, &got) < 0 ? want.n > 0
							: !ap_str_eq(want, ap_buf_view(&got)))
			abort();
	}
}

/* Lines "SNname" of the fuzzer's bytes: a start, a size, a letter. */
static void write_lines(struct ap_buf *b, const uint8_t *data, size_t n)
{
	for (size_t i = 0; i + 2 < n; i += 3)
		ap_buf_printf(b, "%x %x %c%zu\n", data[i] % ADDRESSES, data[i + 1] % ADDRESSES,
			      'a' + data[i + 2] % 26, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct ap_buf lines = {0};
	_cleanup_(ap_cleanup_perf_map) struct ap_perf_map *raw = NULL, *made = NULL;
	int fd = memfd_create("map", MFD_CLOEXEC), fd2 = memfd_create("map", MFD_CLOEXEC);

	if (ap_perf_map_new(fd, &raw) < 0 || ap_perf_map_new(fd2, &made) < 0)
		abort();
	for (int half = 0; half < 2; half++) {
		size_t from = half ? size / 2 : 0, to = half ? size : size / 2;

		if (to > from && ap_write_all(fd, data + from, to - from) < 0)
			abort();
		ap_perf_map_refresh(raw);
		for (uint64_t addr = 0; addr < ADDRESSES; addr++) {
			_cleanup_buf_ struct ap_buf unused = {0};

			ap_perf_map_find(raw, addr, &unused);
		}
		from = lines.n;
		write_lines(&lines, data + (half ? size / 2 : 0), size / 2);
		if ((lines.n > from && ap_write_all(fd2, lines.p + from, lines.n - from) < 0) ||
		    ap_perf_map_refresh(made) < 0)
			abort();
		compare(made, (const char *)lines.p, lines.n);
	}
	return 0;
}
