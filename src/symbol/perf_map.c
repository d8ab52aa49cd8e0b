/* SPDX-License-Identifier: Apache-2.0 */
/* The index is a sorted array of disjoint ranges. What is read anew is sorted by itself and woven
 * into it in one pass from low to high addresses, in which a heap holds the entries that cover the
 * place reached: the one that stands last in the file shows there. */
#include "symbol/perf_map.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/vec.h"
#include "symbol/root.h"

#define CHUNK	   (256u << 10)
#define NAME_BYTES 4096u
#define SEAM_BYTES 64u /* read again to see whether the file was only appended to */
#define SLACK_NS   (2 * (int64_t)AP_NSEC_PER_SEC)

struct entry {
	uint64_t start;
	uint32_t size;
	uint32_t name; /* offset in the file: the later the newer */
};

struct entries {
	AP_VEC(struct entry) v;
};

struct ap_perf_map {
	int fd;
	uint64_t parsed; /* bytes of whole lines */
	uint32_t seam_bytes;
	char seam[SEAM_BYTES]; /* what stands before `parsed` */
	bool skip;	       /* within a line that is too long to be one */
	bool full;	       /* no more is read of it */
	struct entries index;
};

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

static bool is_older(const struct stat *st, uint64_t start_time)
{
	struct timespec boot;
	int64_t written = st->st_mtim.tv_sec * (int64_t)AP_NSEC_PER_SEC + st->st_mtim.tv_nsec;
	int64_t age;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	age = boot.tv_sec * (int64_t)AP_NSEC_PER_SEC + boot.tv_nsec - (int64_t)start_time;
	return start_time && written + SLACK_NS < ap_clock_unix_ns() - age;
}

int ap_perf_map_open(uint32_t pid, uint64_t start_time, struct ap_perf_map **ret)
{
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
	root = ap_root_open(pid);
	if (root < 0)
		return root;
	snprintf(name, sizeof(name), "/tmp/perf-%llu.map", (unsigned long long)inside);
	fd = ap_root_open_regular(root, name);
	if (fd < 0)
		return fd == -EINVAL ? -EPERM : fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != owner.st_uid && st.st_uid != 0)
		return -EPERM;
	return is_older(&st, start_time) ? -ESTALE : ap_perf_map_new(AP_TAKE_FD(fd), ret);
}

int ap_perf_map_new(int fd, struct ap_perf_map **ret)
{
	struct ap_perf_map *m = calloc(1, sizeof(*m));

	if (!m) {
		close(fd);
		return -ENOMEM;
	}
	m->fd = fd;
	*ret = m;
	return 0;
}

void ap_perf_map_free(struct ap_perf_map *m)
{
	if (!m)
		return;
	close(m->fd);
	ap_vec_free(&m->index.v);
	free(m);
}

size_t ap_perf_map_bytes(const struct ap_perf_map *m)
{
	return sizeof(*m) + m->index.v.cap * sizeof(struct entry);
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

/* `at`: where the line stands in the file. */
static int take_line(struct entries *fresh, struct ap_str line, uint64_t at)
{
	const char *begin = line.p;
	struct ap_str start = ap_str_cut(&line, ' '), size = ap_str_cut(&line, ' ');
	struct entry e;
	uint64_t n;

	if (line.n == 0 || !parse_hex(start, &e.start) || !parse_hex(size, &n) || n == 0)
		return 0;
	if (fresh->v.n >= AP_PERF_MAP_ENTRIES_MAX)
		return -EFBIG;
	e.size = (uint32_t)AP_MIN(AP_MIN(n, UINT64_MAX - e.start), (uint64_t)UINT32_MAX);
	e.name = (uint32_t)(at + (uint64_t)(line.p - begin));
	return ap_vec_push(&fresh->v, e);
}

/* The whole lines of [m->parsed, `end`) of the file, but for those longer than a chunk. */
static int read_lines(struct ap_perf_map *m, uint64_t end, struct entries *fresh)
{
	_cleanup_free_ char *buf = malloc(CHUNK);

	if (!buf)
		return -ENOMEM;
	for (;;) {
		ssize_t k = pread(m->fd, buf, AP_MIN(CHUNK, end - m->parsed), (off_t)m->parsed);
		struct ap_str rest = {buf, (size_t)AP_MAX(k, 0)};
		int err = 0;

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : 0;
		while (err == 0 && ap_str_find(rest, '\n') >= 0) {
			uint64_t at = m->parsed + (uint64_t)(rest.p - buf);
			struct ap_str line = ap_str_cut(&rest, '\n');

			err = m->skip ? 0 : take_line(fresh, line, at);
			m->skip = false;
		}
		if (err < 0)
			return err;
		if (rest.n == CHUNK)
			m->skip = true;
		else if (rest.n == (size_t)k)
			return 0;
		m->parsed += rest.n == CHUNK ? CHUNK : (uint64_t)k - rest.n;
	}
}

static uint64_t end_of(const struct entry *e)
{
	return e->start + e->size;
}

static void heap_push(struct entries *h, struct entry e) /* within what was reserved */
{
	size_t i = h->v.n++;

	for (; i > 0 && h->v.p[(i - 1) / 2].name < e.name; i = (i - 1) / 2)
		h->v.p[i] = h->v.p[(i - 1) / 2];
	h->v.p[i] = e;
}

static void heap_pop(struct entries *h)
{
	struct entry last = h->v.p[--h->v.n];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < h->v.n) {
		if (child + 1 < h->v.n && h->v.p[child + 1].name > h->v.p[child].name)
			child++;
		if (h->v.p[child].name <= last.name)
			break;
		h->v.p[i] = h->v.p[child];
		i = child;
	}
	h->v.p[i] = last;
}

/* Two sorted inputs, the lower of their next entries first. */
struct input {
	const struct entries *from[2];
	size_t at[2];
};

static const struct entry *next_of(const struct input *in, size_t *ret_which)
{
	const struct entry *found = NULL;

	for (size_t k = 0; k < 2; k++) {
		const struct entry *e;

		if (in->at[k] >= in->from[k]->v.n)
			continue;
		e = &in->from[k]->v.p[in->at[k]];
		if (!found || e->start < found->start) {
			found = e;
			*ret_which = k;
		}
	}
	return found;
}

static int emit(struct entries *out, uint64_t from, uint64_t to, uint32_t name)
{
	struct entry *last = out->v.n ? &out->v.p[out->v.n - 1] : NULL;
	struct entry e = {from, (uint32_t)(to - from), name};

	if (last && last->name == name && end_of(last) == from) {
		last->size += e.size;
		return 0;
	}
	if (out->v.n >= AP_PERF_MAP_ENTRIES_MAX)
		return -EFBIG;
	return ap_vec_push(&out->v, e);
}

static int weave(struct input *in, struct entries *heap, struct entries *out)
{
	uint64_t place = 0;
	int err = ap_vec_reserve(&heap->v, in->from[0]->v.n + in->from[1]->v.n);

	while (err == 0) {
		const struct entry *next;
		size_t which = 0;
		uint64_t to;

		while (heap->v.n && end_of(&heap->v.p[0]) <= place)
			heap_pop(heap);
		next = next_of(in, &which);
		if (!heap->v.n && !next)
			break;
		if (next && (!heap->v.n || next->start <= place)) {
			place = AP_MAX(place, next->start);
			heap_push(heap, *next);
			in->at[which]++;
			continue;
		}
		to = end_of(&heap->v.p[0]);
		if (next)
			to = AP_MIN(to, next->start);
		err = emit(out, place, to, heap->v.p[0].name);
		place = to;
	}
	return err;
}

static int by_start(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int add_entries(struct ap_perf_map *m, struct entries *fresh)
{
	struct input in = {.from = {&m->index, fresh}};
	struct entries heap = {0}, out = {0};
	int err;

	if (fresh->v.n == 0)
		return 0;
	qsort(fresh->v.p, fresh->v.n, sizeof(struct entry), by_start);
	err = weave(&in, &heap, &out);
	ap_vec_free(&heap.v);
	if (err < 0) {
		ap_vec_free(&out.v);
		return err;
	}
	ap_vec_free(&m->index.v);
	m->index = out;
	return 0;
}

/* Whether the file still begins with what was read of it. */
static bool is_appended(const struct ap_perf_map *m, uint64_t size)
{
	char now[SEAM_BYTES];

	return size >= m->parsed &&
	       pread(m->fd, now, m->seam_bytes, (off_t)(m->parsed - m->seam_bytes)) ==
		       (ssize_t)m->seam_bytes &&
	       memcmp(now, m->seam, m->seam_bytes) == 0;
}

static void note_seam(struct ap_perf_map *m)
{
	uint32_t n = (uint32_t)AP_MIN(m->parsed, (uint64_t)SEAM_BYTES);
	ssize_t got = pread(m->fd, m->seam, n, (off_t)(m->parsed - n));

	m->seam_bytes = got == (ssize_t)n ? n : 0;
}

/* As if nothing had been read yet. */
static void forget(struct ap_perf_map *m)
{
	ap_vec_free(&m->index.v);
	m->parsed = 0;
	m->skip = false;
	m->full = false;
}

int ap_perf_map_refresh(struct ap_perf_map *m)
{
	struct entries fresh = {0};
	struct stat st;
	uint64_t size;
	int err, added = 0;

	if (fstat(m->fd, &st) < 0)
		return -errno;
	size = (uint64_t)st.st_size;
	if (!is_appended(m, size))
		forget(m);
	if (m->full)
		return -EFBIG;
	err = read_lines(m, AP_MIN(size, (uint64_t)AP_PERF_MAP_FILE_MAX), &fresh);
	note_seam(m);
	if (err == 0 || err == -EFBIG)
		added = add_entries(m, &fresh);
	ap_vec_free(&fresh.v);
	if (added < 0 || size > AP_PERF_MAP_FILE_MAX)
		err = added < 0 ? added : -EFBIG;
	if (err == -EFBIG)
		m->full = true;
	else if (err < 0)
		forget(m);
	return err;
}

int ap_perf_map_find(const struct ap_perf_map *m, uint64_t addr, struct ap_buf *out)
{
	size_t after = ap_first(m->index.v.p, m->index.v.n, x, x->start > addr);
	const struct entry *e = after ? &m->index.v.p[after - 1] : NULL;
	char name[NAME_BYTES];
	struct ap_str line;
	ssize_t n;

	if (!e || addr >= end_of(e))
		return -ENOENT;
	n = pread(m->fd, name, sizeof(name), e->name);
	line = (struct ap_str){name, (size_t)AP_MAX(n, 0)};
	line = ap_str_cut(&line, '\n');
	if (line.n == 0)
		return -ENOENT;
	ap_buf_str(out, line);
	return ap_buf_error(out);
}
