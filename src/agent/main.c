/* SPDX-License-Identifier: Apache-2.0 */
/* aperture-agent: profiles this machine and pushes to an aggregator until it is told to stop. */
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>

#include "agent/daemon.h"
#include "agent/join.h"
#include "agent/profiler.h"
#include "agent/syscall_options.h"
#include "agent/watch.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "http/prometheus.h"
#include "http/server.h"

/* The statuses of the command line for the same things. */
enum { STATUS_PERMISSION = 4 };

#define LIVE_FLUSH_NS AP_NSEC_PER_SEC
#define STOP_WAIT_NS  (5 * AP_NSEC_PER_SEC)
enum { REMOTE_OFF, REMOTE_ON }; /* of `on_off` */
enum { METRICS_GRACE_MS = 500, LABELS_MAX = 64, LARGE_BLOCK_BYTES = 256 << 10 };

struct settings {
	char *server, *state_dir, *service, *metrics_listen, *cgroup;
	char *tls_ca, *tls_cert, *tls_key, *token_file, *config_dir;
	bool tls;
	struct ap_strings labels, modes, pids, debuginfod_urls, syscalls, syscall_errors;
	uint64_t syscall_slow, syscall_stack_rate;
	uint64_t frequency, wait_threshold, cpu_budget, flush_interval_ns, queue_bytes, spool_bytes,
		table_bytes;
	uint64_t debuginfod_cache, remote_max_frequency, remote_max_time;
	uint32_t remote_control;
	bool live, wakers;
	uint32_t log_level, log_format;
};

#define FIELD(name) offsetof(struct settings, name)

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"logfmt", "json", NULL};
static const char *const on_off[] = {"off", "on", NULL};

static const struct ap_option options[] = {
	{.name = "server",
	 .metavar = "HOST:PORT",
	 .type = AP_OPT_STRING,
	 .value = "127.0.0.1:50051",
	 .group = "Pushing",
	 .help = "the aggregator to push to",
	 .offset = FIELD(server)},
	{.name = "tls",
	 .type = AP_OPT_BOOL,
	 .group = "Pushing",
	 .help = "over TLS, with the system's certificates; --tls-ca implies it",
	 .offset = FIELD(tls)},
	{.name = "tls-ca",
	 .metavar = "FILE",
	 .type = AP_OPT_STRING,
	 .group = "Pushing",
	 .help = "certificates (PEM) that vouch for the aggregator",
	 .offset = FIELD(tls_ca)},
	{.name = "tls-cert",
	 .metavar = "FILE",
	 .type = AP_OPT_STRING,
	 .group = "Pushing",
	 .help = "this agent's certificate (PEM), where the aggregator asks for one",
	 .offset = FIELD(tls_cert)},
	{.name = "tls-key",
	 .metavar = "FILE",
	 .type = AP_OPT_STRING,
	 .group = "Pushing",
	 .help = "its key (PEM)",
	 .offset = FIELD(tls_key)},
	{.name = "token-file",
	 .metavar = "FILE",
	 .type = AP_OPT_STRING,
	 .group = "Pushing",
	 .help = "file that holds the agent's token in one line; without, $APERTURE_TOKEN",
	 .offset = FIELD(token_file)},
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
	 .help = "memory for batches while the aggregator is away; what exceeds it is on disk alone",
	 .offset = FIELD(queue_bytes)},
	{.name = "spool-bytes",
	 .type = AP_OPT_BYTES,
	 .metavar = "SIZE",
	 .value = "512MiB",
	 .min = 1 << 20,
	 .max = 1ull << 44,
	 .group = "Pushing",
	 .help = "disk for batches until they are acknowledged; the oldest make way, counted",
	 .offset = FIELD(spool_bytes)},
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
	{.name = "syscalls",
	 .metavar = "NAME[,NAME…]",
	 .type = AP_OPT_LIST,
	 .group = "Sampling",
	 .help = "of mode syscall: only these calls, such as openat,read; !NAME: all but that one",
	 .offset = FIELD(syscalls)},
	{.name = "syscall-slow",
	 .metavar = "TIME",
	 .type = AP_OPT_DURATION,
	 .min = 1,
	 .group = "Sampling",
	 .help = "of mode syscall: also the stacks of calls that take as long",
	 .offset = FIELD(syscall_slow)},
	{.name = "syscall-errors",
	 .metavar = "ERROR[,ERROR…]",
	 .type = AP_OPT_LIST,
	 .bare = "any",
	 .group = "Sampling",
	 .help = "of mode syscall: also the stacks of calls that fail; with names such as "
		 "ENOENT,EACCES of those that fail so",
	 .offset = FIELD(syscall_errors)},
	{.name = "syscall-stack-rate",
	 .metavar = "N",
	 .type = AP_OPT_UINT,
	 .value = "100",
	 .min = 1,
	 .max = 1000000,
	 .group = "Sampling",
	 .help = "such stacks per second and CPU, at most",
	 .offset = FIELD(syscall_stack_rate)},
	{.name = "wakers",
	 .type = AP_OPT_BOOL,
	 .group = "Sampling",
	 .help = "in mode offcpu also who ended each wait, with the stacks (types waker:*)",
	 .offset = FIELD(wakers)},
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
	{.name = "remote-control",
	 .metavar = "on|off",
	 .type = AP_OPT_ENUM,
	 .choices = on_off,
	 .value = "on",
	 .group = "Remote control",
	 .help = "whether the aggregator may change modes, rate and wait threshold for a time",
	 .offset = FIELD(remote_control)},
	{.name = "remote-max-frequency",
	 .metavar = "HZ",
	 .type = AP_OPT_UINT,
	 .value = "1000",
	 .min = 1,
	 .max = AP_FREQUENCY_MAX,
	 .group = "Remote control",
	 .help = "the highest rate that it may ask for",
	 .offset = FIELD(remote_max_frequency)},
	{.name = "remote-max-time",
	 .metavar = "TIME",
	 .type = AP_OPT_DURATION,
	 .value = "1h",
	 .min = AP_NSEC_PER_SEC,
	 .max = 86400 * AP_NSEC_PER_SEC,
	 .group = "Remote control",
	 .help = "the longest time that it may ask for; then the agent's own settings return",
	 .offset = FIELD(remote_max_time)},
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
	{.name = "config-dir",
	 .metavar = "DIR",
	 .type = AP_OPT_STRING,
	 .value = "/etc/aperture",
	 .group = "join",
	 .help = "folder for aperture.yaml, the CA and the token",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(config_dir)},
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
	.operands = "[join]",
	.max_operands = 1,
	.notes =
		"join reads a join string from standard input, which `aperture-aggregator setup` and the "
		"Agents page show, and writes the configuration to push to that aggregator.\n\n"
		"Needs root, or CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_SYSLOG, "
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

/* Waits until the daemon has something to do: 0, or the signal that asks to stop. */
static int wait_for_work(const struct ap_daemon *d, int signals)
{
	struct pollfd fds[] = {{.fd = signals, .events = POLLIN},
			       {.fd = ap_daemon_fd(d), .events = POLLIN}};
	struct signalfd_siginfo info;

	for (;;) {
		uint64_t now = ap_clock_mono_ns(), due = ap_daemon_due(d);
		struct timespec t = ap_clock_timespec(due > now ? due - now : 0);

		if (ppoll(fds, AP_ARRAY_SIZE(fds), &t, NULL) < 0)
			continue;
		if (fds[0].revents && read(signals, &info, sizeof(info)) == sizeof(info))
			return (int)info.ssi_signo;
		if (fds[1].revents || ap_clock_mono_ns() >= due)
			return 0;
	}
}

/* Works whenever there is something to do, until a signal asks to stop. */
static int run_until_signal(const struct settings *set, struct ap_daemon *d, int signals)
{
	struct ap_watch watch = {.cpu_budget = (double)set->cpu_budget / 1e3, .stride = 1};
	struct ap_error err = {0};
	int sig;

	while ((sig = wait_for_work(d, signals)) == 0) {
		ap_watch_push(&watch, d);
		if (ap_daemon_work(d, &err) < 0)
			ap_err("%s", err.msg);
		ap_watch_settings(&watch, d);
	}
	return sig;
}

/* Whether a token leaves this machine without TLS. */
static bool is_in_the_clear(const struct settings *set)
{
	struct ap_str server = ap_str_of(set->server);
	bool local = ap_str_starts(server, AP_STR("127.")) ||
		     ap_str_starts(server, AP_STR("localhost:")) ||
		     ap_str_starts(server, AP_STR("[::1]:"));

	return (set->token_file || getenv("APERTURE_TOKEN")) && !set->tls && !set->tls_ca &&
	       !set->tls_cert && !local;
}

static void announce(const struct settings *set, struct ap_daemon *d)
{
	struct ap_daemon_info info;

	ap_daemon_get_info(d, &info);
	ap_info("version " APERTURE_VERSION ": profiling %u CPUs at %u Hz, pushing to %s; agent %s "
		"epoch %llu",
		info.cpus, info.status->frequency_hz, set->server, info.agent_id,
		(unsigned long long)info.epoch);
	if (info.status->settings.error[0])
		ap_warn("%s", info.status->settings.error);
	if (info.kernel_symbols)
		ap_warn("%s", info.kernel_symbols);
	if (is_in_the_clear(set))
		ap_warn("the agent's token travels to %s in the clear: give --tls-ca, or --tls",
			set->server);
}

static int run(const struct settings *set, const struct ap_daemon_config *config)
{
	struct ap_http_server *metrics;
	struct ap_error err = {0};
	struct ap_daemon *d;
	_cleanup_fd_ int fd = -1;
	sigset_t signals;
	uint32_t left;
	int r, sig;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	/* Before any thread begins: all inherit it, and the signals come by the descriptor. */
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &signals, SFD_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "aperture-agent: cannot take signals: %s\n", ap_strerror(errno));
		return EXIT_FAILURE;
	}
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
	sig = run_until_signal(set, d, fd);
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

/* What the settings come to, once taken apart. */
struct parsed {
	struct ap_user_label labels[LABELS_MAX];
	int32_t *pids;
	struct ap_syscalls_options syscalls;
	uint32_t modes;
};

static int parse_settings(struct settings *set, struct parsed *ret, struct ap_error *err)
{
	int r = 0;

	if (set->labels.n > LABELS_MAX)
		r = ap_error_set(err, -EINVAL, "more than %d labels given", LABELS_MAX);
	for (size_t i = 0; r == 0 && i < set->labels.n; i++)
		r = ap_user_label_parse(ap_str_of(set->labels.p[i]), &ret->labels[i], err);
	if (r == 0 && set->pids.n && set->cgroup)
		r = ap_error_set(err, -EINVAL, "give only one of --pid and --cgroup");
	if (r == 0)
		r = ap_pids_parse(&set->pids, &ret->pids, err);
	if (r == 0)
		r = ap_modes_parse(&set->modes, &ret->modes, err);
	if (r == 0)
		r = ap_syscall_options_parse(&set->syscalls, &set->syscall_errors,
					     set->syscall_slow, set->syscall_stack_rate,
					     &ret->syscalls, err);
	return r;
}

static struct ap_push_security security(const struct settings *set)
{
	return (struct ap_push_security){
		.tls = set->tls,
		.ca_file = set->tls_ca,
		.cert_file = set->tls_cert,
		.key_file = set->tls_key,
		.token_file = set->token_file,
		.token = getenv("APERTURE_TOKEN"),
	};
}

static struct ap_daemon_config configuration(const struct settings *set, const struct parsed *p,
					     const struct ap_push_security *how)
{
	return (struct ap_daemon_config){
		.server = set->server,
		.security = how,
		.state_dir = set->state_dir,
		.service = set->service,
		.labels = p->labels,
		.n_labels = set->labels.n,
		.pids = p->pids,
		.n_pids = set->pids.n,
		.cgroup = set->cgroup,
		.modes = p->modes,
		.syscalls = &p->syscalls,
		.wait_threshold_ns = set->wait_threshold,
		.wakers = set->wakers,
		.frequency_hz = (uint32_t)set->frequency,
		.cpu_budget = (double)set->cpu_budget / 1e5,
		.flush_interval_ns = set->live ? LIVE_FLUSH_NS : set->flush_interval_ns,
		.queue_bytes = set->queue_bytes,
		.spool_bytes = set->spool_bytes,
		.table_bytes = set->table_bytes,
		.debuginfod_urls = (const char *const *)set->debuginfod_urls.p,
		.n_debuginfod_urls = set->debuginfod_urls.n,
		.debuginfod_cache = set->debuginfod_cache,
		.limits = {.accepted = set->remote_control == REMOTE_ON,
			   .max_frequency_hz = (uint32_t)set->remote_max_frequency,
			   .max_duration_ns = set->remote_max_time},
	};
}

int main(int argc, char **argv)
{
	struct parsed parsed = {0};
	struct settings set = {0};
	_cleanup_config_ struct ap_config cfg = {0};
	struct ap_daemon_config config;
	struct ap_push_security how;
	struct ap_error err = {0};
	int r;

	/* A few threads that allocate little: heaps of their own, and large blocks that stay in a
	 * heap once they are freed, would cost more memory than time. */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
	r = ap_config_parse(&cfg, &program, &set, argc, argv, environ, &err);
	if (r == 0 && cfg.action != AP_CONFIG_RUN)
		return ap_config_show(&cfg, STDOUT_FILENO) < 0;
	if (r == 0 && cfg.n_operands)
		return ap_agent_join(cfg.operands[0], set.config_dir);
	if (r == 0)
		r = parse_settings(&set, &parsed, &err);
	if (r < 0) {
		fprintf(stderr, "aperture-agent: %s\n", err.msg);
		free(parsed.pids);
		return AP_EXIT_USAGE;
	}
	ap_log_setup("aperture-agent", (enum ap_log_level)set.log_level,
		     (enum ap_log_format)set.log_format);
	how = security(&set);
	config = configuration(&set, &parsed, &how);
	r = run(&set, &config);
	free(parsed.pids);
	return r;
}
