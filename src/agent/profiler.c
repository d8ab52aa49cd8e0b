/* SPDX-License-Identifier: Apache-2.0 */
/* One thread drains the rings on a timer; whoever collects does a pass of its own first. A pass
 * notes the time, drains the side-band, then the samples, and goes through both up to that time.
 * It wakes early when a process maps code, so that it can be looked at while it lives, but no more
 * often than every QUIET_NS; and when the ring buffer fills up. */
#include "agent/profiler.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "agent/capture.h"
#include "agent/cgroup_procs.h"
#include "agent/cpu_watch.h"
#include "agent/probes.h"
#include "agent/reader.h"
#include "agent/syscall_options.h"
#include "base/clock.h"
#include "base/io.h"

#define PASS_MS	       200		       /* between two passes when nothing happens */
#define QUIET_NS       (10 * AP_NSEC_PER_MSEC) /* at least, after one that side-band events caused */
#define NEW_FILES_NS   AP_NSEC_PER_MSEC	       /* the same where a program is being loaded */
#define CHECK_NS       AP_NSEC_PER_SEC	       /* between two looks at CPUs and counters */
#define TABLES_WAIT_NS AP_NSEC_PER_SEC	       /* at most, for tables before the start */
#define LEARN_MAX      1024		       /* processes of a cgroup, before the start */
#define PROCESSES_MAX  65536
#define FDS_MAX	       512
#define ROWS_MAX       1000000
#define EVENTS_REMEDY \
	"run as root, or grant CAP_PERFMON and set kernel.perf_event_paranoid to 2 or less"

enum { WAKE_STOP, WAKE_SIDEBAND, WAKE_RINGBUF };

struct ap_profiler {
	struct ap_capture *capture;
	struct ap_probes *probes;
	struct ap_sideband *sideband;
	struct ap_process_table *processes;
	struct ap_tables *tables;
	struct ap_rows_builder *rows;
	struct ap_reader *reader;
	struct ap_sideband_batch events;
	struct ap_ledger ledger;
	int epoll_fd, stop_fd;
	struct ap_cpu_watch cpus;
	uint64_t checked;
	struct ap_profiler_setting setting;
	bool started, stopped, thread_runs;
	bool stacks_of_calls; /* mode syscall takes some */
	bool new_files;	      /* since the pass began */
	bool new_rate;	      /* since the last collection */
	pthread_t thread;
	pthread_mutex_t lock; /* guards all of the above but epoll_fd and stop_fd */
};

/* With the defaults filled in. */
static int check_setting(const struct ap_profiler_setting *s, struct ap_profiler_setting *ret,
			 struct ap_error *err)
{
	if (s->frequency_hz > AP_FREQUENCY_MAX)
		return ap_error_set(err, -EINVAL, "the frequency must be 1 to %d Hz",
				    AP_FREQUENCY_MAX);
	ret->modes = s->modes ? s->modes : AP_MODE_CPU;
	ret->frequency_hz = s->frequency_hz ? s->frequency_hz : AP_FREQUENCY_DEFAULT;
	ret->wait_threshold_ns =
		s->wait_threshold_ns ? s->wait_threshold_ns : AP_WAIT_THRESHOLD_DEFAULT;
	return 0;
}

static int check_options(const struct ap_profiler_options *o, struct ap_error *err)
{
	if (o->max_user_frames &&
	    (o->max_user_frames < 16 || o->max_user_frames > AP_USER_FRAMES_MAX))
		return ap_error_set(err, -EINVAL, "the number of frames must be 16 to %d",
				    AP_USER_FRAMES_MAX);
	if (o->ringbuf_bytes > (size_t)1 << 30)
		return ap_error_set(err, -EINVAL, "the ring buffer must not exceed 1 GiB");
	return 0;
}

static void on_record(void *ctx, const void *record, size_t n)
{
	struct ap_profiler *p = ctx;

	ap_reader_add(p->reader, record, n);
}

static int watch(struct ap_profiler *p, int fd, uint32_t tag)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = tag};

	return epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

/* One pass. Called with the lock held. */
static void pass(struct ap_profiler *p)
{
	uint64_t now = ap_clock_mono_ns();

	ap_sideband_drain(p->sideband, &p->events);
	ap_capture_drain(p->capture);
	ap_reader_process(p->reader, &p->events, now, ap_clock_mono_to_unix());
	if (!p->started || (!p->stopped && now - p->checked < CHECK_NS))
		return;
	p->checked = now;
	ap_capture_ledger(p->capture, &p->ledger);
	ap_probes_ledger(p->probes, &p->ledger);
	if (!p->stopped)
		ap_cpu_watch_update(&p->cpus);
}

static void *thread_main(void *arg)
{
	struct ap_profiler *p = arg;
	uint64_t quiet = 0;

	pthread_setname_np(pthread_self(), "ap-reader");
	for (;;) {
		struct epoll_event ev[8];
		struct timespec wait = ap_clock_timespec(quiet);
		bool sideband = false;
		int n;

		/* So that a burst of events is one pass. */
		if (quiet)
			nanosleep(&wait, NULL);
		n = epoll_wait(p->epoll_fd, ev, AP_ARRAY_SIZE(ev), PASS_MS);
		for (int i = 0; i < n; i++) {
			if (ev[i].data.u32 == WAKE_STOP)
				return NULL;
			sideband |= ev[i].data.u32 == WAKE_SIDEBAND;
		}
		pthread_mutex_lock(&p->lock);
		p->new_files = false;
		pass(p);
		quiet = p->new_files ? NEW_FILES_NS : sideband ? QUIET_NS : 0;
		pthread_mutex_unlock(&p->lock);
	}
}

static int set_file(void *ctx, const struct ap_file_key *key, const struct ap_file_ref *ref)
{
	return ap_capture_set_file(ctx, key, ref);
}

static int forget_file(void *ctx, const struct ap_file_key *key)
{
	return ap_capture_forget_file(ctx, key);
}

static void on_file(void *ctx, struct ap_file *f)
{
	struct ap_profiler *p = ctx;

	p->new_files = true;
	ap_tables_add(p->tables, f, ap_clock_mono_ns());
}

/* Without modes that take stacks no file needs a table. */
static void watch_files(struct ap_profiler *p)
{
	if (p->setting.modes & ~(uint32_t)AP_MODE_SYSCALL || p->stacks_of_calls)
		ap_file_table_watch(ap_process_table_files(p->processes), on_file, p);
}

static int open_tables(struct ap_profiler *p)
{
	struct ap_tables_target target = {
		.set = set_file, .forget = forget_file, .ctx = p->capture};
	struct ap_file_table *files = ap_process_table_files(p->processes);
	int r;

	target.words = ap_capture_words(p->capture, &target.n_words);
	r = ap_tables_new(files, &target, &p->tables);
	if (r == 0)
		watch_files(p);
	return r;
}

static const enum ap_process_scope scopes[] = {
	[AP_TARGET_MACHINE] = AP_SCOPE_ALL,
	[AP_TARGET_PIDS] = AP_SCOPE_LEARNED,
	[AP_TARGET_CGROUP] = AP_SCOPE_SAMPLED,
};

static int open_parts(struct ap_profiler *p, const struct ap_profiler_options *o,
		      struct ap_error *err)
{
	int r;

	p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->epoll_fd < 0 || p->stop_fd < 0)
		return ap_error_set(err, -errno, "cannot watch descriptors");
	p->processes = ap_process_table_new(PROCESSES_MAX, FDS_MAX);
	p->sideband = ap_sideband_new(p->epoll_fd, WAKE_SIDEBAND);
	if (!p->processes || !p->sideband)
		return ap_error_set(err, -ENOMEM, "out of memory");
	ap_process_table_set_scope(p->processes, scopes[o->target]);
	r = ap_capture_open(o, on_record, p, err, &p->capture);
	if (r < 0)
		return r;
	p->probes = ap_probes_new(p->capture, o);
	if (!p->probes)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r = ap_probes_load(p->probes, &p->setting, err);
	if (r < 0)
		return r;
	p->stacks_of_calls = ap_syscall_stacks_asked(o->syscalls);
	r = open_tables(p);
	if (r < 0)
		return ap_error_set(err, r, "cannot keep unwind tables: %s", ap_strerror(r));
	p->rows =
		ap_rows_builder_new(p->tables, o->exact_time, o->max_rows ? o->max_rows : ROWS_MAX);
	if (p->rows)
		p->reader = ap_reader_new(p->processes, p->tables, p->rows, &p->ledger);
	if (!p->reader)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r = watch(p, p->stop_fd, WAKE_STOP);
	if (r == 0)
		r = watch(p, ap_capture_fd(p->capture), WAKE_RINGBUF);
	if (r < 0)
		return ap_error_set(err, r, "cannot watch descriptors: %s", ap_strerror(r));
	/* Before the first sample: what starts from now on is known from its first instruction. */
	p->cpus = (struct ap_cpu_watch){
		.capture = p->capture, .sideband = p->sideband, .processes = p->processes};
	r = ap_cpu_watch_all(&p->cpus);
	if (r < 0)
		return ap_error_set(err, r,
				    "the kernel refuses to tell of processes (perf_event_open: "
				    "%s): " EVENTS_REMEDY,
				    ap_strerror(r));
	return 0;
}

int ap_profiler_open(const struct ap_profiler_options *opts, struct ap_error *err,
		     struct ap_profiler **ret)
{
	_cleanup_(ap_cleanup_profiler) struct ap_profiler *p = NULL;
	const struct ap_profiler_setting s = {opts->modes, opts->frequency_hz,
					      opts->wait_threshold_ns};
	int r = check_options(opts, err);

	if (r < 0)
		return r;
	p = calloc(1, sizeof(*p));
	if (!p)
		return ap_error_set(err, -ENOMEM, "out of memory");
	p->epoll_fd = p->stop_fd = -1;
	pthread_mutex_init(&p->lock, NULL);
	r = check_setting(&s, &p->setting, err);
	if (r == 0)
		r = open_parts(p, opts, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < opts->n_pids; i++) {
		r = ap_profiler_add_target(p, opts->pids[i], err);
		if (r < 0)
			return r;
	}
	*ret = AP_TAKE_PTR(p);
	return 0;
}

void ap_profiler_free(struct ap_profiler *p)
{
	if (!p)
		return;
	ap_profiler_stop(p);
	ap_tables_free(p->tables);
	ap_probes_free(p->probes);
	ap_capture_free(p->capture);
	ap_sideband_free(p->sideband);
	ap_sideband_batch_free(&p->events);
	ap_reader_free(p->reader);
	ap_rows_builder_free(p->rows);
	ap_process_table_free(p->processes);
	ap_cleanup_fd(&p->epoll_fd);
	ap_cleanup_fd(&p->stop_fd);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static void learn(void *ctx, int32_t pid)
{
	struct ap_profiler *p = ctx;

	ap_process_table_learn(p->processes, pid, ap_clock_mono_ns());
}

int ap_profiler_start(struct ap_profiler *p, struct ap_error *err)
{
	int r;

	if (p->started)
		return ap_error_set(err, -EALREADY, "the profiler was started before");
	if (ap_capture_cgroup(p->capture) >= 0) {
		pthread_mutex_lock(&p->lock);
		ap_cgroup_procs(ap_capture_cgroup(p->capture), LEARN_MAX, learn, p);
		pthread_mutex_unlock(&p->lock);
	}
	/* Those of what was learned so far: the first samples are to be complete. */
	ap_tables_wait(p->tables, ap_clock_mono_ns() + TABLES_WAIT_NS);
	pthread_mutex_lock(&p->lock);
	p->started = p->cpus.sampling = true;
	p->checked = ap_clock_mono_ns();
	r = ap_cpu_watch_all(&p->cpus);
	if (r < 0)
		ap_error_set(err, r, "cannot sample the CPUs (perf_event_open: %s): " EVENTS_REMEDY,
			     ap_strerror(r));
	else
		r = ap_probes_set(p->probes, &p->setting, err);
	pthread_mutex_unlock(&p->lock);
	if (r < 0) {
		ap_capture_stop(p->capture);
		return r;
	}
	r = -pthread_create(&p->thread, NULL, thread_main, p);
	if (r < 0)
		return ap_error_set(err, r, "cannot start a thread: %s", ap_strerror(r));
	p->thread_runs = true;
	return 0;
}

int ap_profiler_add_target(struct ap_profiler *p, int32_t pid, struct ap_error *err)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (pid <= 0 || access(path, F_OK) < 0)
		return ap_error_set(err, -ESRCH, "there is no process %d", (int)pid);
	pthread_mutex_lock(&p->lock);
	r = ap_capture_add_pid(p->capture, pid);
	if (r == 0)
		ap_process_table_learn(p->processes, pid, ap_clock_mono_ns());
	pthread_mutex_unlock(&p->lock);
	if (r < 0)
		return ap_error_set(err, r, "cannot profile process %d: %s", (int)pid,
				    ap_strerror(r));
	return 0;
}

int ap_profiler_set_stride(struct ap_profiler *p, uint32_t stride)
{
	int r;

	pthread_mutex_lock(&p->lock);
	p->new_rate = true;
	r = ap_capture_set_stride(p->capture, stride);
	pthread_mutex_unlock(&p->lock);
	return r;
}

/* Has the capture do what the setting says. With the lock held. */
static int set_capture(struct ap_profiler *p, struct ap_error *err)
{
	int r;

	/* What has been sampled so far is accounted for by the measure of its own rate. */
	if (p->started)
		ap_capture_ledger(p->capture, &p->ledger);
	p->new_rate = true;
	r = ap_capture_set_frequency(p->capture, p->setting.frequency_hz);
	if (r == 0) {
		ap_capture_enable(p->capture, p->setting.modes & AP_MODE_CPU);
		r = p->started ? ap_cpu_watch_all(&p->cpus) : 0;
	}
	if (r < 0)
		ap_error_set(err, r, "cannot sample all CPUs (perf_event_open: %s): " EVENTS_REMEDY,
			     ap_strerror(r));
	return r;
}

int ap_profiler_set(struct ap_profiler *p, const struct ap_profiler_setting *setting,
		    struct ap_error *err)
{
	struct ap_profiler_setting s;
	int r = check_setting(setting, &s, err);

	/* Without the lock: it takes its time, and the kernel's rings are to be emptied meanwhile. */
	if (r == 0)
		r = ap_probes_load(p->probes, &s, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&p->lock);
	p->setting = s;
	watch_files(p);
	pthread_mutex_unlock(&p->lock);
	ap_tables_wait(p->tables, ap_clock_mono_ns() + TABLES_WAIT_NS);
	pthread_mutex_lock(&p->lock);
	if (!p->stopped) {
		r = set_capture(p, err);
		if (r == 0 && p->started)
			r = ap_probes_set(p->probes, &p->setting, err);
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

void ap_profiler_expect(struct ap_profiler *p, const char *path)
{
	pthread_mutex_lock(&p->lock);
	ap_process_table_expect(p->processes, path);
	pthread_mutex_unlock(&p->lock);
}

int ap_profiler_stop(struct ap_profiler *p)
{
	uint64_t one = 1;
	int r = 0;

	if (!p->started || p->stopped)
		return 0;
	if (p->thread_runs) {
		r = ap_write_all(p->stop_fd, &one, sizeof(one));
		pthread_join(p->thread, NULL);
		p->thread_runs = false;
	}
	pthread_mutex_lock(&p->lock);
	ap_capture_stop(p->capture);
	ap_probes_stop(p->probes);
	p->stopped = true;
	pass(p);
	pthread_mutex_unlock(&p->lock);
	return r;
}

int ap_profiler_collect(struct ap_profiler *p, struct ap_rows **ret)
{
	struct ap_rows *rows;

	pthread_mutex_lock(&p->lock);
	if (p->started && !p->stopped)
		ap_probes_flush(p->probes);
	pass(p);
	ap_probes_collect(p->probes, p->processes, p->rows, &p->ledger);
	rows = ap_rows_builder_take(p->rows, p->processes);
	if (rows)
		rows->period_ns = p->new_rate ? 0 : ap_capture_period_ns(p->capture);
	p->new_rate = false;
	pthread_mutex_unlock(&p->lock);
	if (!rows)
		return -ENOMEM;
	*ret = rows;
	return 0;
}

struct ap_ledger *ap_profiler_ledger(struct ap_profiler *p)
{
	return &p->ledger;
}

void ap_profiler_ledger_copy(struct ap_profiler *p, struct ap_ledger *ret)
{
	pthread_mutex_lock(&p->lock);
	for (uint32_t i = 0; i < AP_LEDGER_MAX; i++)
		ret->count[i] = ap_ledger_get(&p->ledger, (enum ap_ledger_id)i);
	memcpy(ret->stacks, p->ledger.stacks, sizeof(ret->stacks));
	pthread_mutex_unlock(&p->lock);
}

const char *ap_profiler_refused(const struct ap_profiler *p, uint32_t *modes)
{
	return ap_probes_refused(p->probes, modes);
}

const char *ap_profiler_variant(const struct ap_profiler *p)
{
	return ap_capture_variant(p->capture);
}

void ap_profiler_cost(struct ap_profiler *p, struct ap_profiler_cost *ret)
{
	struct ap_profiler_cost cost = {.cpu_ns = ap_clock_cpu_ns()};
	struct ap_tables_stats tables;
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) == 0)
		cost.peak_rss_bytes = (uint64_t)usage.ru_maxrss * 1024;
	pthread_mutex_lock(&p->lock);
	ap_capture_cost(p->capture, &cost);
	ap_probes_cost(p->probes, &cost);
	cost.map_bytes += ap_sideband_bytes(p->sideband);
	cost.map_cpu_bytes += ap_sideband_cpu_bytes(p->sideband);
	ap_tables_get_stats(p->tables, &tables);
	if (ap_capture_has_arena(p->capture))
		cost.map_bytes += tables.store.touched_bytes;
	pthread_mutex_unlock(&p->lock);
	*ret = cost;
}

void ap_profiler_processes(struct ap_profiler *p, struct ap_profiler_processes *ret)
{
	struct ap_process_counts counts;

	pthread_mutex_lock(&p->lock);
	ap_process_table_counts(p->processes, &counts);
	pthread_mutex_unlock(&p->lock);
	*ret = (struct ap_profiler_processes){.known = counts.processes,
					      .sampled = counts.sampled,
					      .evicted = counts.evicted,
					      .events_lost = counts.events_lost};
}

void ap_profiler_tables(struct ap_profiler *p, struct ap_tables_stats *ret)
{
	ap_tables_get_stats(p->tables, ret);
}

bool ap_profiler_target_alive(struct ap_profiler *p)
{
	return ap_capture_has_targets(p->capture);
}
