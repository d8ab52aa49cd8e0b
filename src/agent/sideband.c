/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sideband.h"

#include <linux/perf_event.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#define RING_BYTES_MAX (128u << 10)
#define RING_BYTES_MIN (16u << 10)
#define RECORD_MAX     65536 /* a record's size is 16 bits */

#ifndef PERF_RECORD_MISC_MMAP_BUILD_ID
#define PERF_RECORD_MISC_MMAP_BUILD_ID (1 << 14)
#endif

struct ring {
	int fd; /* -1: this CPU is not watched */
	struct perf_event_mmap_page *page;
	size_t bytes; /* of data, a power of two, after the first page */
};

struct ap_sideband {
	int epoll_fd;
	uint32_t epoll_tag;
	size_t page_bytes;
	AP_VEC(struct ring) rings;				/* by CPU */
	uint8_t record[RECORD_MAX] __attribute__((aligned(8))); /* one that wraps around */
};

/* The records' fixed parts, after struct perf_event_header. */
struct mmap2_part {
	uint32_t pid, tid;
	uint64_t addr, len, pgoff;
	union {
		struct {
			uint32_t major, minor;
			uint64_t inode, generation;
		};
		struct {
			uint8_t build_id_bytes, pad[3];
			uint8_t build_id[20];
		};
	};
	uint32_t prot, flags;
};
struct task_part {
	uint32_t pid, ppid, tid, ptid;
	uint64_t time;
};
struct comm_part {
	uint32_t pid, tid;
};
struct lost_part {
	uint64_t id, lost;
};

_Static_assert(sizeof(struct mmap2_part) == 64, "perf_event_open(2)");
_Static_assert(sizeof(struct task_part) == 24, "perf_event_open(2)");

/* Text is NUL-terminated and padded. */
static struct ap_str text_of(const uint8_t *p, size_t n)
{
	return (struct ap_str){(const char *)p, strnlen((const char *)p, n)};
}

static int parse_mmap2(const uint8_t *p, size_t n, uint16_t misc, struct ap_sideband_event *e)
{
	struct mmap2_part m;

	if (n < sizeof(m))
		return -EINVAL;
	memcpy(&m, p, sizeof(m));
	if (!ap_size_add(m.addr, m.len, &e->end) || m.len == 0)
		return -EINVAL;
	e->kind = AP_SIDEBAND_MMAP;
	e->pid = (int32_t)m.pid;
	e->tid = (int32_t)m.tid;
	e->start = m.addr;
	e->pgoff = m.pgoff;
	if (misc & PERF_RECORD_MISC_MMAP_BUILD_ID) {
		if (m.build_id_bytes > sizeof(m.build_id))
			return -EINVAL;
		e->build_id_bytes = m.build_id_bytes;
		memcpy(e->build_id, m.build_id, m.build_id_bytes);
	} else {
		e->dev = (uint64_t)m.major << 32 | m.minor;
		e->inode = m.inode;
	}
	e->text = text_of(p + sizeof(m), n - sizeof(m));
	return 0;
}

static int parse_comm(const uint8_t *p, size_t n, uint16_t misc, struct ap_sideband_event *e)
{
	struct comm_part c;

	if (n < sizeof(c))
		return -EINVAL;
	memcpy(&c, p, sizeof(c));
	e->kind = misc & PERF_RECORD_MISC_COMM_EXEC ? AP_SIDEBAND_EXEC : AP_SIDEBAND_COMM;
	e->pid = (int32_t)c.pid;
	e->tid = (int32_t)c.tid;
	e->text = text_of(p + sizeof(c), n - sizeof(c));
	return 0;
}

static int parse_task(const uint8_t *p, size_t n, bool fork, struct ap_sideband_event *e)
{
	struct task_part t;

	if (n < sizeof(t))
		return -EINVAL;
	memcpy(&t, p, sizeof(t));
	e->kind = fork ? AP_SIDEBAND_FORK : AP_SIDEBAND_EXIT;
	e->pid = (int32_t)t.pid;
	e->tid = (int32_t)t.tid;
	e->ppid = (int32_t)t.ppid;
	return 0;
}

static int parse_lost(const uint8_t *p, size_t n, struct ap_sideband_event *e)
{
	struct lost_part l;

	if (n < sizeof(l))
		return -EINVAL;
	memcpy(&l, p, sizeof(l));
	e->kind = AP_SIDEBAND_LOST;
	e->lost = l.lost;
	return 0;
}

int ap_sideband_parse(const void *record, size_t n, struct ap_sideband_event *ret)
{
	struct ap_sideband_event e = {0};
	struct perf_event_header h;
	const uint8_t *p = record;
	int r;

	if (n < sizeof(h) + sizeof(e.time))
		return -EINVAL;
	memcpy(&h, p, sizeof(h));
	if (h.size != n)
		return -EINVAL;
	/* sample_id_all with PERF_SAMPLE_TIME alone: each record ends with its time. */
	n -= sizeof(e.time);
	memcpy(&e.time, p + n, sizeof(e.time));
	p += sizeof(h);
	n -= sizeof(h);
	switch (h.type) {
	case PERF_RECORD_MMAP2:
		r = parse_mmap2(p, n, h.misc, &e);
		break;
	case PERF_RECORD_COMM:
		r = parse_comm(p, n, h.misc, &e);
		break;
	case PERF_RECORD_FORK:
	case PERF_RECORD_EXIT:
		r = parse_task(p, n, h.type == PERF_RECORD_FORK, &e);
		break;
	case PERF_RECORD_LOST:
		r = parse_lost(p, n, &e);
		break;
	default:
		r = -ENOMSG;
	}
	if (r == 0)
		*ret = e;
	return r;
}

void ap_sideband_batch_free(struct ap_sideband_batch *b)
{
	ap_vec_free(&b->events);
	ap_arena_free(&b->text);
}

void ap_sideband_batch_consume(struct ap_sideband_batch *b, size_t n)
{
	struct ap_arena old = b->text;
	size_t kept = 0;

	/* The few that stay move to a fresh arena, or it would grow for ever. */
	b->text = (struct ap_arena){0};
	for (size_t i = n; i < b->events.n; i++) {
		struct ap_sideband_event e = b->events.p[i];

		e.text.p = ap_arena_strdup(&b->text, e.text);
		if (e.text.p)
			b->events.p[kept++] = e;
	}
	b->events.n = kept;
	ap_arena_free(&old);
}

struct ap_sideband *ap_sideband_new(int epoll_fd, uint32_t epoll_tag)
{
	struct ap_sideband *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->epoll_fd = epoll_fd;
	s->epoll_tag = epoll_tag;
	s->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	return s;
}

static void close_ring(struct ap_sideband *s, struct ring *ring)
{
	if (ring->page)
		munmap(ring->page, s->page_bytes + ring->bytes);
	if (ring->fd >= 0)
		close(ring->fd);
	*ring = (struct ring){.fd = -1};
}

void ap_sideband_free(struct ap_sideband *s)
{
	if (!s)
		return;
	AP_VEC_FOREACH(&s->rings, ring)
		close_ring(s, ring);
	ap_vec_free(&s->rings);
	free(s);
}

static int open_event(uint32_t cpu, bool build_id)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = PERF_SAMPLE_TIME,
		.sample_id_all = 1,
		.mmap = 1,
		.mmap2 = 1,
		.comm = 1,
		.comm_exec = 1,
		.task = 1,
		.build_id = build_id,
		.watermark = 1,
		.wakeup_watermark = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* The memory that perf events may lock is shared by all their users: take less where it is short. */
static int map_ring(struct ap_sideband *s, struct ring *ring)
{
	for (ring->bytes = RING_BYTES_MAX;; ring->bytes /= 2) {
		void *p = mmap(NULL, s->page_bytes + ring->bytes, PROT_READ | PROT_WRITE,
			       MAP_SHARED, ring->fd, 0);

		if (p != MAP_FAILED) {
			ring->page = p;
			return 0;
		}
		if ((errno != EPERM && errno != ENOMEM) || ring->bytes <= RING_BYTES_MIN)
			return -errno;
	}
}

int ap_sideband_add_cpu(struct ap_sideband *s, uint32_t cpu)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = s->epoll_tag};
	struct ring *ring;
	int r;

	while (s->rings.n <= cpu)
		if (ap_vec_push(&s->rings, ((struct ring){.fd = -1})) < 0)
			return -ENOMEM;
	ring = &s->rings.p[cpu];
	if (ring->fd >= 0)
		return 0;
	r = open_event(cpu, true);
	if (r == -EINVAL)
		r = open_event(cpu, false);
	if (r < 0)
		return r;
	ring->fd = r;
	r = map_ring(s, ring);
	if (r == 0 && epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, ring->fd, &ev) < 0)
		r = -errno;
	if (r < 0)
		close_ring(s, ring);
	return r;
}

void ap_sideband_remove_cpu(struct ap_sideband *s, uint32_t cpu)
{
	if (cpu < s->rings.n)
		close_ring(s, &s->rings.p[cpu]);
}

static size_t ring_bytes(const struct ap_sideband *s, size_t i)
{
	return s->rings.p[i].fd < 0 ? 0 : s->page_bytes + s->rings.p[i].bytes;
}

size_t ap_sideband_bytes(const struct ap_sideband *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->rings.n; i++)
		n += ring_bytes(s, i);
	return n;
}

size_t ap_sideband_cpu_bytes(const struct ap_sideband *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->rings.n; i++)
		n = AP_MAX(n, ring_bytes(s, i));
	return n;
}

static int add_event(struct ap_sideband_batch *b, const void *record, size_t n)
{
	struct ap_sideband_event e;
	int r = ap_sideband_parse(record, n, &e);

	if (r < 0) {
		b->malformed += r == -EINVAL;
		return 0;
	}
	e.order = (uint32_t)b->events.n;
	e.text.p = ap_arena_strdup(&b->text, e.text);
	return e.text.p ? ap_vec_push(&b->events, e) : -ENOMEM;
}

static int drain_ring(struct ap_sideband *s, struct ring *ring, struct ap_sideband_batch *b)
{
	const uint8_t *data = (const uint8_t *)ring->page + s->page_bytes;
	uint64_t head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = ring->page->data_tail;
	int r = 0;

	while (r == 0 && head - tail >= sizeof(struct perf_event_header)) {
		size_t at = tail & (ring->bytes - 1), first;
		struct perf_event_header h;
		const void *record = data + at;

		/* Records are multiples of 8 bytes: a header never wraps. */
		memcpy(&h, record, sizeof(h));
		if (h.size < sizeof(h) || h.size > head - tail) {
			b->malformed++;
			tail = head;
			break;
		}
		first = AP_MIN((size_t)h.size, ring->bytes - at);
		if (first < h.size) {
			memcpy(s->record, record, first);
			memcpy(s->record + first, data, h.size - first);
			record = s->record;
		}
		r = add_event(b, record, h.size);
		tail += h.size;
	}
	__atomic_store_n(&ring->page->data_tail, tail, __ATOMIC_RELEASE);
	return r;
}

static int compare_times(const void *a, const void *b)
{
	const struct ap_sideband_event *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

int ap_sideband_drain(struct ap_sideband *s, struct ap_sideband_batch *b)
{
	int r = 0;

	AP_VEC_FOREACH(&s->rings, ring)
		if (ring->fd >= 0 && r == 0)
			r = drain_ring(s, ring, b);
	if (b->events.n > 1)
		qsort(b->events.p, b->events.n, sizeof(*b->events.p), compare_times);
	return r;
}
