/* SPDX-License-Identifier: Apache-2.0 */
/* aperture-agent: profiles this machine and pushes to an aggregator until it is told to stop. */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/daemon.h"
#include "agent/profiler.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "http/prometheus.h"
#include "http/server.h"

/* The statuses of the command line for the same things. */
enum { STATUS_PERMISSION = 4 };

#define LIVE_FLUSH_NS AP_NSEC_PER_SEC
#define STOP_WAIT_NS  (5 * AP_NSEC_PER_SEC)
enum { METRICS_GRACE_MS = 500, LABELS_MAX = 64, LARGE_BLOCK_BYTES = 256 << 10 };

struct settings {
	char *server, *state_dir, *service, *metrics_listen, *cgroup;
	struct ap_strings labels, modes, pids, debuginfod_urls;
	uint64_t frequency, wait_threshold, cpu_budget, flush_interval_ns, queue_bytes, table_bytes;
	uint64_t debuginfod_cache;
	bool live;
	uint32_t log_level, log_format;
};

#define FIELD(name) offsetof(struct settings, name)

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"logfmt", "json", NULL};

static const struct ap_option options[] = {
	{.name = "server",
	 .metavar = "HOST:PORT",
	 .type = AP_OPT_STRING,
	 .value = "127.0.0.1:50051",
	 .group = "Pushing",
	 .help = "the aggregator to push to",
	 .offset = FIELD(server)},
	{.name = "flush-interval",
	 .metavar = "TIME",
	 .type = AP_OPT_DURATION,
	 .value = "10s",
	 .min = AP_NSEC_PER_SEC / 10,
	 .max = 600 * AP_NSEC_PER_SEC,
	 .group = "Pushing",
	 .help = "how often a batch is pushed",
	 .offset = FIELD(flush_interval_ns)},
	{.name = "live",
	 .type = AP_OPT_BOOL,
	 .group = "Pushing",
	 .help = "push every second, to watch a machine as it runs",
	 .offset = FIELD(live)},
	{.name = "queue-bytes",
	 .metavar = "BYTES",
	 .type = AP_OPT_BYTES,
	 .value = "32MiB",
	 .min = 1 << 20,
	 .max = 1ull << 40,
	 .group = "Pushing",
	 .help = "memory for batches while the aggregator is away; the oldest make way, counted",
	 .offset = FIELD(queue_bytes)},
	{.name = "mode",
	 .metavar = "MODE[,MODE…]",
	 .type = AP_OPT_LIST,
	 .group = "Sampling",
	 .help = "cpu (the default), offcpu: where threads wait, lock: waits for locks, wall: cpu and "
		 "offcpu, syscall: system calls",
	 .offset = FIELD(modes)},
	{.name = "wait-threshold",
	 .metavar = "TIME",
	 .type = AP_OPT_DURATION,
	 .value = "1ms",
	 .group = "Sampling",
	 .help = "shorter waits are counted without their stacks",
	 .offset = FIELD(wait_threshold)},
	{.name = "frequency",
	 .short_name = 'F',
	 .metavar = "HZ",
	 .type = AP_OPT_UINT,
	 .value = "99",
	 .min = 1,
	 .max = 10000,
	 .group = "Sampling",
	 .help = "samples per second and CPU",
	 .offset = FIELD(frequency)},
	{.name = "cpu-budget",
	 .metavar = "PERCENT",
	 .type = AP_OPT_PERCENT,
	 .value = "1",
	 .max = 100000,
	 .group = "Sampling",
	 .help = "of one CPU for the agent itself: over it samples are taken less often; 0: no limit",
	 .offset = FIELD(cpu_budget)},
	{.name = "pid",
	 .short_name = 'p',
	 .metavar = "PID[,PID…]",
	 .type = AP_OPT_LIST,
	 .group = "Sampling",
	 .help = "only these processes and the children they start from now on",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(pids)},
	{.name = "cgroup",
	 .metavar = "PATH",
	 .type = AP_OPT_STRING,
	 .group = "Sampling",
	 .help = "only this cgroup v2 and those below it (default: the whole machine)",
	 .offset = FIELD(cgroup)},
	{.name = "table-bytes",
	 .metavar = "BYTES",
	 .type = AP_OPT_BYTES,
	 .min = 1 << 20,
	 .max = 1 << 30,
	 .group = "Sampling",
	 .help = "memory for unwind tables (default: 64MiB, taken as needed; before Linux 6.9 "
		 "8MiB, taken at once)",
	 .offset = FIELD(table_bytes)},
	{.name = "service",
	 .metavar = "NAME",
	 .type = AP_OPT_STRING,
	 .group = "Labels",
	 .help = "label \"service\" of everything here, instead of each process's own",
	 .offset = FIELD(service)},
	{.name = "label",
	 .metavar = "KEY=VALUE",
	 .type = AP_OPT_LIST,
	 .group = "Labels",
	 .help = "a label for everything here; may be given several times",
	 .offset = FIELD(labels)},
	{.name = "debuginfod-urls",
	 .metavar = "URL[,URL…]",
	 .type = AP_OPT_LIST,
	 .group = "Symbols",
	 .help = "servers to fetch debug information from; \"env\" for those of "
		 "$DEBUGINFOD_URLS (default: none is asked)",
	 .offset = FIELD(debuginfod_urls)},
	{.name = "debuginfod-cache",
	 .metavar = "BYTES",
	 .type = AP_OPT_BYTES,
	 .value = "1GiB",
	 .min = 1 << 20,
	 .max = 1ull << 50,
	 .group = "Symbols",
	 .help = "disk for what they gave, below --state-dir; the least recently used makes way",
	 .offset = FIELD(debuginfod_cache)},
	{.name = "state-dir",
	 .metavar = "DIR",
	 .type = AP_OPT_STRING,
	 .value = "/var/lib/aperture/agent",
	 .group = "Other",
	 .help = "folder where the agent keeps its identity",
	 .offset = FIELD(state_dir)},
	{.name = "metrics-listen",
	 .metavar = "HOST:PORT",
	 .type = AP_OPT_STRING,
	 .value = "127.0.0.1:9091",
	 .group = "Other",
	 .help = "where the agent's own /metrics are served; \"off\" for nowhere",
	 .offset = FIELD(metrics_listen)},
	{.name = "log-level",
	 .metavar = "LEVEL",
	 .type = AP_OPT_ENUM,
	 .choices = log_levels,
	 .value = "info",
	 .group = "Other",
	 .help = "the least that is logged",
	 .offset = FIELD(log_level)},
	{.name = "log-format",
	 .metavar = "FORMAT",
	 .type = AP_OPT_ENUM,
	 .choices = log_formats,
	 .value = "logfmt",
	 .group = "Other",
	 .help = "form of the log on standard error",
	 .offset = FIELD(log_format)},
};

static const struct ap_program program = {
	.name = "aperture-agent",
	.section = "agent",
	.summary = "profiles this machine continuously and pushes to an aggregator",
	.notes = "Needs root, or CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_SYSLOG, "
		 "CAP_DAC_READ_SEARCH and CAP_CHECKPOINT_RESTORE. SIGTERM and SIGINT push the "
		 "rest and stop; a second one stops at once.\n\n"
		 "Exit status: 0 stopped as asked, 1 an error, 2 wrong usage, 4 no permission to "
		 "profile.",
	.options = options,
	.n_options = AP_ARRAY_SIZE(options),
	.file_optional = true,
};

static void serve_metrics(struct ap_http_request *req, void *ctx)
{
	_cleanup_buf_ struct ap_buf body = {0};

	if (ap_daemon_metrics(ctx, &body) < 0)
		ap_http_reply_error(req, 500, "internal", NULL, "the metrics cannot be written");
	else
		ap_http_reply(req, 200, AP_PROM_CONTENT_TYPE, &body);
}

static const struct ap_http_route routes[] = {
	{.method = AP_HTTP_GET, .path = "/metrics", .handler = serve_metrics},
};

/* 0 and NULL where no metrics are wanted. */
static int start_metrics(const struct settings *set, struct ap_daemon *d,
			 struct ap_http_server **ret, struct ap_error *err)
{
	const struct ap_http_options o = {
		.listen = set->metrics_listen,
		.listen_flag = "--metrics-listen",
		.routes = routes,
		.n_routes = AP_ARRAY_SIZE(routes),
		.ctx = d,
		.workers = 1,
		.max_connections = 16,
	};

	*ret = NULL;
	if (strcmp(set->metrics_listen, "off") == 0)
		return 0;
	return ap_http_server_start(&o, ret, err);
}

/* Logs when pushing begins to fail and when it works again, and each time that batches were lost.
 * `*seen` is what this looked at last. */
static void watch_push(struct ap_daemon *d, struct ap_pusher_stats *seen)
{
	struct ap_pusher_stats s;

	ap_daemon_push_stats(d, &s);
	if (s.last_error[0] && !seen->last_error[0])
		ap_warn("cannot push, keeping batches: %s", s.last_error);
	else if (!s.last_error[0] && seen->last_error[0])
		ap_info("pushing again, %u batches queued", s.queued);
	if (s.refused > seen->refused)
		ap_err("%llu batches were refused for good and are lost, counted as push/refused: "
		       "%s",
		       (unsigned long long)(s.refused - seen->refused), s.last_refusal);
	if (s.dropped > seen->dropped)
		ap_err("the queue is full: the %llu oldest batches are lost, counted as "
		       "push/queue_full",
		       (unsigned long long)(s.dropped - seen->dropped));
	*seen = s;
}

/* Logs each change of the sampling rate; `*seen` is the stride that this looked at last. */
static void watch_rate(const struct settings *set, struct ap_daemon *d, uint32_t *seen)
{
	struct ap_daemon_info info;
	double hz;

	ap_daemon_get_info(d, &info);
	hz = (double)info.frequency_hz / info.stride;
	if (info.stride > *seen)
		ap_warn("the agent uses more than %g %% of a CPU (--cpu-budget): samples at %.4g Hz "
			"now, each for more time",
			(double)set->cpu_budget / 1e3, hz);
	else if (info.stride < *seen)
		ap_info("the agent's CPU budget has room again: samples at %.4g Hz now", hz);
	*seen = info.stride;
}

/* Flushes whenever a batch is due, until a signal asks to stop. */
static int run_until_signal(const struct settings *set, struct ap_daemon *d,
			    const sigset_t *signals)
{
	struct ap_error err = {0};
	struct ap_pusher_stats seen = {0};
	uint32_t stride = 1;
	int sig;

	for (;;) {
		uint64_t now = ap_clock_mono_ns(), due = ap_daemon_due(d);
		uint64_t wait = due > now ? due - now : 0;
		struct timespec t = {.tv_sec = (time_t)(wait / AP_NSEC_PER_SEC),
				     .tv_nsec = (long)(wait % AP_NSEC_PER_SEC)};

		sig = sigtimedwait(signals, NULL, &t);
		if (sig > 0)
			return sig;
		if (ap_clock_mono_ns() < due)
			continue;
		watch_push(d, &seen);
		if (ap_daemon_flush(d, &err) < 0)
			ap_err("%s", err.msg);
		watch_rate(set, d, &stride);
	}
}

static void announce(const struct settings *set, struct ap_daemon *d)
{
	struct ap_daemon_info info;

	ap_daemon_get_info(d, &info);
	ap_info("version " APERTURE_VERSION ": profiling %u CPUs at %u Hz, pushing to %s; agent %s "
		"epoch %llu",
		info.cpus, info.frequency_hz, set->server, info.agent_id,
		(unsigned long long)info.epoch);
	if (info.refused)
		ap_warn("%s", info.refused);
	if (info.kernel_symbols)
		ap_warn("%s", info.kernel_symbols);
}

static int run(const struct settings *set, const struct ap_daemon_config *config)
{
	struct ap_http_server *metrics;
	struct ap_error err = {0};
	struct ap_daemon *d;
	sigset_t signals;
	uint32_t left;
	int r, sig;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	/* Before any thread begins: all inherit it, and the signals wait for sigtimedwait(). */
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	r = ap_daemon_start(config, &d, &err);
	if (r < 0) {
		fprintf(stderr, "aperture-agent: %s\n", err.msg);
		return r == -EPERM ? STATUS_PERMISSION : EXIT_FAILURE;
	}
	if (start_metrics(set, d, &metrics, &err) < 0) {
		fprintf(stderr, "aperture-agent: %s\n", err.msg);
		ap_daemon_stop(d, 0);
		return EXIT_FAILURE;
	}
	announce(set, d);
	sig = run_until_signal(set, d, &signals);
	ap_info("%s: pushing the rest, then stopping", sigabbrev_np(sig));
	pthread_sigmask(SIG_UNBLOCK, &signals, NULL); /* a second one ends the process */
	ap_http_server_stop(metrics, METRICS_GRACE_MS);
	left = ap_daemon_stop(d, STOP_WAIT_NS);
	if (left)
		ap_warn("stopped; %u batches did not reach %s", left, set->server);
	else
		ap_info("stopped");
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct ap_user_label labels[LABELS_MAX];
	_cleanup_free_ int32_t *pids = NULL;
	uint32_t modes = 0;
	struct settings set = {0};
	_cleanup_config_ struct ap_config cfg = {0};
	struct ap_daemon_config config;
	struct ap_error err = {0};
	int r;

	/* A few threads that allocate little: heaps of their own, and large blocks that stay in a
	 * heap once they are freed, would cost more memory than time. */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
	r = ap_config_parse(&cfg, &program, &set, argc, argv, environ, &err);

	if (r == 0 && cfg.action != AP_CONFIG_RUN)
		return ap_config_show(&cfg, STDOUT_FILENO) < 0;
	if (r == 0 && set.labels.n > LABELS_MAX)
		r = ap_error_set(&err, -EINVAL, "more than %d labels given", LABELS_MAX);
	for (size_t i = 0; r == 0 && i < set.labels.n; i++)
		r = ap_user_label_parse(ap_str_of(set.labels.p[i]), &labels[i], &err);
	if (r == 0 && set.pids.n && set.cgroup)
		r = ap_error_set(&err, -EINVAL, "give only one of --pid and --cgroup");
	if (r == 0)
		r = ap_pids_parse(&set.pids, &pids, &err);
	if (r == 0)
		r = ap_modes_parse(&set.modes, &modes, &err);
	if (r < 0) {
		fprintf(stderr, "aperture-agent: %s\n", err.msg);
		return AP_EXIT_USAGE;
	}
	ap_log_setup("aperture-agent", (enum ap_log_level)set.log_level,
		     (enum ap_log_format)set.log_format);
	config = (struct ap_daemon_config){
		.server = set.server,
		.state_dir = set.state_dir,
		.service = set.service,
		.labels = labels,
		.n_labels = set.labels.n,
		.pids = pids,
		.n_pids = set.pids.n,
		.cgroup = set.cgroup,
		.modes = modes,
		.wait_threshold_ns = set.wait_threshold,
		.frequency_hz = (uint32_t)set.frequency,
		.cpu_budget = (double)set.cpu_budget / 1e5,
		.flush_interval_ns = set.live ? LIVE_FLUSH_NS : set.flush_interval_ns,
		.queue_bytes = set.queue_bytes,
		.table_bytes = set.table_bytes,
		.debuginfod_urls = (const char *const *)set.debuginfod_urls.p,
		.n_debuginfod_urls = set.debuginfod_urls.n,
		.debuginfod_cache = set.debuginfod_cache,
	};
	return run(&set, &config);
}
