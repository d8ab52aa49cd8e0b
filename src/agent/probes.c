/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/probes.h"

#include "agent/kernel_locks.h"
#include "agent/offcpu.h"
#include "agent/reader.h"
#include "agent/syscall_options.h"
#include "agent/syscalls.h"
#include "base/clock.h"

enum { OFFCPU, KERNEL_LOCK, SYSCALL, KINDS };

/* Where rows go. */
struct sink {
	struct ap_process_table *processes;
	struct ap_rows_builder *rows;
	struct ap_ledger *ledger;
};

/* What one kind of programs does; set, flush, collect and ledger may be missing. */
struct kind {
	uint32_t modes; /* that it serves; bits of enum ap_mode */
	bool part;	/* of what its modes are: they go on without it */
	int (*open)(struct ap_capture *capture, const struct ap_profiler_options *opts,
		    struct ap_error *err, void **ret);
	void (*free)(void *probe);
	/* Before the start, and of what goes on. */
	int (*set)(void *probe, const struct ap_profiler_setting *s, struct ap_error *err);
	int (*start)(void *probe, struct ap_error *err);
	void (*stop)(void *probe);
	int (*flush)(void *probe);
	int (*collect)(void *probe, struct sink *sink);
	void (*ledger)(const void *probe, struct ap_ledger *ledger);
	void (*cost)(const void *probe, struct ap_profiler_cost *cost);
};

struct ap_probes {
	struct ap_capture *capture;
	struct ap_profiler_options opts;
	struct ap_syscalls_options syscalls; /* what opts.syscalls points to */
	void *loaded[KINDS];		     /* and not taken into use yet */
	void *probe[KINDS];		     /* NULL: not there */
	bool on[KINDS];
	bool left[KINDS];	 /* ended, and not collected since */
	struct ap_error refused; /* why the first is not there */
	uint32_t refused_modes;
};

static int offcpu_open(struct ap_capture *capture, const struct ap_profiler_options *opts,
		       struct ap_error *err, void **ret)
{
	struct ap_offcpu *o = NULL;
	int r = ap_offcpu_open(capture, opts->wakers, err, &o);

	*ret = o;
	return r;
}

static void offcpu_free(void *probe)
{
	ap_offcpu_free(probe);
}

static int offcpu_set(void *probe, const struct ap_profiler_setting *s, struct ap_error *err)
{
	return ap_offcpu_set(probe, s->modes, s->wait_threshold_ns, err);
}

static int offcpu_start(void *probe, struct ap_error *err)
{
	return ap_offcpu_start(probe, err);
}

static void offcpu_stop(void *probe)
{
	ap_offcpu_stop(probe);
}

static int offcpu_flush(void *probe)
{
	return ap_offcpu_flush(probe);
}

static void offcpu_ledger(const void *probe, struct ap_ledger *ledger)
{
	ap_offcpu_ledger(probe, ledger);
}

static void offcpu_cost(const void *probe, struct ap_profiler_cost *cost)
{
	ap_offcpu_cost(probe, cost);
}

static int kernel_locks_open(struct ap_capture *capture, const struct ap_profiler_options *opts,
			     struct ap_error *err, void **ret)
{
	struct ap_kernel_locks *k = NULL;
	int r = ap_kernel_locks_open(capture, err, &k);

	(void)opts;
	*ret = k;
	return r;
}

static void kernel_locks_free(void *probe)
{
	ap_kernel_locks_free(probe);
}

static int kernel_locks_set(void *probe, const struct ap_profiler_setting *s, struct ap_error *err)
{
	(void)err;
	ap_kernel_locks_set(probe, s->wait_threshold_ns);
	return 0;
}

static int kernel_locks_start(void *probe, struct ap_error *err)
{
	return ap_kernel_locks_start(probe, err);
}

static void kernel_locks_stop(void *probe)
{
	ap_kernel_locks_stop(probe);
}

static int kernel_locks_flush(void *probe)
{
	return ap_kernel_locks_flush(probe);
}

/* As if a record had told of them. */
static void add_kernel_lock(void *ctx, const struct ap_kernel_lock_report *r)
{
	struct sink *sink = ctx;
	const struct ap_record_view v = {
		.head = {.type = AP_RECORD_KERNEL_LOCK,
			 .flags = AP_RECORD_F_TRACED,
			 .reason = AP_REASON_SHORT_WAIT,
			 .time = ap_clock_mono_ns(),
			 .value = r->ns},
		.comm = "",
		.kernel = (const uint8_t *)r->frames,
		.n_kernel = r->n_frames,
		.kernel_lock = r->key->lock,
		.waits = r->count,
	};
	const struct ap_process_sample who = {
		.pid = (int32_t)r->key->tgid,
		.tid = (int32_t)r->key->tgid,
		.start_time = r->key->start_time,
		.time = v.head.time,
		.comm = "",
		.kernel = r->key->lock.kernel,
	};

	ap_ledger_add(sink->ledger, AP_LEDGER_READER_IN, ap_record_count(&v));
	ap_reader_take(sink->processes, sink->rows, sink->ledger, &who, &v,
		       ap_clock_mono_to_unix());
}

static int kernel_locks_collect(void *probe, struct sink *sink)
{
	ap_kernel_locks_drain(probe, add_kernel_lock, sink);
	return 0;
}

static void kernel_locks_ledger(const void *probe, struct ap_ledger *ledger)
{
	ap_kernel_locks_ledger(probe, ledger);
}

static void kernel_locks_cost(const void *probe, struct ap_profiler_cost *cost)
{
	ap_kernel_locks_cost(probe, cost);
}

static int syscalls_open(struct ap_capture *capture, const struct ap_profiler_options *opts,
			 struct ap_error *err, void **ret)
{
	struct ap_syscalls *s = NULL;
	int r = ap_syscalls_open(ap_capture_object(capture), opts->syscalls, err, &s);

	*ret = s;
	return r;
}

static void syscalls_free(void *probe)
{
	ap_syscalls_free(probe);
}

static int syscalls_start(void *probe, struct ap_error *err)
{
	return ap_syscalls_start(probe, err);
}

static void syscalls_stop(void *probe)
{
	ap_syscalls_stop(probe);
}

static int add_syscall(void *ctx, const struct ap_syscall_report *r)
{
	struct sink *sink = ctx;
	const struct ap_process_sample who = {
		.pid = r->pid,
		.tid = r->pid,
		.start_time = r->start_time,
		.time = ap_clock_mono_ns(),
		.comm = "",
	};
	const struct ap_rows_syscall row = {
		.stat = r->stat,
		.oldest_ns = r->oldest_ns,
		.in_flight = r->in_flight,
		.number = r->number,
		.abi = (uint16_t)r->abi,
	};
	struct ap_process *process = ap_process_table_sampled(sink->processes, &who);

	return process ? ap_rows_builder_add_syscall(sink->rows, process, &row) : -ENOMEM;
}

static int syscalls_collect(void *probe, struct sink *sink)
{
	return ap_syscalls_drain(probe, add_syscall, sink, sink->ledger);
}

static void syscalls_cost(const void *probe, struct ap_profiler_cost *cost)
{
	ap_syscalls_cost(probe, cost);
}

static const struct kind kinds[KINDS] = {
	[OFFCPU] =
		{
			.modes = AP_MODE_OFFCPU | AP_MODE_LOCK,
			.open = offcpu_open,
			.free = offcpu_free,
			.set = offcpu_set,
			.start = offcpu_start,
			.stop = offcpu_stop,
			.flush = offcpu_flush,
			.ledger = offcpu_ledger,
			.cost = offcpu_cost,
		},
	[KERNEL_LOCK] =
		{
			.modes = AP_MODE_LOCK,
			.part = true,
			.open = kernel_locks_open,
			.free = kernel_locks_free,
			.set = kernel_locks_set,
			.start = kernel_locks_start,
			.stop = kernel_locks_stop,
			.flush = kernel_locks_flush,
			.collect = kernel_locks_collect,
			.ledger = kernel_locks_ledger,
			.cost = kernel_locks_cost,
		},
	[SYSCALL] =
		{
			.modes = AP_MODE_SYSCALL,
			.open = syscalls_open,
			.free = syscalls_free,
			.start = syscalls_start,
			.stop = syscalls_stop,
			.collect = syscalls_collect,
			.cost = syscalls_cost,
		},
};

/* `r` is how a kind came to be there or not: where this kernel does not have what it needs, others go on. */
static int refuse(struct ap_probes *p, const struct ap_profiler_setting *s, int kind, int r,
		  struct ap_error *err)
{
	uint32_t refused = p->refused_modes | (kinds[kind].part ? 0 : kinds[kind].modes);

	if (r == 0 || r == -ENOMEM || !(s->modes & ~refused))
		return r;
	if (!p->refused.code)
		p->refused = *err;
	p->refused_modes = refused;
	*err = (struct ap_error){0};
	return 0;
}

struct ap_probes *ap_probes_new(struct ap_capture *capture, const struct ap_profiler_options *opts)
{
	struct ap_probes *p = calloc(1, sizeof(*p));

	if (p) {
		p->capture = capture;
		p->opts = *opts;
		/* What they point to need not live any longer, and the capture knows the targets. */
		p->opts.pids = NULL;
		p->opts.n_pids = 0;
		p->opts.cgroup = NULL;
		if (opts->syscalls) {
			p->syscalls = *opts->syscalls;
			p->opts.syscalls = &p->syscalls;
		}
	}
	return p;
}

void ap_probes_free(struct ap_probes *p)
{
	if (!p)
		return;
	for (int i = 0; i < KINDS; i++) {
		if (p->loaded[i])
			kinds[i].free(p->loaded[i]);
		if (p->probe[i])
			kinds[i].free(p->probe[i]);
	}
	free(p);
}

int ap_probes_load(struct ap_probes *p, const struct ap_profiler_setting *s, struct ap_error *err)
{
	int r = 0;

	p->refused_modes = 0;
	p->refused = (struct ap_error){0};
	for (int i = 0; r == 0 && i < KINDS; i++)
		if (s->modes & kinds[i].modes & ~p->refused_modes && !p->probe[i] && !p->loaded[i])
			r = refuse(p, s, i, kinds[i].open(p->capture, &p->opts, err, &p->loaded[i]),
				   err);
	return r;
}

static void end(struct ap_probes *p, int kind)
{
	if (!p->on[kind])
		return;
	kinds[kind].stop(p->probe[kind]);
	p->on[kind] = false;
	p->left[kind] = true;
}

static int begin(struct ap_probes *p, int kind, const struct ap_profiler_setting *s,
		 struct ap_error *err)
{
	int r = 0;

	if (kinds[kind].set)
		r = kinds[kind].set(p->probe[kind], s, err);
	if (r == 0 && !p->on[kind])
		r = kinds[kind].start(p->probe[kind], err);
	p->on[kind] = true;
	if (r < 0)
		end(p, kind);
	return r;
}

int ap_probes_set(struct ap_probes *p, const struct ap_profiler_setting *s, struct ap_error *err)
{
	int r = 0;

	for (int i = 0; r == 0 && i < KINDS; i++) {
		if (p->loaded[i])
			p->probe[i] = AP_TAKE_PTR(p->loaded[i]);
		if (!(s->modes & kinds[i].modes))
			end(p, i);
		else if (p->probe[i])
			r = refuse(p, s, i, begin(p, i, s, err), err);
	}
	return r;
}

void ap_probes_stop(struct ap_probes *p)
{
	for (int i = 0; i < KINDS; i++)
		end(p, i);
}

void ap_probes_flush(struct ap_probes *p)
{
	for (int i = 0; i < KINDS; i++)
		if (p->on[i] && kinds[i].flush)
			kinds[i].flush(p->probe[i]);
}

void ap_probes_collect(struct ap_probes *p, struct ap_process_table *processes,
		       struct ap_rows_builder *rows, struct ap_ledger *ledger)
{
	struct sink sink = {.processes = processes, .rows = rows, .ledger = ledger};

	for (int i = 0; i < KINDS; i++)
		if ((p->on[i] || p->left[i]) && kinds[i].collect)
			p->left[i] = kinds[i].collect(p->probe[i], &sink) < 0;
}

void ap_probes_ledger(const struct ap_probes *p, struct ap_ledger *ledger)
{
	for (int i = 0; i < KINDS; i++)
		if (p->probe[i] && kinds[i].ledger)
			kinds[i].ledger(p->probe[i], ledger);
}

void ap_probes_cost(const struct ap_probes *p, struct ap_profiler_cost *cost)
{
	for (int i = 0; i < KINDS; i++)
		if (p->probe[i])
			kinds[i].cost(p->probe[i], cost);
}

const char *ap_probes_refused(const struct ap_probes *p, uint32_t *modes)
{
	*modes &= ~p->refused_modes;
	return p->refused.code ? p->refused.msg : NULL;
}
