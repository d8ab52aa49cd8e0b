/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/perf_map.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/io.h"

#define CHUNK (256u << 10)

/* The process's number in its own pid namespace, which the name of its map carries: the last of
 * the line NSpid in its status. */
static int pid_inside(int proc, uint32_t pid, uint64_t *ret)
{
	_cleanup_buf_ struct ap_buf b = {0};
	int err = ap_read_file(proc, "status", 64u << 10, &b);
	struct ap_str rest = ap_buf_view(&b), line;

	if (err < 0)
		return err;
	*ret = pid;
	while (rest.p) {
		line = ap_str_cut(&rest, '\n');
		if (!ap_str_starts(line, AP_STR("NSpid:")))
			continue;
		for (size_t i = line.n; i > 0; i--)
			if (line.p[i - 1] == '\t' || line.p[i - 1] == ' ')
				return ap_parse_u64((struct ap_str){line.p + i, line.n - i}, ret);
	}
	return 0;
}

int ap_perf_map_open(uint32_t pid)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	_cleanup_fd_ int proc = -1, root = -1, fd = -1;
	struct stat owner, st;
	char name[64];
	uint64_t inside;
	int err;

	snprintf(name, sizeof(name), "/proc/%u", pid);
	proc = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0 || fstat(proc, &owner) < 0)
		return -errno;
	err = pid_inside(proc, pid, &inside);
	if (err < 0)
		return err;
	root = openat(proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	snprintf(name, sizeof(name), "tmp/perf-%llu.map", (unsigned long long)inside);
	fd = (int)syscall(SYS_openat2, root, name, &how, sizeof(how));
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (st.st_uid != owner.st_uid && st.st_uid != 0))
		return -EPERM;
	return AP_TAKE_FD(fd);
}

static bool parse_hex(struct ap_str s, uint64_t *ret)
{
	uint64_t v = 0;

	if (ap_str_starts(s, AP_STR("0x")))
		s = (struct ap_str){s.p + 2, s.n - 2};
	if (s.n == 0 || s.n > 16)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint64_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v << 4 | (uint64_t)((c | 0x20) - 'a' + 10);
		else
			return false;
	}
	*ret = v;
	return true;
}

struct search {
	const uint64_t *addrs; /* sorted */
	struct ap_buf *names;  /* one per address */
	size_t n;
};

static int take_line(struct search *s, struct ap_str line)
{
	struct ap_str start = ap_str_cut(&line, ' '), size = ap_str_cut(&line, ' ');
	uint64_t from, len;
	size_t lo = 0, hi = s->n;

	if (line.n == 0 || !parse_hex(start, &from) || !parse_hex(size, &len))
		return 0;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->addrs[mid] < from)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < s->n && s->addrs[lo] - from < len; lo++) {
		ap_buf_clear(&s->names[lo]);
		ap_buf_str(&s->names[lo], line);
		if (ap_buf_error(&s->names[lo]) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Lines longer than a chunk are no names and are skipped. */
static int scan(int fd, uint64_t max, struct search *s)
{
	_cleanup_free_ char *buf = malloc(CHUNK);
	size_t held = 0;
	bool skip = false;

	if (!buf)
		return -ENOMEM;
	while (max > 0) {
		ssize_t k = read(fd, buf + held, AP_MIN(CHUNK - held, max));
		struct ap_str rest;

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : 0;
		max -= (uint64_t)k;
		rest = (struct ap_str){buf, held + (size_t)k};
		while (ap_str_find(rest, '\n') >= 0) {
			struct ap_str line = ap_str_cut(&rest, '\n');

			if (!skip && take_line(s, line) < 0)
				return -ENOMEM;
			skip = false;
		}
		held = rest.n;
		if (held == CHUNK) {
			skip = true;
			held = 0;
		} else if (held > 0) {
			memmove(buf, rest.p, held);
		}
	}
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int ap_perf_map_find(int fd, uint64_t max, uint64_t *addrs, size_t n, struct ap_answers *a)
{
	struct search s = {addrs, calloc(n ? n : 1, sizeof(*s.names)), n};
	int err;

	if (!s.names)
		return -ENOMEM;
	qsort(addrs, n, sizeof(*addrs), by_value);
	err = scan(fd, max, &s);
	for (size_t i = 0; i < n; i++) {
		struct ap_symbol_level level = {.name = ap_buf_view(&s.names[i])};

		if (err == 0)
			err = ap_answers_put(a, addrs[i], &level, level.name.n > 0);
		ap_buf_free(&s.names[i]);
	}
	free(s.names);
	return err;
}
