/* SPDX-License-Identifier: Apache-2.0 */
/* aperture-aggregator: reads the settings, starts, waits for a signal, stops. */
#include <signal.h>
#include <stdio.h>

#include "aggregator/aggregator.h"
#include "aggregator/commands.h"
#include "aggregator/process.h"
#include "base/log.h"

#define WATCH_S 5 /* how often there is housekeeping, and changes of state are told */

struct settings {
	struct ap_aggregator_settings aggregator;
	struct ap_command_settings command;
	uint32_t log_level, log_format;
};

#define FIELD(f)   offsetof(struct settings, aggregator.f)
#define COMMAND(f) offsetof(struct settings, command.f)

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const auths[] = {"none", "token", NULL}; /* enum ap_aggregator_auth */
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
	{.name = "external-url",
	 .type = AP_OPT_STRING,
	 .metavar = "URL",
	 .group = "Network",
	 .help = "the dashboard's address in notifications, where it is not what --listen says",
	 .offset = FIELD(external_url)},
	{.name = "client-timeout",
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .value = "30s",
	 .min = 1000000000ull,
	 .max = 3600 * 1000000000ull,
	 .group = "Network",
	 .help = "time for an HTTP client to send a request, and to take any of its answer",
	 .offset = FIELD(client_timeout_ns)},
	{.name = "insecure",
	 .type = AP_OPT_BOOL,
	 .group = "Network",
	 .help = "permit addresses that other machines can reach, without TLS and authentication",
	 .offset = FIELD(insecure)},
	{.name = "agent-address",
	 .type = AP_OPT_STRING,
	 .metavar = "HOST:PORT",
	 .group = "Network",
	 .help = "what agents on other hosts are told to push to, where it is not what --grpc-listen says",
	 .offset = FIELD(agent_address)},
	{.name = "tls-cert",
	 .type = AP_OPT_STRING,
	 .metavar = "FILE",
	 .group = "Security",
	 .help = "certificate (PEM) of both ports, followed by its CA's; read again on SIGHUP",
	 .offset = FIELD(tls_cert)},
	{.name = "tls-key",
	 .type = AP_OPT_STRING,
	 .metavar = "FILE",
	 .group = "Security",
	 .help = "its key (PEM)",
	 .offset = FIELD(tls_key)},
	{.name = "tls-client-ca",
	 .type = AP_OPT_STRING,
	 .metavar = "FILE",
	 .group = "Security",
	 .help = "certificates (PEM) that vouch for clients: each client then needs one of theirs",
	 .offset = FIELD(tls_client_ca)},
	{.name = "auth",
	 .type = AP_OPT_ENUM,
	 .choices = auths,
	 .value = "none",
	 .group = "Security",
	 .help = "what is asked of who pushes, reads or changes something",
	 .offset = FIELD(auth)},
	{.name = "max-sessions",
	 .type = AP_OPT_UINT,
	 .metavar = "N",
	 .value = "256",
	 .min = 1,
	 .max = 100000,
	 .group = "Security",
	 .help = "browsers that may be logged in at the same time",
	 .offset = FIELD(max_sessions)},
	{.name = "session-time",
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .value = "12h",
	 .min = 60 * 1000000000ull,
	 .max = 30 * 86400 * 1000000000ull,
	 .group = "Security",
	 .help = "without use, a browser is logged out after it",
	 .offset = FIELD(session_ns)},
	{.name = "audit-entries",
	 .type = AP_OPT_UINT,
	 .metavar = "N",
	 .value = "100000",
	 .min = 100,
	 .max = 10000000,
	 .group = "Security",
	 .help = "what was changed by whom: the latest N are kept",
	 .offset = FIELD(audit_entries)},
	{.name = "max-message",
	 .type = AP_OPT_BYTES,
	 .metavar = "SIZE",
	 .value = "32MiB",
	 .min = 1 << 20,
	 .max = 1 << 30,
	 .group = "Limits",
	 .help = "the largest gRPC message that is taken",
	 .offset = FIELD(max_message)},
	{.name = "max-body",
	 .type = AP_OPT_BYTES,
	 .metavar = "SIZE",
	 .value = "1MiB",
	 .min = 64 << 10,
	 .max = 64 << 20,
	 .group = "Limits",
	 .help = "the largest body of a REST request, where its route sets none",
	 .offset = FIELD(max_body)},
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
	 .help = "how long samples are kept as they came, to the day",
	 .offset = FIELD(retention_ns)},
	{.name = "retention-hourly",
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .value = "90d",
	 .min = 3600 * 1000000000ull,
	 .max = 400 * 86400 * 1000000000ull,
	 .group = "Storage",
	 .help = "how long their sums by hour are kept, at least as long as samples",
	 .offset = FIELD(retention_hourly_ns)},
	{.name = "retention-daily",
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .value = "400d",
	 .min = 3600 * 1000000000ull,
	 .max = 400 * 86400 * 1000000000ull,
	 .group = "Storage",
	 .help = "how long their sums by day are kept, at least as long as those by hour",
	 .offset = FIELD(retention_daily_ns)},
	{.name = "rollup-interval",
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .value = "1h",
	 .min = 1000000000ull,
	 .max = 24 * 3600 * 1000000000ull,
	 .group = "Storage",
	 .help = "how often what has come is summed up by hour; by day it is 24 times as rarely",
	 .offset = FIELD(rollup_interval_ns)},
	{.name = "disk-budget",
	 .type = AP_OPT_BYTES,
	 .metavar = "SIZE",
	 .value = "0",
	 .max = 1ull << 50,
	 .group = "Storage",
	 .help = "disk for all that is stored; when it is used up, oldest days go; 0 = --disk-share",
	 .offset = FIELD(disk_budget_bytes)},
	{.name = "disk-share",
	 .type = AP_OPT_PERCENT,
	 .metavar = "PERCENT",
	 .value = "20%",
	 .max = 100000,
	 .group = "Storage",
	 .help = "the same as a share of the data folder's file system; 0 = no bound",
	 .offset = FIELD(disk_share)},
	{.name = "disk-free",
	 .type = AP_OPT_PERCENT,
	 .metavar = "PERCENT",
	 .value = "5%",
	 .max = 100000,
	 .group = "Storage",
	 .help = "what of that file system is left free, whatever the budget; 0 = no bound",
	 .offset = FIELD(disk_free_share)},
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
	 .value = "64MiB",
	 .min = 1 << 20,
	 .max = 1ull << 40,
	 .group = "Storage",
	 .help = "memory for what has arrived; what exceeds it is on disk alone until it is stored",
	 .offset = FIELD(buffer_bytes)},
	{.name = "wal-bytes",
	 .type = AP_OPT_BYTES,
	 .metavar = "SIZE",
	 .value = "1GiB",
	 .min = 16 << 20,
	 .max = 1ull << 44,
	 .group = "Storage",
	 .help = "disk for what has arrived and is not stored yet; when it is full, agents wait",
	 .offset = FIELD(wal_bytes)},
	{.name = "query-concurrency",
	 .type = AP_OPT_UINT,
	 .metavar = "N",
	 .value = "4",
	 .min = 1,
	 .max = 32,
	 .group = "Queries",
	 .help = "queries that run at once",
	 .offset = FIELD(query.concurrency)},
	{.name = "query-queue",
	 .type = AP_OPT_UINT,
	 .metavar = "N",
	 .value = "16",
	 .min = 1,
	 .max = 64,
	 .group = "Queries",
	 .help = "queries that wait for one of those to end; further ones are told to come again",
	 .offset = FIELD(query.queue)},
	{.name = "query-timeout",
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .value = "30s",
	 .min = 100 * 1000000ull,
	 .max = 3600 * 1000000000ull,
	 .group = "Queries",
	 .help = "how long a query may run",
	 .offset = FIELD(query.timeout_ns)},
	{.name = "query-memory",
	 .type = AP_OPT_BYTES,
	 .metavar = "SIZE",
	 .value = "512MiB",
	 .min = 16 << 20,
	 .max = 1ull << 40,
	 .group = "Queries",
	 .help = "memory that a query may take in the store, and as much here for its sums",
	 .offset = FIELD(query.memory)},
	{.name = "chdb-library",
	 .type = AP_OPT_STRING,
	 .metavar = "FILE",
	 .group = "Storage",
	 .help = "libchdb.so, where it is not beside the program",
	 .offset = FIELD(chdb_library)},
	{.name = "clickhouse-url",
	 .type = AP_OPT_STRING,
	 .metavar = "URL",
	 .group = "ClickHouse server",
	 .help = "keep profiles in this ClickHouse server, http://HOST:8123 or https://HOST:8443, "
		 "in place of the embedded one",
	 .offset = FIELD(clickhouse.url)},
	{.name = "clickhouse-user",
	 .type = AP_OPT_STRING,
	 .metavar = "NAME",
	 .group = "ClickHouse server",
	 .help = "its user; without, the server's default",
	 .offset = FIELD(clickhouse.user)},
	{.name = "clickhouse-password-file",
	 .type = AP_OPT_STRING,
	 .metavar = "FILE",
	 .group = "ClickHouse server",
	 .help = "file that holds the user's password in one line",
	 .offset = FIELD(clickhouse.password_file)},
	{.name = "clickhouse-database",
	 .type = AP_OPT_STRING,
	 .metavar = "NAME",
	 .value = "aperture",
	 .group = "ClickHouse server",
	 .help = "the database, made where it is missing",
	 .offset = FIELD(clickhouse.database)},
	{.name = "clickhouse-cluster",
	 .type = AP_OPT_STRING,
	 .metavar = "NAME",
	 .group = "ClickHouse server",
	 .help = "spread profiles over the shards of this cluster, one of the server's "
		 "<remote_servers>",
	 .offset = FIELD(clickhouse.cluster)},
	{.name = "clickhouse-hold",
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .value = "2m",
	 .max = 3600 * 1000000000ull,
	 .group = "ClickHouse server",
	 .help = "how long the write-ahead log keeps what a server has stored that does not sync it "
		 "to disk itself (one without the setting fsync_after_insert)",
	 .offset = FIELD(clickhouse.hold_ns)},
	{.name = "clickhouse-ca",
	 .type = AP_OPT_STRING,
	 .metavar = "FILE",
	 .group = "ClickHouse server",
	 .help = "certificates (PEM) that vouch for the server; without, the system's",
	 .offset = FIELD(clickhouse.ca_file)},
	{.name = "clickhouse-cert",
	 .type = AP_OPT_STRING,
	 .metavar = "FILE",
	 .group = "ClickHouse server",
	 .help = "this program's certificate (PEM), where the server asks for one",
	 .offset = FIELD(clickhouse.cert_file)},
	{.name = "clickhouse-key",
	 .type = AP_OPT_STRING,
	 .metavar = "FILE",
	 .group = "ClickHouse server",
	 .help = "its key (PEM)",
	 .offset = FIELD(clickhouse.key_file)},
	{.name = "agent-rate",
	 .type = AP_OPT_BYTES,
	 .metavar = "SIZE",
	 .value = "64MiB",
	 .max = 1ull << 40,
	 .group = "Limits",
	 .help = "what one agent may push in a second; beyond it has to come again; 0: no limit",
	 .offset = FIELD(agent_rate)},
	{.name = "max-label-values",
	 .type = AP_OPT_UINT,
	 .metavar = "N",
	 .value = "50000",
	 .min = 1,
	 .max = 1000000,
	 .group = "Limits",
	 .help = "distinct values of one label from one agent in an hour; others become (other)",
	 .offset = FIELD(max_label_values)},
	{.name = "max-labels",
	 .type = AP_OPT_UINT,
	 .metavar = "N",
	 .value = "64",
	 .min = 12,
	 .max = 128,
	 .group = "Limits",
	 .help = "labels of one row; others are left out",
	 .offset = FIELD(max_labels)},
	{.name = "role",
	 .type = AP_OPT_ENUM,
	 .metavar = "ROLE",
	 .choices = ap_command_roles,
	 .value = "read",
	 .group = "token create",
	 .help = "what the token permits",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = COMMAND(role)},
	{.name = "expires",
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .max = 10ull * 366 * 86400 * 1000000000,
	 .group = "token create",
	 .help = "it ends after that time (default: it does not)",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = COMMAND(expires_ns)},
	{.name = "host",
	 .type = AP_OPT_LIST,
	 .metavar = "NAME",
	 .group = "setup",
	 .help = "a name or address that other hosts reach this one by; the first one is what they are told",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = COMMAND(hosts)},
	{.name = "config-dir",
	 .type = AP_OPT_STRING,
	 .metavar = "DIR",
	 .value = "/etc/aperture",
	 .group = "setup",
	 .help = "folder for aperture.yaml, the CA and the first token",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = COMMAND(config_dir)},
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
	.operands = "[setup | token ACTION [NAME]]",
	.notes =
		"setup makes a CA, a certificate, tokens and the configuration for other hosts to push "
		"here, and says what to do on them. token create NAME, token list and token revoke NAME "
		"work on the tokens of --data-dir, also while the aggregator runs.\n\n"
		"SIGTERM and SIGINT stop it once everything is stored; a second one at once. SIGHUP "
		"reads certificates and keys again.",
	.max_operands = 3,
	.options = options,
	.n_options = AP_ARRAY_SIZE(options),
	.file_optional = true,
};

/* Something that may fail for a while: logs when it begins to, and when it works again. */
struct watch {
	bool (*error)(struct ap_aggregator *a, char *buf, size_t cap);
	const char *what;
	bool failing;
};

static void look_at(struct ap_aggregator *a, struct watch *w)
{
	char msg[480];
	bool now = w->error(a, msg, sizeof(msg));

	if (now && !w->failing)
		ap_warn("%s does not work, trying again: %s", w->what, msg);
	else if (!now && w->failing)
		ap_info("%s works again", w->what);
	w->failing = now;
}

/* Logs what more is lost of the write-ahead log since `told`. */
static void look_at_log(struct ap_aggregator *a, char told[static 480])
{
	char msg[480];

	if (!ap_aggregator_log_damage(a, msg, sizeof(msg)) || strcmp(msg, told) == 0)
		return;
	ap_err("%s", msg);
	memcpy(told, msg, sizeof(msg));
}

static void reload(struct ap_aggregator *a)
{
	struct ap_error err = {0};

	if (ap_aggregator_reload(a, &err) < 0)
		ap_err("SIGHUP: new connections go on with the certificate from before: %s",
		       err.msg);
	else
		ap_info("SIGHUP: certificates and keys were read again");
}

static void log_audit(const struct ap_audit_entry *e)
{
	ap_info("audit: %s%s%s by %s from %s: %u", e->action, e->target[0] ? " " : "", e->target,
		e->who, e->from[0] ? e->from : "the command line", e->status);
}

/* Until a signal asks to stop. */
static void wait_for_signal(struct ap_aggregator *a, const sigset_t *signals)
{
	const struct timespec period = {.tv_sec = WATCH_S};
	char damage[480] = "";
	struct watch watches[] = {
		{ap_aggregator_store_error, "the store", false},
		{ap_aggregator_log_full, "taking in what agents push", false},
		{ap_aggregator_alerts_error, "saving the state of alerts", false},
		{ap_aggregator_deploys_error, "saving deploys", false},
	};
	char dropped[480];
	int sig = 0;

	do {
		if (sig == SIGHUP)
			reload(a);
		ap_aggregator_tick(a);
		look_at_log(a, damage);
		for (size_t i = 0; i < AP_ARRAY_SIZE(watches); i++)
			look_at(a, &watches[i]);
		if (ap_aggregator_dropped(a, dropped, sizeof(dropped)))
			ap_warn("%s", dropped);
	} while ((sig = sigtimedwait(signals, NULL, &period)) < 0 || sig == SIGHUP);
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
	sigaddset(&signals, SIGHUP);
	/* Before any thread begins: all inherit it, and the signals wait for sigtimedwait(). */
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	ap_process_prepare();
	if (ap_aggregator_start(&set->aggregator, &a, &err) < 0) {
		fprintf(stderr, "aperture-aggregator: %s\n", err.msg);
		return EXIT_FAILURE;
	}
	ap_info("version " APERTURE_VERSION ", store %s, agents push to %s",
		ap_aggregator_store_name(a), ap_aggregator_agent_address(a));
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

/* What is not said is left to the command: what the aggregator itself would take is for this machine alone. */
static int run_command(struct settings *set, const struct ap_config *cfg)
{
	struct ap_command_settings *c = &set->command;

	c->data_dir = set->aggregator.data_dir;
	if (ap_config_origin(cfg, "listen") != AP_CONFIG_DEFAULT)
		c->listen = set->aggregator.listen;
	if (ap_config_origin(cfg, "grpc-listen") != AP_CONFIG_DEFAULT)
		c->grpc_listen = set->aggregator.grpc_listen;
	if (strcmp(cfg->operands[0], "token") == 0)
		return ap_command_token(c, cfg->operands + 1, cfg->n_operands - 1);
	if (strcmp(cfg->operands[0], "setup") == 0 && cfg->n_operands == 1)
		return ap_command_setup(c);
	fprintf(stderr,
		"aperture-aggregator: '%s' is neither setup nor token (--help shows usage)\n",
		cfg->operands[0]);
	return AP_EXIT_USAGE;
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
	if (cfg.n_operands)
		return run_command(&set, &cfg);
	set.aggregator.on_audit = log_audit;
	ap_log_setup("aperture-aggregator", (enum ap_log_level)set.log_level,
		     (enum ap_log_format)set.log_format);
	return run(&set);
}
