/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/ingest/ingest.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define DEFAULT_RETENTION_NS (7 * 86400 * AP_NSEC_PER_SEC)
#define DEFAULT_AHEAD_NS     (600 * AP_NSEC_PER_SEC)

enum { DECODERS_MIN = 2 };

enum {
	RETRY_IN_HAND_MS = 200,
	RETRY_FULL_MS = 1000,
	RETRY_STOPPING_MS = 2000,
	RETRY_DISK_MS = 5000,
	RETRY_AGENTS_MS = 30000,
};

const double ap_ingest_bucket_seconds[AP_INGEST_BUCKETS] = {
	0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
};

struct ap_ingest {
	struct ap_ingest_config config;
	/* Batches that may be decoded at once, one a CPU. More would be no faster, and each takes some times its size until
	 * it is decoded. */
	sem_t decoders;
	pthread_mutex_t lock; /* guards stats */
	struct ap_ingest_stats stats;
};

int ap_ingest_new(const struct ap_ingest_config *config, struct ap_ingest **ret)
{
	struct ap_ingest *ing = calloc(1, sizeof(*ing));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (!ing)
		return -ENOMEM;
	sem_init(&ing->decoders, 0, (unsigned int)AP_MAX(cpus, (long)DECODERS_MIN));
	ing->config = *config;
	if (!ing->config.retention_ns)
		ing->config.retention_ns = DEFAULT_RETENTION_NS;
	if (!ing->config.ahead_ns)
		ing->config.ahead_ns = DEFAULT_AHEAD_NS;
	pthread_mutex_init(&ing->lock, NULL);
	*ret = ing;
	return 0;
}

void ap_ingest_free(struct ap_ingest *ing)
{
	if (!ing)
		return;
	pthread_mutex_destroy(&ing->lock);
	sem_destroy(&ing->decoders);
	free(ing);
}

/* One push on its way, and the ledger entry that it ends in. */
struct push {
	struct ap_profile *profile;
	struct ap_batch_meta meta;
	uint64_t periods, rows;
	enum ap_ledger_id outcome;
	struct ap_push_result *result;
};

static void answer(struct push *p, enum ap_ledger_id outcome, enum ap_push_status status,
		   enum ap_push_code code, const char *fmt, ...) AP_PRINTF(5, 6);

static void answer(struct push *p, enum ap_ledger_id outcome, enum ap_push_status status,
		   enum ap_push_code code, const char *fmt, ...)
{
	va_list ap;

	p->outcome = outcome;
	*p->result = (struct ap_push_result){.status = status, .code = code};
	va_start(ap, fmt);
	vsnprintf(p->result->text, sizeof(p->result->text), fmt, ap);
	va_end(ap);
}

static void come_back(struct push *p, uint32_t after_ms, const char *why)
{
	answer(p, AP_LEDGER_INGEST_BACKPRESSURE, AP_PUSH_BACKPRESSURE, AP_PUSH_CODE_NONE, "%s",
	       why);
	p->result->retry_after_ms = after_ms;
}

/* Whether the batch's times are acceptable at `now`. */
static bool check_times(struct ap_ingest *ing, struct push *p, int64_t now)
{
	int64_t oldest = now - (int64_t)ing->config.retention_ns;
	int64_t newest = now + (int64_t)ing->config.ahead_ns;

	if (p->meta.start_ns < oldest) {
		answer(p, AP_LEDGER_INGEST_TOO_OLD, AP_PUSH_ERROR, AP_PUSH_CODE_TOO_OLD,
		       "start_time_ns is %.1f days ago, before the retention of %.1f days",
		       (double)(now - p->meta.start_ns) / 86400e9,
		       (double)ing->config.retention_ns / 86400e9);
		return false;
	}
	if (p->meta.end_ns > newest) {
		answer(p, AP_LEDGER_INGEST_TOO_NEW, AP_PUSH_ERROR, AP_PUSH_CODE_TOO_NEW,
		       "end_time_ns is %.0f s ahead of the aggregator's clock, above the limit of "
		       "%.0f s: check the clocks of both machines",
		       (double)(p->meta.end_ns - now) / 1e9, (double)ing->config.ahead_ns / 1e9);
		return false;
	}
	return true;
}

/* Whether the agent has not pushed too much lately. */
static bool check_rate(struct ap_ingest *ing, struct push *p, size_t bytes, uint64_t mono_ns)
{
	uint32_t wait_ms = 0;

	if (ing->config.agent_limits)
		wait_ms = ap_limits_charge(ing->config.agent_limits, p->meta.agent_id, bytes,
					   mono_ns);
	if (wait_ms)
		come_back(p, wait_ms, "this agent pushes more than --agent-rate permits");
	return wait_ms == 0;
}

/* Answers a claim that failed. */
static void refuse_claim(struct push *p, int r)
{
	switch (r) {
	case -EEXIST:
		answer(p, AP_LEDGER_INGEST_DUPLICATE, AP_PUSH_DUPLICATE, AP_PUSH_CODE_NONE, "%s",
		       "");
		break;
	case -EINPROGRESS:
		come_back(p, RETRY_IN_HAND_MS, "the same batch is being taken in");
		break;
	case -ESTALE:
		answer(p, AP_LEDGER_INGEST_INVALID, AP_PUSH_ERROR, AP_PUSH_CODE_INVALID_ARGUMENT,
		       "epoch is %llu but this agent has since used %d later ones",
		       (unsigned long long)p->meta.epoch, AP_EPOCHS_MAX);
		break;
	case -ENOSPC:
		come_back(p, RETRY_AGENTS_MS, "too many agents push here: no room for a new one");
		break;
	default:
		come_back(p, RETRY_FULL_MS, "the aggregator is out of memory");
		break;
	}
}

/* Answers a batch that the buffer did not take. */
static void refuse_add(struct push *p, int r)
{
	switch (r) {
	case -EAGAIN:
		come_back(p, RETRY_FULL_MS, "the buffer is full until the store has caught up");
		break;
	case -EPIPE:
		come_back(p, RETRY_STOPPING_MS, "the aggregator is stopping");
		break;
	case -EFBIG:
		answer(p, AP_LEDGER_INGEST_INVALID, AP_PUSH_ERROR, AP_PUSH_CODE_TOO_LARGE,
		       "the batch is larger than the aggregator's whole buffer: push smaller "
		       "batches");
		break;
	default:
		come_back(p, RETRY_FULL_MS, "the aggregator is out of memory");
		break;
	}
}

/* Answers a batch that could not be written down. */
static void refuse_append(struct push *p, int r)
{
	char why[160];

	if (r == -EFBIG) {
		answer(p, AP_LEDGER_INGEST_INVALID, AP_PUSH_ERROR, AP_PUSH_CODE_TOO_LARGE,
		       "the batch is larger than a record of the write-ahead log may be: push "
		       "smaller batches");
		return;
	}
	snprintf(why, sizeof(why),
		 r == -ENOSPC ? "the write-ahead log is full until the store has caught up, or its "
				"disk is full"
			      : "the write-ahead log cannot be written: %s",
		 ap_strerror(r));
	come_back(p, RETRY_DISK_MS, why);
}

/* Puts the claimed batch into the buffer by way of the write-ahead log: whether it is there for good. */
static bool keep(struct ap_ingest *ing, struct push *p, struct ap_str request, int64_t now)
{
	_cleanup_batch_list_ struct ap_batch_list parts = {0};
	struct ap_journal_at at;
	uint64_t watermark = ap_buffer_settled(ing->config.buffer);
	int r = 0;

	if (ing->config.agent_limits)
		r = ap_limits_apply(ing->config.agent_limits, p->profile, p->meta.agent_id, now,
				    false);
	if (r == 0)
		r = ap_buffer_announce(ing->config.buffer, &p->profile, &p->meta, &parts);
	if (r < 0) {
		refuse_add(p, r);
		return false;
	}
	if (ing->config.wal)
		r = ap_wal_append(ing->config.wal, request, &parts, watermark, now, &at);
	if (r < 0) {
		p->profile = ap_buffer_withdraw(ing->config.buffer, &parts);
		refuse_append(p, r);
		return false;
	}
	ap_buffer_commit(ing->config.buffer, &parts, ing->config.wal ? &at : NULL);
	return true;
}

static void take(struct ap_ingest *ing, struct push *p, struct ap_str request, int64_t now)
{
	struct ap_agents *agents = ing->config.agents;
	int r = ap_agents_claim(agents, &p->meta, now);
	bool kept;

	if (r < 0) {
		refuse_claim(p, r);
		return;
	}
	p->rows = p->profile->samples.n;
	if (ing->config.show)
		ing->config.show(ing->config.show_ctx, p->profile, &p->meta);
	kept = keep(ing, p, request, now);
	ap_agents_settle(agents, &p->meta, kept, p->periods, now);
	if (kept)
		answer(p, AP_LEDGER_INGEST_OUT, AP_PUSH_OK, AP_PUSH_CODE_NONE, "%s", "");
}

static void count(struct ap_ingest *ing, const struct push *p, size_t bytes, uint64_t duration_ns)
{
	size_t bucket = 0;

	while (bucket < AP_INGEST_BUCKETS &&
	       (double)duration_ns / 1e9 > ap_ingest_bucket_seconds[bucket])
		bucket++;
	pthread_mutex_lock(&ing->lock);
	ing->stats.push_total[p->result->status]++;
	if (p->result->status == AP_PUSH_OK)
		ing->stats.rows += p->rows;
	ing->stats.bytes += bytes;
	ing->stats.duration_ns += duration_ns;
	ing->stats.buckets[bucket]++;
	ing->stats.ledger.count[AP_LEDGER_INGEST_IN] += p->periods;
	ing->stats.ledger.count[p->outcome] += p->periods;
	pthread_mutex_unlock(&ing->lock);
}

static int decode(struct ap_ingest *ing, struct push *p, struct ap_str request)
{
	int r;

	while (sem_wait(&ing->decoders) < 0)
		;
	r = ap_batch_decode(request, &ing->config.limits, &p->profile, &p->meta, &p->periods,
			    p->result);
	sem_post(&ing->decoders);
	return r;
}

void ap_ingest_push(struct ap_ingest *ing, struct ap_str request, struct ap_push_result *ret)
{
	struct push p = {.result = ret};
	uint64_t begin = ap_clock_mono_ns();
	int64_t now = ap_clock_unix_ns();
	int r;

	r = decode(ing, &p, request);
	if (r < 0)
		p.outcome = ret->status == AP_PUSH_BACKPRESSURE ? AP_LEDGER_INGEST_BACKPRESSURE
								: AP_LEDGER_INGEST_INVALID;
	else if (check_times(ing, &p, now) && check_rate(ing, &p, request.n, begin))
		take(ing, &p, request, now);
	if (r == 0)
		ap_agents_answer(ing->config.agents, &p.meta, now, ret);
	ap_profile_free(p.profile);
	count(ing, &p, request.n, ap_clock_mono_ns() - begin);
}

void ap_ingest_get_stats(struct ap_ingest *ing, struct ap_ingest_stats *ret)
{
	pthread_mutex_lock(&ing->lock);
	*ret = ing->stats;
	pthread_mutex_unlock(&ing->lock);
}
