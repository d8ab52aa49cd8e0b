/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/daemon.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/utsname.h>

#include "agent/account.h"
#include "agent/daemon_internal.h"
#include "base/clock.h"
#include "base/io.h"

#define DEFAULT_FLUSH_NS (10 * AP_NSEC_PER_SEC)
#define FIRST_FLUSH_NS	 AP_NSEC_PER_SEC
#define GOVERN_NS	 (5 * AP_NSEC_PER_SEC) /* the governor's windows, at least */

/* Resident memory of this process, from /proc/self/statm; 0 where it cannot be read. */
static uint64_t resident_bytes(void)
{
	_cleanup_buf_ struct ap_buf text = {0};
	struct ap_str rest, pages;
	uint64_t n;

	if (ap_read_file(AT_FDCWD, "/proc/self/statm", 256, &text) < 0)
		return 0;
	rest = ap_buf_view(&text);
	ap_str_cut(&rest, ' ');
	pages = ap_str_cut(&rest, ' ');
	return ap_parse_u64(pages, &n) < 0 ? 0 : n * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* What every batch of this run says. */
static void describe(struct ap_daemon *d)
{
	struct ap_batch_meta *m = &d->meta;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct utsname u;

	memcpy(m->agent_id, d->identity.id, sizeof(m->agent_id));
	m->epoch = d->identity.epoch;
	gethostname(m->host, sizeof(m->host) - 1);
	snprintf(m->version, sizeof(m->version), "%s", APERTURE_VERSION);
	if (uname(&u) == 0) {
		snprintf(m->kernel, sizeof(m->kernel), "%.127s", u.release);
		snprintf(m->arch, sizeof(m->arch), "%.31s", u.machine);
	}
	m->cpus = cpus > 0 ? (uint32_t)cpus : 1;
	m->end_ns = ap_clock_unix_ns();
	m->status.start_ns = m->end_ns;
}

/* The list with each "env" replaced by what $DEBUGINFOD_URLS holds: `text` keeps the strings. */
static int list_urls(const struct ap_daemon_config *config, struct ap_buf *text,
		     struct ap_strings *ret)
{
	const char *env = getenv("DEBUGINFOD_URLS");

	for (size_t i = 0; i < config->n_debuginfod_urls; i++) {
		bool is_env = strcmp(config->debuginfod_urls[i], "env") == 0;

		ap_buf_printf(text, " %s", !is_env ? config->debuginfod_urls[i] : env ? env : "");
	}
	ap_buf_byte(text, 0);
	if (ap_buf_error(text) < 0)
		return -ENOMEM;
	for (char *save, *url = strtok_r((char *)text->p, " \t\n", &save); url;
	     url = strtok_r(NULL, " \t\n", &save))
		if (ap_vec_push(ret, url) < 0)
			return -ENOMEM;
	return 0;
}

static int start_debuginfod(struct ap_daemon *d, const struct ap_daemon_config *config,
			    struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf text = {0}, dir = {0};
	struct ap_strings urls = {0};
	struct ap_debuginfod_opts o = {.cache_bytes = config->debuginfod_cache};
	int r;

	if (config->n_debuginfod_urls == 0)
		return 0;
	r = list_urls(config, &text, &urls);
	ap_buf_printf(&dir, "%s/debuginfo", config->state_dir);
	if (r == 0)
		r = ap_buf_error(&dir);
	if (r < 0)
		r = ap_error_set(err, -ENOMEM, "out of memory");
	else if (urls.n == 0)
		r = ap_error_set(err, -EINVAL,
				 "--debuginfod-urls is \"env\", but $DEBUGINFOD_URLS is empty");
	o.urls = (const char *const *)urls.p;
	o.n_urls = urls.n;
	o.dir = (const char *)dir.p;
	if (r == 0)
		r = ap_debuginfod_start(&o, &d->debuginfod, err);
	ap_vec_free(&urls);
	return r;
}

static int open_parts(struct ap_daemon *d, const struct ap_daemon_config *config,
		      struct ap_error *err)
{
	struct ap_profiler_options profiler = {
		.modes = d->control.own.modes,
		.wait_threshold_ns = d->control.own.wait_threshold_ns,
		.wakers = config->wakers,
		.frequency_hz = d->control.own.frequency_hz,
		.syscalls = config->syscalls,
		.target = config->n_pids   ? AP_TARGET_PIDS
			  : config->cgroup ? AP_TARGET_CGROUP
					   : AP_TARGET_MACHINE,
		.pids = config->pids,
		.n_pids = config->n_pids,
		.cgroup = config->cgroup,
		.table_bytes = config->table_bytes,
	};
	struct ap_batcher_opts batcher = {
		.host = ap_str_of(d->meta.host),
		.service = ap_str_of(config->service),
		.labels = config->labels,
		.n_labels = config->n_labels,
	};
	struct ap_pusher_config pusher = {.server = config->server,
					  .security = config->security,
					  .max_queue_bytes = config->queue_bytes,
					  .spool_bytes = config->spool_bytes,
					  .on_settings = ap_daemon_on_settings,
					  .ctx = d};
	struct ap_symbolizer_opts symbols = {0};
	_cleanup_free_ char *spool = NULL;
	int r = ap_profiler_open(&profiler, err, &d->profiler);

	if (r == 0)
		r = start_debuginfod(d, config, err);
	if (r < 0)
		return r;
	if (d->debuginfod)
		symbols.fetcher = ap_debuginfod_fetcher(d->debuginfod);
	batcher.ledger = pusher.ledger = d->ledger = ap_profiler_ledger(d->profiler);
	batcher.symbolizer = d->symbolizer = ap_symbolizer_new(&symbols);
	batcher.kube = d->kube = ap_kube_names_new(NULL);
	if (!d->symbolizer || !d->kube)
		return ap_error_set(err, -ENOMEM, "out of memory");
	d->batcher = ap_batcher_new(&batcher);
	if (!d->batcher)
		return ap_error_set(err, -ENOMEM, "out of memory");
	ap_symbolizer_kernel_status(d->symbolizer, &d->kernel_symbols);
	if (asprintf(&spool, "%s/spool", config->state_dir) < 0) {
		spool = NULL;
		return ap_error_set(err, -ENOMEM, "out of memory");
	}
	pusher.spool_dir = spool;
	r = ap_pusher_start(&pusher, &d->pusher, err);
	return r < 0 ? r : ap_profiler_start(d->profiler, err);
}

static void release(struct ap_daemon *d)
{
	ap_batcher_free(d->batcher);
	ap_kube_names_free(d->kube);
	ap_symbolizer_free(d->symbolizer);
	ap_debuginfod_stop(d->debuginfod);
	ap_profiler_free(d->profiler);
	ap_identity_close(&d->identity);
	ap_cleanup_fd(&d->wake_fd);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static void init_control(struct ap_daemon *d, const struct ap_daemon_config *config)
{
	const struct ap_profiler_setting own = {
		.modes = config->modes ? config->modes : AP_MODE_CPU,
		.frequency_hz = config->frequency_hz ? config->frequency_hz : AP_FREQUENCY_DEFAULT,
		.wait_threshold_ns = config->wait_threshold_ns ? config->wait_threshold_ns
							       : AP_WAIT_THRESHOLD_DEFAULT,
	};

	ap_control_init(&d->control, &config->limits, &own);
	/* A flush may be a little early: its window counts all the same. */
	ap_governor_init(&d->governor, config->cpu_budget,
			 AP_MAX(d->flush_interval_ns / 10 * 9, GOVERN_NS),
			 AP_NSEC_PER_SEC / own.frequency_hz);
}

int ap_daemon_start(const struct ap_daemon_config *config, struct ap_daemon **ret,
		    struct ap_error *err)
{
	struct ap_daemon *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return ap_error_set(err, -ENOMEM, "out of memory");
	pthread_mutex_init(&d->lock, NULL);
	d->identity.lock_fd = -1;
	d->flush_interval_ns =
		config->flush_interval_ns ? config->flush_interval_ns : DEFAULT_FLUSH_NS;
	init_control(d, config);
	d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = d->wake_fd < 0
		    ? ap_error_set(err, -errno, "cannot make an eventfd: %s", ap_strerror(errno))
		    : ap_identity_open(config->state_dir, &d->identity, err);
	if (r == 0) {
		describe(d);
		r = open_parts(d, config, err);
	}
	if (r == 0) {
		ap_daemon_describe_settings(d);
		d->status = d->meta.status;
	}
	if (r < 0) {
		if (d->pusher)
			ap_pusher_stop(d->pusher, 0);
		release(d);
		return r;
	}
	d->flushed_ns = ap_clock_mono_ns();
	d->due_ns = d->flushed_ns + AP_MIN(FIRST_FLUSH_NS, d->flush_interval_ns);
	*ret = d;
	return 0;
}

uint64_t ap_daemon_due(const struct ap_daemon *d)
{
	uint64_t now = ap_clock_mono_ns(), left;

	if (!d->control.until_ns)
		return d->due_ns;
	left = ap_control_remaining(&d->control, ap_clock_boot_ns());
	return AP_MIN(d->due_ns, now + left);
}

int ap_daemon_fd(const struct ap_daemon *d)
{
	return d->wake_fd;
}

/* The agent's own figures for the batch. */
static void measure(struct ap_daemon *d)
{
	struct ap_agent_status *s = &d->meta.status;
	struct ap_profiler_cost cost;
	struct ap_pusher_stats push;

	ap_profiler_cost(d->profiler, &cost);
	ap_pusher_get_stats(d->pusher, &push);
	s->cpu_user_ns = cost.cpu_ns;
	s->cpu_bpf_ns = cost.bpf_ns;
	s->map_bytes = cost.map_bytes;
	d->fixed_ns = cost.fixed_ns;
	s->rss_bytes = resident_bytes();
	s->queued_batches = push.queued;
	s->settings.remaining_ns = ap_control_remaining(&d->control, ap_clock_boot_ns());
	pthread_mutex_lock(&d->lock);
	d->status = *s;
	pthread_mutex_unlock(&d->lock);
}

/* Sets the batch's range: from the end of the last one to now. If the wall clock was set back
 * meanwhile, the monotonic clock tells how long that was. */
static void set_range(struct ap_daemon *d)
{
	uint64_t mono = ap_clock_mono_ns();
	int64_t now = ap_clock_unix_ns();

	d->meta.start_ns = d->meta.end_ns;
	if (d->meta.start_ns >= now)
		d->meta.start_ns = now - (int64_t)AP_MAX(mono - d->flushed_ns, 1);
	d->meta.end_ns = now;
	d->flushed_ns = mono;
}

/* The ledger's deltas since the last batch that was made, with those of batches that were lost. */
static void take_deltas(struct ap_daemon *d)
{
	struct ap_ledger *deltas = &d->meta.ledger, now;

	ap_pusher_reclaim(d->pusher, deltas);
	ap_profiler_ledger_copy(d->profiler, &now);
	ap_ledger_take(&d->sent, &now, deltas);
	memcpy(deltas->stacks, ap_batcher_reasons(d->batcher), sizeof(deltas->stacks));
}

static void take_back(struct ap_daemon *d, enum ap_ledger_id out, enum ap_ledger_id loss,
		      uint64_t n)
{
	d->meta.ledger.count[out] -= n;
	d->sent.count[out] -= n;
	ap_ledger_add(d->ledger, out, -n);
	ap_ledger_add(d->ledger, loss, n);
}

/* A batch could not be made: the batcher has counted what it holds as out. The deltas stay in `meta`,
 * for the next one. */
static void unmake(struct ap_daemon *d, const struct ap_push_units *units)
{
	d->meta.sequence--;
	take_back(d, AP_LEDGER_BATCH_OUT, AP_LEDGER_BATCH_ENCODE, units->periods);
	take_back(d, AP_LEDGER_SYSCALL_OUT, AP_LEDGER_SYSCALL_NO_MEMORY, units->calls);
}

/* Encodes the profile with everything around it and queues the bytes. */
static int send(struct ap_daemon *d, const struct ap_profile *profile, struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf bytes = {0};
	const struct ap_push_units units = {.periods = ap_batch_periods(profile),
					    .calls = ap_batch_calls(profile)};
	int r;

	d->meta.sequence++;
	d->meta.period_ns = profile->period_ns;
	measure(d);
	take_deltas(d);
	r = ap_batch_encode(profile, &d->meta, &bytes);
	if (r == 0)
		r = ap_pusher_add(d->pusher, &bytes, &units, &d->meta.ledger);
	if (r == 0 || r == -EFBIG)
		memset(&d->meta.ledger, 0, sizeof(d->meta.ledger));
	else
		unmake(d, &units);
	return r < 0 ? ap_error_set(err, r, "cannot queue a batch: %s", ap_strerror(r)) : 0;
}

/* Samples less or more often where the agent's own cost asks for it. */
static int govern(struct ap_daemon *d, struct ap_error *err)
{
	struct ap_agent_status *s = &d->meta.status;
	int r;

	if (!ap_governor_update(&d->governor, ap_clock_mono_ns(),
				s->cpu_user_ns + s->cpu_bpf_ns - d->fixed_ns))
		return 0;
	s->stride = d->governor.stride;
	pthread_mutex_lock(&d->lock);
	d->status.stride = s->stride;
	d->rate_changes = d->governor.changes;
	pthread_mutex_unlock(&d->lock);
	r = ap_profiler_set_stride(d->profiler, s->stride);
	return r < 0 ? ap_error_set(err, r, "cannot change the sampling rate of all CPUs: %s",
				    ap_strerror(r))
		     : 0;
}

static int flush(struct ap_daemon *d, struct ap_error *err)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *profile = NULL;
	struct ap_rows *rows = NULL;
	uint64_t now;
	int r;

	/* A late flush does not make the next ones follow in a rush, an early one does not delay them. */
	now = ap_clock_mono_ns();
	d->due_ns = AP_MAX(AP_MIN(d->due_ns, now) + d->flush_interval_ns, now);
	set_range(d);
	r = ap_profiler_collect(d->profiler, &rows);
	if (r < 0)
		return ap_error_set(err, r, "cannot collect samples: %s", ap_strerror(r));
	r = ap_batcher_build(d->batcher, rows, &profile, err);
	ap_rows_free(rows);
	if (r < 0)
		return r;
	ap_symbolizer_rest(d->symbolizer);
	r = send(d, profile, err);
	pthread_mutex_lock(&d->lock);
	d->batches += r == 0;
	pthread_mutex_unlock(&d->lock);
	return r < 0 ? r : govern(d, err);
}

int ap_daemon_work(struct ap_daemon *d, struct ap_error *err)
{
	struct ap_error unset = {0};
	int r = 0;

	/* At once, so that the aggregator hears what has become of them. */
	if (ap_daemon_apply_settings(d, &unset) || ap_clock_mono_ns() >= d->due_ns)
		r = flush(d, err);
	if (r == 0 && unset.code)
		*err = unset;
	return r < 0 ? r : unset.code;
}

void ap_daemon_get_info(const struct ap_daemon *d, struct ap_daemon_info *ret)
{
	*ret = (struct ap_daemon_info){
		.agent_id = d->identity.id,
		.epoch = d->identity.epoch,
		.cpus = d->meta.cpus,
		.status = &d->meta.status,
		.kernel_symbols = d->kernel_symbols.msg[0] ? d->kernel_symbols.msg : NULL,
	};
}

void ap_daemon_push_stats(struct ap_daemon *d, struct ap_pusher_stats *ret)
{
	ap_pusher_get_stats(d->pusher, ret);
}

uint32_t ap_daemon_stop(struct ap_daemon *d, uint64_t timeout_ns)
{
	struct ap_error err = {0};
	uint32_t left;

	ap_profiler_stop(d->profiler);
	d->meta.status.stopping = true;
	flush(d, &err);
	left = ap_pusher_stop(d->pusher, timeout_ns);
	release(d);
	return left;
}
