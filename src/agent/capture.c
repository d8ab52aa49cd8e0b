/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/capture.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "abi/cpu.h"
#include "agent/account.h"
#include "agent/bpf_object.h"
#include "agent/cpus.h"
#include "base/clock.h"
#include "bpf/cpu.skel.h"

#define STALL_CHECK_NS (AP_NSEC_PER_SEC / 2) /* at least, between two readings compared */

/* Two events on each CPU. One samples. It leaves out idle time, not only for its cost: the kernel
 * throttles an event that fires kernel.perf_event_max_sample_rate / HZ times without a timer tick,
 * which an idle CPU does not have (after 4 s at 99 Hz, 40 ms at 10 kHz, with HZ=250, measured), and
 * wakes it at the next tick only, which short work may not live to see. The other event only counts
 * and says what has elapsed, throttled or not. */
struct cpu {
	int fd;		  /* the sampling event; -1: not sampling */
	int wall_fd;	  /* the counting event */
	uint64_t wall_ns; /* its last value */
	uint64_t wall_at; /* CLOCK_MONOTONIC of that */
	bool stalled;	  /* it fell behind that clock */
	struct ap_cpu_periods periods;
	struct ap_cpu_account account;
};

struct ap_capture {
	struct ap_bpf_object object;
	struct ring_buffer *ring;
	struct ap_cpu_stats *stats; /* by CPU: shared with the BPF program */
	size_t stats_bytes;
	uint32_t *files_generation; /* shared with the BPF programs */
	struct cpu *cpus;
	uint64_t *idle_now; /* by CPU: ap_cpu_idle_read()'s last answer */
	uint32_t n_cpus;    /* possible ones */
	uint64_t period_ns;
	uint32_t stride;
	bool enabled;  /* AP_MODE_CPU is among the modes */
	bool pids;     /* AP_TARGET_PIDS */
	int cgroup_fd; /* AP_TARGET_CGROUP: its folder; else -1 */
	ap_capture_fn fn;
	void *ctx;
};

static int set_cgroup(struct ap_capture *c, const char *path, struct ap_error *err)
{
	static const char *const roots[] = {"", "/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	uint32_t zero = 0;
	int r = -ENOENT;

	if (!path || path[0] != '/')
		return ap_error_set(err, -EINVAL,
				    "the cgroup must be a path that begins with /: a folder under "
				    "/sys/fs/cgroup, or its name below that");
	for (size_t i = 0; i < AP_ARRAY_SIZE(roots); i++) {
		_cleanup_fd_ int fd = -1;
		char full[4096];

		snprintf(full, sizeof(full), "%s%s", roots[i], path);
		fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			continue;
		r = bpf_map_update_elem(bpf_map__fd(c->object.bpf->maps.target_cgroup), &zero, &fd,
					BPF_ANY);
		if (r == 0) {
			c->cgroup_fd = AP_TAKE_FD(fd);
			return 0;
		}
	}
	return ap_error_set(err, r == -ENOENT ? -ENOENT : -EINVAL,
			    r == -ENOENT ? "there is no cgroup %s"
					 : "%s is not a folder of cgroup v2: only those can be "
					   "profiled",
			    path);
}

static int on_record(void *ctx, void *record, size_t n)
{
	struct ap_capture *c = ctx;

	c->fn(c->ctx, record, n);
	return 0;
}

static int map_stats(struct ap_capture *c)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p;

	c->stats_bytes = (c->n_cpus * sizeof(*c->stats) + page - 1) & ~(page - 1);
	p = mmap(NULL, c->stats_bytes, PROT_READ, MAP_SHARED,
		 bpf_map__fd(c->object.bpf->maps.cpu_stats), 0);
	if (p == MAP_FAILED)
		return -errno;
	c->stats = p;
	p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED,
		 bpf_map__fd(c->object.bpf->maps.files_generation), 0);
	if (p == MAP_FAILED)
		return -errno;
	c->files_generation = p;
	return 0;
}

static int attach(struct ap_capture *c, struct ap_error *err)
{
	int r = map_stats(c);

	if (r < 0)
		return ap_error_set(err, r, "cannot map the BPF counters: %s", ap_strerror(r));
	c->ring = ring_buffer__new(bpf_map__fd(c->object.bpf->maps.records), on_record, c, NULL);
	if (!c->ring) {
		r = -errno;
		return ap_error_set(err, r, "cannot map the ring buffer: %s", ap_strerror(r));
	}
	if (!c->pids)
		return 0;
	c->object.bpf->links.ap_fork = bpf_program__attach(c->object.bpf->progs.ap_fork);
	c->object.bpf->links.ap_exit = bpf_program__attach(c->object.bpf->progs.ap_exit);
	if (!c->object.bpf->links.ap_fork || !c->object.bpf->links.ap_exit) {
		r = -errno;
		return ap_error_set(err, r, "cannot follow forks: %s", ap_strerror(r));
	}
	return 0;
}

static int prepare(struct ap_capture *c, const struct ap_profiler_options *o, struct ap_error *err)
{
	int cpus = libbpf_num_possible_cpus(), r;

	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		return ap_error_set(err, -ENOENT,
				    "this kernel has no BTF (/sys/kernel/btf/vmlinux): Linux 5.15 "
				    "or newer with CONFIG_DEBUG_INFO_BTF=y is needed");
	if (cpus <= 0 || cpus > AP_CPUS_MAX)
		return ap_error_set(err, -EINVAL, "cannot tell how many CPUs there are");
	c->n_cpus = (uint32_t)cpus;
	c->cpus = calloc(c->n_cpus, sizeof(*c->cpus));
	c->idle_now = calloc(c->n_cpus, sizeof(*c->idle_now));
	if (!c->cpus || !c->idle_now)
		return ap_error_set(err, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < c->n_cpus; i++)
		c->cpus[i].fd = c->cpus[i].wall_fd = -1;
	r = ap_bpf_object_load(o, c->n_cpus, err, &c->object);
	if (r < 0)
		return r;
	if (o->target == AP_TARGET_CGROUP) {
		r = set_cgroup(c, o->cgroup, err);
		if (r < 0)
			return r;
	}
	return attach(c, err);
}

int ap_capture_open(const struct ap_profiler_options *o, ap_capture_fn fn, void *ctx,
		    struct ap_error *err, struct ap_capture **ret)
{
	_cleanup_(ap_cleanup_capture) struct ap_capture *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return ap_error_set(err, -ENOMEM, "out of memory");
	c->fn = fn;
	c->ctx = ctx;
	c->pids = o->target == AP_TARGET_PIDS;
	c->cgroup_fd = -1;
	c->stride = 1;
	c->period_ns = AP_NSEC_PER_SEC / (o->frequency_hz ? o->frequency_hz : AP_FREQUENCY_DEFAULT);
	r = prepare(c, o, err);
	if (r < 0)
		return r;
	ap_capture_enable(c, !o->modes || o->modes & AP_MODE_CPU);
	*ret = AP_TAKE_PTR(c);
	return 0;
}

void ap_capture_free(struct ap_capture *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; c->cpus && i < c->n_cpus; i++) {
		ap_cleanup_fd(&c->cpus[i].fd);
		ap_cleanup_fd(&c->cpus[i].wall_fd);
	}
	ring_buffer__free(c->ring);
	if (c->stats)
		munmap(c->stats, c->stats_bytes);
	if (c->files_generation)
		munmap(c->files_generation, (size_t)sysconf(_SC_PAGESIZE));
	ap_bpf_object_close(&c->object);
	ap_cleanup_fd(&c->cgroup_fd);
	free(c->cpus);
	free(c->idle_now);
	free(c);
}

uint64_t ap_capture_period_ns(const struct ap_capture *c)
{
	return c->period_ns * c->stride;
}

int ap_capture_fd(const struct ap_capture *c)
{
	return ring_buffer__epoll_fd(c->ring);
}

static int open_clock(uint32_t cpu, uint64_t period_ns)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = period_ns,
		.disabled = period_ns != 0,
		.exclude_idle = period_ns != 0,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Our program on a disabled event that fires once in `c->stride` periods. */
static int open_sampler(const struct ap_capture *c, uint32_t cpu)
{
	_cleanup_fd_ int fd = open_clock(cpu, ap_capture_period_ns(c));

	if (fd >= 0 && ioctl(fd, PERF_EVENT_IOC_SET_BPF, c->object.prog_fd) < 0)
		return -errno;
	return AP_TAKE_FD(fd);
}

/* Nanoseconds that the counting event has counted. */
static uint64_t read_wall(const struct cpu *u)
{
	uint64_t ns;

	return read(u->wall_fd, &ns, sizeof(ns)) == sizeof(ns) ? ns : u->wall_ns;
}

/* Periods of the rate last asked for begin on a CPU whose sampling event has just been enabled. What was
 * said to be idle stays so: the kernel's account, which is behind, is not held against periods to come. */
static void begin_periods(struct ap_capture *c, uint32_t cpu)
{
	struct cpu *u = &c->cpus[cpu];

	u->periods.idle = AP_MAX(u->periods.idle, u->account.idle);
	ap_cpu_periods_begin(&u->periods, c->period_ns, c->stride, read_wall(u), c->idle_now[cpu]);
}

int ap_capture_start_cpu(struct ap_capture *c, uint32_t cpu)
{
	_cleanup_fd_ int fd = -1, wall_fd = -1;
	struct cpu *u;

	if (cpu >= c->n_cpus)
		return -EINVAL;
	u = &c->cpus[cpu];
	if (u->fd >= 0 || !c->enabled)
		return 0;
	wall_fd = open_clock(cpu, 0);
	fd = wall_fd < 0 ? wall_fd : open_sampler(c, cpu);
	if (fd < 0)
		return fd;
	if (ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
		return -errno;
	u->fd = AP_TAKE_FD(fd);
	u->wall_fd = AP_TAKE_FD(wall_fd);
	u->wall_ns = 0;
	u->wall_at = ap_clock_mono_ns();
	u->stalled = false;
	begin_periods(c, cpu);
	ap_cpu_idle_read(c->idle_now, c->n_cpus);
	u->periods.idle_ns = c->idle_now[cpu];
	return 0;
}

/* Brings a CPU's periods up to date with the counting event, which counts nanoseconds, and with
 * `idle_now`. */
static void count_periods(struct ap_capture *c, uint32_t cpu)
{
	struct cpu *u = &c->cpus[cpu];
	uint64_t ns, now;

	if (u->wall_fd < 0)
		return;
	ns = read_wall(u);
	now = ap_clock_mono_ns();
	if (now - u->wall_at >= STALL_CHECK_NS) {
		u->stalled = ns - u->wall_ns < (now - u->wall_at) / 10 * 9;
		u->wall_ns = ns;
		u->wall_at = now;
	}
	ap_cpu_periods_count(&u->periods, ns, c->idle_now[cpu]);
}

void ap_capture_stop_cpu(struct ap_capture *c, uint32_t cpu)
{
	struct cpu *u;

	if (cpu >= c->n_cpus || c->cpus[cpu].fd < 0)
		return;
	u = &c->cpus[cpu];
	/* In this order: what has elapsed without a run would be a loss. */
	ioctl(u->wall_fd, PERF_EVENT_IOC_DISABLE, 0);
	ioctl(u->fd, PERF_EVENT_IOC_DISABLE, 0);
	ap_cpu_idle_read(c->idle_now, c->n_cpus);
	count_periods(c, cpu);
	close(AP_TAKE_FD(u->fd));
	close(AP_TAKE_FD(u->wall_fd));
}

void ap_capture_stop(struct ap_capture *c)
{
	for (uint32_t i = 0; i < c->n_cpus; i++)
		ap_capture_stop_cpu(c, i);
}

bool ap_capture_cpu_stalled(const struct ap_capture *c, uint32_t cpu)
{
	return cpu < c->n_cpus && c->cpus[cpu].fd >= 0 && c->cpus[cpu].stalled;
}

void ap_capture_enable(struct ap_capture *c, bool enabled)
{
	struct ap_cpu_bpf *b = c->object.bpf;

	c->enabled = enabled;
	if (!enabled) {
		ap_capture_stop(c);
		bpf_link__destroy(AP_TAKE_PTR(b->links.ap_timer));
	} else if (!b->links.ap_timer) {
		/* Where it cannot be had, the kernel's account of idle time has to do. */
		b->links.ap_timer = bpf_program__attach(b->progs.ap_timer);
	}
}

/* The new event is enabled first, since that may fail; it does not fire before its period is over. */
static int reopen_cpu(struct ap_capture *c, uint32_t cpu)
{
	_cleanup_fd_ int fd = open_sampler(c, cpu);
	struct cpu *u = &c->cpus[cpu];

	if (fd < 0)
		return fd;
	if (ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
		return -errno;
	count_periods(c, cpu);
	if (u->periods.period_ns != c->period_ns)
		begin_periods(c, cpu);
	close(u->fd);
	u->fd = AP_TAKE_FD(fd);
	u->periods.stride = c->stride;
	return 0;
}

static int reopen(struct ap_capture *c)
{
	int r = 0;

	ap_cpu_idle_read(c->idle_now, c->n_cpus);
	for (uint32_t i = 0; i < c->n_cpus; i++) {
		int e = c->cpus[i].fd >= 0 ? reopen_cpu(c, i) : 0;

		if (e < 0 && e != -ENODEV)
			r = e;
	}
	return r;
}

int ap_capture_set_stride(struct ap_capture *c, uint32_t stride)
{
	c->stride = stride;
	return reopen(c);
}

int ap_capture_set_frequency(struct ap_capture *c, uint32_t frequency_hz)
{
	c->period_ns = AP_NSEC_PER_SEC / frequency_hz;
	c->stride = 1;
	return reopen(c);
}

int ap_capture_add_pid(struct ap_capture *c, int32_t pid)
{
	uint32_t key = (uint32_t)pid;
	uint8_t one = 1;

	if (!c->pids || pid <= 0)
		return -EINVAL;
	return bpf_map_update_elem(bpf_map__fd(c->object.bpf->maps.target_pids), &key, &one,
				   BPF_ANY);
}

int ap_capture_cgroup(const struct ap_capture *c)
{
	return c->cgroup_fd;
}

bool ap_capture_has_targets(const struct ap_capture *c)
{
	uint32_t key;

	return !c->pids ||
	       bpf_map_get_next_key(bpf_map__fd(c->object.bpf->maps.target_pids), NULL, &key) == 0;
}

uint32_t *ap_capture_words(struct ap_capture *c, uint32_t *ret_n_words)
{
	*ret_n_words = c->object.n_words;
	return c->object.words;
}

/* The walker's notes of what files it met are worth nothing from now on. */
static int files_changed(struct ap_capture *c, int result)
{
	__atomic_fetch_add(c->files_generation, 1, __ATOMIC_RELEASE);
	return result;
}

int ap_capture_set_file(struct ap_capture *c, const struct ap_file_key *key,
			const struct ap_file_ref *ref)
{
	int fd = bpf_map__fd(c->object.bpf->maps.files);

	return files_changed(c, bpf_map_update_elem(fd, key, ref, BPF_ANY));
}

int ap_capture_forget_file(struct ap_capture *c, const struct ap_file_key *key)
{
	int fd = bpf_map__fd(c->object.bpf->maps.files);

	return files_changed(c, bpf_map_delete_elem(fd, key));
}

bool ap_capture_has_arena(const struct ap_capture *c)
{
	return c->object.arena;
}

const char *ap_capture_variant(const struct ap_capture *c)
{
	return c->object.variant;
}

const struct ap_bpf_object *ap_capture_object(const struct ap_capture *c)
{
	return &c->object;
}

int ap_capture_drain(struct ap_capture *c)
{
	int r = ring_buffer__consume(c->ring);

	return r < 0 ? r : 0;
}

int ap_capture_iterate(struct ap_capture *c, const struct bpf_link *iterator)
{
	_cleanup_fd_ int fd = bpf_iter_create(bpf_link__fd(iterator));
	char pace[4096];
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, pace, sizeof(pace))) != 0) {
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		ap_capture_drain(c);
	}
	return 0;
}

void ap_capture_ledger(struct ap_capture *c, struct ap_ledger *l)
{
	/* What the kernel's account of idle time may be behind, in periods. */
	uint64_t tick = AP_NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK) / c->period_ns + 1;
	uint64_t elapsed = 0, idle = 0, not_run = 0, thinned = 0;
	struct ap_cpu_stats sum = {0};

	ap_cpu_idle_read(c->idle_now, c->n_cpus);
	for (uint32_t i = 0; i < c->n_cpus; i++) {
		const struct ap_cpu_periods *p = &c->cpus[i].periods;
		struct ap_cpu_account *a = &c->cpus[i].account;
		struct ap_cpu_stats s;

		count_periods(c, i);
		memcpy(&s, &c->stats[i], sizeof(s));
		elapsed += ap_cpu_account_update(
			a, p->due, s.delivered + s.filtered + s.ringbuf_full + s.no_scratch,
			AP_MAX(p->idle + tick, s.idle));
		idle += a->idle;
		not_run += a->not_run;
		thinned += p->thinned;
		sum.delivered += s.delivered;
		sum.filtered += s.filtered;
		sum.ringbuf_full += s.ringbuf_full;
		sum.no_scratch += s.no_scratch;
	}
	ap_ledger_set(l, AP_LEDGER_SAMPLE_ELAPSED, elapsed + thinned);
	ap_ledger_set(l, AP_LEDGER_SAMPLE_THINNED, thinned);
	ap_ledger_set(l, AP_LEDGER_SAMPLE_NOT_RUN, not_run);
	ap_ledger_set(l, AP_LEDGER_SAMPLE_IDLE, idle);
	ap_ledger_set(l, AP_LEDGER_SAMPLE_DELIVERED, sum.delivered);
	ap_ledger_set(l, AP_LEDGER_SAMPLE_FILTERED, sum.filtered);
	ap_ledger_set(l, AP_LEDGER_SAMPLE_RINGBUF_FULL, sum.ringbuf_full);
	ap_ledger_set(l, AP_LEDGER_SAMPLE_NO_SCRATCH, sum.no_scratch);
}

static size_t map_bytes(const struct bpf_map *m)
{
	size_t n = bpf_map__max_entries(m);

	if (bpf_map__type(m) == BPF_MAP_TYPE_RINGBUF)
		return n;
	if (bpf_map__type(m) == BPF_MAP_TYPE_PERCPU_ARRAY)
		n *= (size_t)libbpf_num_possible_cpus();
	return n * ((size_t)bpf_map__key_size(m) + bpf_map__value_size(m));
}

/* How much of it one CPU more adds. */
static size_t map_cpu_bytes(const struct bpf_map *m, const struct bpf_map *by_cpu)
{
	size_t n = (size_t)bpf_map__key_size(m) + bpf_map__value_size(m);

	if (bpf_map__type(m) == BPF_MAP_TYPE_PERCPU_ARRAY)
		return n * bpf_map__max_entries(m);
	return m == by_cpu ? n : 0;
}

void ap_capture_cost(const struct ap_capture *c, struct ap_profiler_cost *ret)
{
	const struct bpf_map *m;

	for (uint32_t i = 0; i < c->n_cpus; i++) {
		const struct ap_cpu_stats *s = &c->stats[i];

		ret->bpf_runs += s->runs;
		if (s->timed_runs)
			ret->bpf_ns += (uint64_t)((double)s->timed_ns / (double)s->timed_runs *
						  (double)s->runs);
	}
	bpf_object__for_each_map(m, c->object.bpf->obj)
	{
		if (!bpf_map__autocreate(m) || bpf_map__type(m) == AP_MAP_TYPE_ARENA)
			continue;
		ret->map_bytes += map_bytes(m);
		ret->map_cpu_bytes += map_cpu_bytes(m, c->object.bpf->maps.cpu_stats);
	}
}
