/* SPDX-License-Identifier: Apache-2.0 */
/* An agent whose samples are known: identity, spool and pusher are aperture-agent's own, and what it sends is made
 * up. Before a batch goes to the spool a line of LOG tells what is in it, and after it another one that it is there:
 *
 *	i EPOCH SEQUENCE LEAF=COUNT …
 *	d EPOCH SEQUENCE
 *
 * Each leaf function is in one batch alone, so that what is stored tells of each batch by itself. Runs until it is
 * killed; on SIGTERM, or after BATCHES, it ends once all that is on disk has been acknowledged. What the spool still
 * holds of acknowledged batches is sent again at the next start. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "agent/identity.h"
#include "agent/push.h"
#include "base/clock.h"
#include "base/io.h"

#define DAY_NS	 (86400ll * (int64_t)AP_NSEC_PER_SEC)
#define DRAIN_NS (300 * AP_NSEC_PER_SEC)
#define PERIOD	 10000000u

enum { QUEUED_MAX = 400 };

static void die(const char *what, const char *why)
{
	fprintf(stderr, "spool_agent: %s: %s\n", what, why);
	exit(1);
}

static void must(int r, const char *what)
{
	if (r < 0)
		die(what, ap_strerror(r));
}

static uint32_t string(struct ap_profile *p, const char *s)
{
	uint32_t id;

	must(ap_profile_string(p, ap_str_of(s), &id), "string");
	return id;
}

static uint32_t frame(struct ap_profile *p, const char *name)
{
	const struct ap_mapping m = {.path = string(p, "/bin/app")};
	const struct ap_function fn = {.name = string(p, name)};
	struct ap_frame f = {0};
	uint32_t id;

	must(ap_profile_mapping(p, &m, &f.mapping), "mapping");
	must(ap_profile_function(p, &fn, &f.function), "function");
	f.offset = f.function * 16;
	must(ap_profile_frame(p, &f, &id), "frame");
	return id;
}

/* When a batch begins: in the last two hours, or so that a midnight is within it. */
static int64_t start_of(uint64_t random)
{
	int64_t now = ap_clock_unix_ns();

	if (random % 10 < 3)
		return now / DAY_NS * DAY_NS - 2 * (int64_t)AP_NSEC_PER_SEC;
	return now - (int64_t)(60 + random % 7140) * (int64_t)AP_NSEC_PER_SEC;
}

/* The batch of that epoch and sequence; its line is appended to `line`. */
static struct ap_profile *make(uint64_t epoch, uint64_t sequence, const char *service,
			       struct ap_buf *line)
{
	struct ap_profile *p = ap_profile_new();
	uint64_t random = (epoch * 1000003 + sequence) * 0x9e3779b97f4a7c15ull >> 20;
	struct ap_sample s = {.event = AP_EVENT_CPU};
	uint32_t frames[2], n = 2 + random % 5;

	if (!p)
		die("profile", "out of memory");
	struct ap_label label = {string(p, "service"), string(p, service)};
	must(ap_profile_labels(p, &label, 1, &s.labels), "labels");
	p->start_ns = start_of(random >> 8);
	p->end_ns = p->start_ns + (int64_t)n * (int64_t)AP_NSEC_PER_SEC;
	p->period_ns = PERIOD;
	ap_buf_printf(line, "i %llu %llu", (unsigned long long)epoch, (unsigned long long)sequence);
	frames[0] = frame(p, "main");
	for (uint32_t i = 0; i < n; i++) {
		char leaf[64];

		snprintf(leaf, sizeof(leaf), "b%llu.%llu.%u", (unsigned long long)epoch,
			 (unsigned long long)sequence, i);
		frames[1] = frame(p, leaf);
		must(ap_profile_stack(p, frames, 2, AP_REASON_OK, &s.stack), "stack");
		s.time_ns = p->start_ns + (int64_t)i * (int64_t)AP_NSEC_PER_SEC;
		s.count = 1 + (random >> i) % 9;
		s.value = s.count * PERIOD;
		must(ap_profile_add(p, &s), "sample");
		ap_buf_printf(line, " %s=%llu", leaf, (unsigned long long)s.count);
	}
	ap_buf_byte(line, '\n');
	return p;
}

struct agent {
	struct ap_identity identity;
	struct ap_pusher *pusher;
	const char *service;
	int log_fd;
};

static volatile sig_atomic_t stopping;

static void stop(int sig)
{
	stopping = 1;
}

static void tell(const struct agent *a, const struct ap_buf *line)
{
	must(ap_write_all(a->log_fd, line->p, line->n), "the log");
}

static void send_batch(struct agent *a, uint64_t sequence)
{
	static const struct ap_ledger no_losses;
	_cleanup_buf_ struct ap_buf line = {0};
	_cleanup_buf_ struct ap_buf request = {0};
	_cleanup_(ap_cleanup_profile) struct ap_profile *p =
		make(a->identity.epoch, sequence, a->service, &line);
	struct ap_batch_meta meta = {.host = "crash", .cpus = 1, .epoch = a->identity.epoch};
	struct ap_push_units units = {.periods = ap_batch_periods(p)};

	memcpy(meta.agent_id, a->identity.id, sizeof(meta.agent_id));
	meta.sequence = sequence;
	meta.start_ns = p->start_ns;
	meta.end_ns = p->end_ns;
	meta.period_ns = p->period_ns;
	must(ap_batch_encode(p, &meta, &request), "encode");
	tell(a, &line);
	must(ap_pusher_add(a->pusher, &request, &units, &no_losses), "the spool");
	ap_buf_clear(&line);
	ap_buf_printf(&line, "d %llu %llu\n", (unsigned long long)a->identity.epoch,
		      (unsigned long long)sequence);
	tell(a, &line);
}

/* No more is made than can be sent before long, on a busy machine as well. */
static void wait_for_the_queue(struct ap_pusher *p)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	struct ap_pusher_stats stats;

	for (;;) {
		ap_pusher_get_stats(p, &stats);
		if (stats.queued < QUEUED_MAX || stopping)
			return;
		nanosleep(&pause, NULL);
	}
}

int main(int argc, char **argv)
{
	struct ap_pusher_config config = {.backoff_min_ns = 20 * AP_NSEC_PER_MSEC,
					  .backoff_max_ns = 100 * AP_NSEC_PER_MSEC};
	struct ap_ledger ledger = {0};
	struct ap_error err = {0};
	struct agent a = {0};
	char spool[4096];

	if (argc != 7)
		die("usage", "SERVER STATE-DIR LOG SERVICE BATCHES PAUSE-MS");
	uint64_t batches = strtoull(argv[5], NULL, 10), pause_ms = strtoull(argv[6], NULL, 10);
	const struct timespec pause = {(time_t)(pause_ms / 1000),
				       (long)(pause_ms % 1000) * 1000000};

	a.service = argv[4];
	a.log_fd = open(argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (a.log_fd < 0 || ap_identity_open(argv[2], &a.identity, &err) < 0)
		die("state", err.msg);
	snprintf(spool, sizeof(spool), "%s/spool", argv[2]);
	config.server = argv[1];
	config.spool_dir = spool;
	config.ledger = &ledger;
	if (ap_pusher_start(&config, &a.pusher, &err) < 0)
		die("pusher", err.msg);
	printf("running\n");
	fflush(stdout);
	signal(SIGTERM, stop);
	for (uint64_t sequence = 1; sequence <= batches && !stopping; sequence++) {
		send_batch(&a, sequence);
		nanosleep(&pause, NULL);
		wait_for_the_queue(a.pusher);
	}
	ap_pusher_stop(a.pusher, DRAIN_NS);
	ap_identity_close(&a.identity);
	close(a.log_fd);
	/* What had to stay on disk has not arrived. */
	return ap_ledger_get(&ledger, AP_LEDGER_PUSH_IN) ==
			       ap_ledger_get(&ledger, AP_LEDGER_PUSH_OUT)
		       ? 0
		       : 1;
}
