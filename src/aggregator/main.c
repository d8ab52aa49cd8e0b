/* SPDX-License-Identifier: Apache-2.0 */
/* aperture-aggregator: reads the settings, starts, waits for a signal, stops. */
#include <signal.h>
#include <stdio.h>

#include "aggregator/aggregator.h"
#include "base/log.h"

#define WATCH_S 5 /* how often the store's state is looked at, to tell of changes */

struct settings {
	struct ap_aggregator_settings aggregator;
	uint32_t log_level, log_format;
};

#define FIELD(f) offsetof(struct settings, aggregator.f)

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"logfmt", "json", NULL};

static const struct ap_option options[] = {
	{.name = "listen",
	 .type = AP_OPT_STRING,
	 .metavar = "HOST:PORT",
	 .value = "127.0.0.1:9090",
	 .group = "Network",
	 .help = "address of the dashboard, the REST API and /metrics",
	 .offset = FIELD(listen)},
	{.name = "grpc-listen",
	 .type = AP_OPT_STRING,
	 .metavar = "HOST:PORT",
	 .value = "127.0.0.1:50051",
	 .group = "Network",
	 .help = "address that agents push to",
	 .offset = FIELD(grpc_listen)},
	{.name = "host-name",
	 .type = AP_OPT_LIST,
	 .metavar = "NAME",
	 .group = "Network",
	 .help = "further names that browsers may reach this machine's loopback address by",
	 .offset = FIELD(host_names)},
	{.name = "insecure",
	 .type = AP_OPT_BOOL,
	 .group = "Network",
	 .help = "permit addresses that other machines can reach, without authentication",
	 .offset = FIELD(insecure)},
	{.name = "data-dir",
	 .type = AP_OPT_STRING,
	 .metavar = "DIR",
	 .value = "/var/lib/aperture/aggregator",
	 .group = "Storage",
	 .help = "folder that holds the profiles",
	 .offset = FIELD(data_dir)},
	{.name = "retention",
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .value = "7d",
	 .min = 3600 * 1000000000ull,
	 .max = 400 * 86400 * 1000000000ull,
	 .group = "Storage",
	 .help = "how long profiles are kept, to the day",
	 .offset = FIELD(retention_ns)},
	{.name = "flush-interval",
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .value = "2s",
	 .min = 10 * 1000000ull,
	 .max = 60 * 1000000000ull,
	 .group = "Storage",
	 .help = "how often what has arrived is written to the store",
	 .offset = FIELD(flush_interval_ns)},
	{.name = "buffer-bytes",
	 .type = AP_OPT_BYTES,
	 .metavar = "SIZE",
	 .value = "256MiB",
	 .min = 1 << 20,
	 .max = 1ull << 40,
	 .group = "Storage",
	 .help = "memory for what has arrived; when it is full, agents wait",
	 .offset = FIELD(buffer_bytes)},
	{.name = "chdb-library",
	 .type = AP_OPT_STRING,
	 .metavar = "FILE",
	 .group = "Storage",
	 .help = "libchdb.so, where it is not beside the program",
	 .offset = FIELD(chdb_library)},
	{.name = "ui-dir",
	 .type = AP_OPT_STRING,
	 .metavar = "DIR",
	 .group = "Other",
	 .help = "the dashboard's files, where they are not beside the program",
	 .offset = FIELD(ui_dir)},
	{.name = "ports-file",
	 .type = AP_OPT_STRING,
	 .metavar = "FILE",
	 .group = "Other",
	 .help = "written when ready: the ports as JSON, for port 0",
	 .offset = FIELD(ports_file)},
	{.name = "log-level",
	 .type = AP_OPT_ENUM,
	 .choices = log_levels,
	 .value = "info",
	 .group = "Other",
	 .help = "the least that is logged",
	 .offset = offsetof(struct settings, log_level)},
	{.name = "log-format",
	 .type = AP_OPT_ENUM,
	 .choices = log_formats,
	 .value = "logfmt",
	 .group = "Other",
	 .help = "form of the log on standard error",
	 .offset = offsetof(struct settings, log_format)},
};

static const struct ap_program program = {
	.name = "aperture-aggregator",
	.section = "aggregator",
	.summary = "takes in profiles from agents, keeps them, and serves the dashboard",
	.notes = "SIGTERM and SIGINT stop it once everything is stored; a second one at once.",
	.options = options,
	.n_options = AP_ARRAY_SIZE(options),
	.file_optional = true,
};

/* Logs when writing to the store begins to fail, and when it works again. */
static void watch_store(struct ap_aggregator *a, bool *failing)
{
	char msg[480];
	bool now = ap_aggregator_store_error(a, msg, sizeof(msg));

	if (now && !*failing)
		ap_warn("the store does not do its work, trying again: %s", msg);
	else if (!now && *failing)
		ap_info("the store works again");
	*failing = now;
}

/* Until a signal asks to stop. */
static void wait_for_signal(struct ap_aggregator *a, const sigset_t *signals)
{
	const struct timespec period = {.tv_sec = WATCH_S};
	bool failing = false;
	int sig;

	while ((sig = sigtimedwait(signals, NULL, &period)) < 0)
		watch_store(a, &failing);
	ap_info("%s: storing what has arrived, then stopping", sigabbrev_np(sig));
}

static int run(const struct settings *set)
{
	struct ap_aggregator *a;
	struct ap_error err = {0};
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	/* Before any thread begins: all inherit it, and the signals wait for sigtimedwait(). */
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (ap_aggregator_start(&set->aggregator, &a, &err) < 0) {
		fprintf(stderr, "aperture-aggregator: %s\n", err.msg);
		return EXIT_FAILURE;
	}
	ap_info("version " APERTURE_VERSION ", store %s in %s, agents push to %s",
		ap_aggregator_store_version(a), set->aggregator.data_dir,
		ap_aggregator_agent_address(a));
	if (ap_aggregator_ui_error(a))
		ap_warn("no dashboard: %s", ap_aggregator_ui_error(a));
	printf("Dashboard: %s\n", ap_aggregator_url(a));
	fflush(stdout);
	wait_for_signal(a, &signals);
	pthread_sigmask(SIG_UNBLOCK, &signals, NULL); /* a second one ends the process */
	if (ap_aggregator_stop(a, &err) < 0) {
		ap_err("%s", err.msg);
		return EXIT_FAILURE;
	}
	ap_info("stopped");
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct settings set = {0};
	_cleanup_config_ struct ap_config cfg = {0};
	struct ap_error err = {0};

	if (ap_config_parse(&cfg, &program, &set, argc, argv, environ, &err) < 0) {
		fprintf(stderr, "aperture-aggregator: %s\n", err.msg);
		return AP_EXIT_USAGE;
	}
	if (cfg.action != AP_CONFIG_RUN)
		return ap_config_show(&cfg, STDOUT_FILENO) < 0;
	ap_log_setup("aperture-aggregator", (enum ap_log_level)set.log_level,
		     (enum ap_log_format)set.log_format);
	return run(&set);
}
