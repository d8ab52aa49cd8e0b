/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/push.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "wire/client.h"

#define METHOD_PUSH "/aperture.aggregator.v1.Aggregator/Push"

enum {
	DEFAULT_QUEUE_BYTES = 32 << 20,
	EXHAUSTED_TRIES =
		5, /* RESOURCE_EXHAUSTED so often: the message is too large, not the load */
};

#define DEFAULT_CALL_NS	       (10 * AP_NSEC_PER_SEC)
#define DEFAULT_BACKOFF_MIN_NS (AP_NSEC_PER_SEC / 2)
#define DEFAULT_BACKOFF_MAX_NS (4 * AP_NSEC_PER_SEC)

struct item {
	struct item *next;
	struct ap_buf request;	  /* empty: on disk alone */
	struct ap_spooled batch;  /* at.number 0: in memory alone */
	struct ap_ledger *deltas; /* that travel in it; NULL: on disk */
	uint32_t exhausted;	  /* tries that ended in RESOURCE_EXHAUSTED */
};

struct ap_pusher {
	struct ap_pusher_config config;
	struct ap_client *client;
	struct ap_spool *spool; /* NULL: none */
	pthread_t thread;
	pthread_mutex_t lock;	/* guards all below */
	pthread_cond_t changed; /* an item came or went, or the pusher stops */
	struct item *first, **last;
	bool sending; /* the first item is in the thread's hands */
	bool draining, stopping;
	struct ap_ledger lost; /* deltas of lost batches, until reclaimed */
	struct ap_pusher_stats stats;
	uint64_t random; /* the thread's own */
};

static void item_free(struct item *i)
{
	ap_buf_free(&i->request);
	free(i->deltas);
	free(i);
}

/* Takes `i`, whose link is `*at`, out of the queue. With the lock held. */
static void unlink_item(struct ap_pusher *p, struct item **at)
{
	struct item *i = *at;

	*at = i->next;
	if (!*at)
		p->last = at;
	p->stats.queued--;
	p->stats.queued_bytes -= i->batch.bytes;
	p->stats.memory_bytes -= i->request.n;
	pthread_cond_broadcast(&p->changed);
}

/* The stage of system calls has the entries of stage "push" in the same order. */
#define CALLS(id) ((enum ap_ledger_id)((id) + (AP_LEDGER_SYSCALL_PUSH_IN - AP_LEDGER_PUSH_IN)))
_Static_assert(CALLS(AP_LEDGER_PUSH_DAMAGED) == AP_LEDGER_SYSCALL_PUSH_DAMAGED, "same order");

static void count(struct ap_pusher *p, const struct item *i, enum ap_ledger_id id)
{
	ap_ledger_add(p->config.ledger, id, i->batch.units.periods);
	ap_ledger_add(p->config.ledger, CALLS(id), i->batch.units.calls);
}

/* The batch has ended. */
static void discard(struct ap_pusher *p, struct item *i)
{
	if (i->batch.at.number)
		ap_spool_done(p->spool, &i->batch.at);
	item_free(i);
}

/* Counts the end of a batch that did not arrive, and keeps its deltas for the next one. */
static void lose(struct ap_pusher *p, struct item *i, enum ap_ledger_id why)
{
	count(p, i, why);
	if (!i->deltas) /* what cannot be read of them is lost too */
		ap_spool_read(p->spool, &i->batch.at, NULL, &p->lost);
	for (uint32_t id = 0; i->deltas && id < AP_LEDGER_MAX; id++)
		p->lost.count[id] += i->deltas->count[id];
	discard(p, i);
}

/* Waits for `changed`, at most until the deadline; false when it has passed. */
static bool wait_until(struct ap_pusher *p, uint64_t mono_ns)
{
	struct timespec t = {.tv_sec = (time_t)(mono_ns / AP_NSEC_PER_SEC),
			     .tv_nsec = (long)(mono_ns % AP_NSEC_PER_SEC)};

	if (mono_ns == UINT64_MAX)
		return pthread_cond_wait(&p->changed, &p->lock) == 0;
	return pthread_cond_timedwait(&p->changed, &p->lock, &t) != ETIMEDOUT;
}

/* Between half of `ns` and all of it. */
static uint64_t jitter(struct ap_pusher *p, uint64_t ns)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return ns / 2 + p->random % (ns / 2 + 1);
}

/* Waits before another try; the beginning of a stop cuts it short. With the lock held. */
static void back_off(struct ap_pusher *p, uint64_t ns)
{
	bool draining = p->draining;
	uint64_t until = ap_clock_mono_ns() + jitter(p, draining ? p->config.backoff_min_ns : ns);

	p->stats.retries++;
	while (!p->stopping && p->draining == draining && ap_clock_mono_ns() < until)
		wait_until(p, until);
}

/* One try, without the lock. 0 and `*ret`, or a negative errno with `why`. */
static int try_push(struct ap_pusher *p, struct item *i, struct ap_str request,
		    struct ap_push_result *ret, char why[static 256])
{
	_cleanup_buf_ struct ap_buf reply = {0};
	struct ap_rpc_status status;
	int r = ap_client_call(p->client, METHOD_PUSH, request, p->config.call_timeout_ns, &reply,
			       &status);

	if (r == 0 && status.code != AP_RPC_OK) {
		snprintf(why, 256, "%s: %s", ap_rpc_code_name(status.code), status.text);
		if (status.code == AP_RPC_RESOURCE_EXHAUSTED && ++i->exhausted == EXHAUSTED_TRIES) {
			*ret = (struct ap_push_result){.status = AP_PUSH_ERROR,
						       .code = AP_PUSH_CODE_TOO_LARGE};
			snprintf(ret->text, sizeof(ret->text), "%.255s", why);
			return 0;
		}
		return -EIO;
	}
	if (r == 0)
		r = ap_push_result_decode(ap_buf_view(&reply), ret);
	if (r == 0 && ret->has_settings && p->config.on_settings)
		p->config.on_settings(p->config.ctx, ret->config_version, &ret->settings);
	if (r < 0)
		snprintf(why, 256, "%s", ap_strerror(r));
	return r;
}

/* Ends the first item as the aggregator said; false where it has to be sent again. With the lock
 * held. */
static bool settle(struct ap_pusher *p, const struct ap_push_result *result)
{
	struct item *i = p->first;

	switch (result->status) {
	case AP_PUSH_DUPLICATE:
		p->stats.duplicates++;
		__attribute__((fallthrough));
	case AP_PUSH_OK:
		p->stats.pushed++;
		p->stats.sent_bytes += i->batch.bytes;
		p->stats.last_error[0] = '\0';
		count(p, i, AP_LEDGER_PUSH_OUT);
		unlink_item(p, &p->first);
		discard(p, i);
		return true;
	case AP_PUSH_BACKPRESSURE:
		snprintf(p->stats.last_error, sizeof(p->stats.last_error), "%.255s", result->text);
		return false;
	default:
		p->stats.refused++;
		p->stats.last_error[0] = '\0';
		snprintf(p->stats.last_refusal, sizeof(p->stats.last_refusal), "%.255s",
			 result->text);
		unlink_item(p, &p->first);
		lose(p, i, AP_LEDGER_PUSH_REFUSED);
		return true;
	}
}

/* Sends the first item. With the lock held, which it gives up meanwhile. -EBADMSG: it cannot be read back. */
static int send_first(struct ap_pusher *p, struct ap_push_result *ret, char why[static 256])
{
	_cleanup_buf_ struct ap_buf read = {0};
	struct item *i = p->first;
	int r = 0;

	p->sending = true;
	pthread_mutex_unlock(&p->lock);
	if (!i->request.n && i->batch.bytes)
		r = ap_spool_read(p->spool, &i->batch.at, &read, NULL) < 0 ? -EBADMSG : 0;
	if (r == 0)
		r = try_push(p, i, ap_buf_view(read.n ? &read : &i->request), ret, why);
	pthread_mutex_lock(&p->lock);
	p->sending = false;
	return r;
}

static void *push_thread(void *arg)
{
	struct ap_pusher *p = arg;
	uint64_t wait = p->config.backoff_min_ns;

	pthread_mutex_lock(&p->lock);
	while (!p->stopping) {
		struct ap_push_result result = {0};
		char why[256];
		int r;

		if (!p->first) {
			wait_until(p, UINT64_MAX);
			continue;
		}
		r = send_first(p, &result, why);
		if (r == -EBADMSG) {
			struct item *i = p->first;

			ap_spool_set_aside(p->spool, &i->batch.at);
			unlink_item(p, &p->first);
			lose(p, i, AP_LEDGER_PUSH_DAMAGED);
			continue;
		}
		p->stats.connected = r == 0;
		if (r < 0) {
			memcpy(p->stats.last_error, why, sizeof(why));
			back_off(p, wait);
			wait = AP_MIN(wait * 2, p->config.backoff_max_ns);
		} else {
			wait = p->config.backoff_min_ns;
			if (!settle(p, &result))
				back_off(p, AP_MAX(wait, result.retry_after_ms * AP_NSEC_PER_MSEC));
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void set_defaults(struct ap_pusher_config *c)
{
	c->max_queue_bytes = c->max_queue_bytes ? c->max_queue_bytes : DEFAULT_QUEUE_BYTES;
	c->call_timeout_ns = c->call_timeout_ns ? c->call_timeout_ns : DEFAULT_CALL_NS;
	c->backoff_min_ns = c->backoff_min_ns ? c->backoff_min_ns : DEFAULT_BACKOFF_MIN_NS;
	c->backoff_max_ns = c->backoff_max_ns ? c->backoff_max_ns : DEFAULT_BACKOFF_MAX_NS;
}

static void free_items(struct ap_pusher *p)
{
	while (p->first) {
		struct item *i = p->first;

		unlink_item(p, &p->first);
		item_free(i);
	}
}

static void release(struct ap_pusher *p)
{
	ap_client_free(p->client);
	ap_spool_close(p->spool);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* Puts an item at the end. With the lock held. */
static void link_item(struct ap_pusher *p, struct item *i)
{
	count(p, i, AP_LEDGER_PUSH_IN);
	*p->last = i;
	p->last = &i->next;
	p->stats.queued++;
	p->stats.queued_bytes += i->batch.bytes;
	p->stats.memory_bytes += i->request.n;
	pthread_cond_broadcast(&p->changed);
}

static int take_left(void *ctx, const struct ap_spooled *batch)
{
	struct item *i = calloc(1, sizeof(*i));

	if (!i)
		return -ENOMEM;
	i->batch = *batch;
	link_item(ctx, i);
	return 0;
}

int ap_pusher_start(const struct ap_pusher_config *config, struct ap_pusher **ret,
		    struct ap_error *err)
{
	const struct ap_push_security none = {0},
				      *how = config->security ? config->security : &none;
	const struct ap_client_config client = {.target = config->server,
						.tls = how->tls,
						.ca_file = how->ca_file,
						.cert_file = how->cert_file,
						.key_file = how->key_file,
						.token_file = how->token_file,
						.token = how->token};
	struct ap_pusher *p = calloc(1, sizeof(*p));
	pthread_condattr_t attr;
	int r;

	if (!p)
		return -ENOMEM;
	p->config = *config;
	p->config.server = p->config.spool_dir = NULL; /* need not outlive the call */
	p->config.security = NULL;
	set_defaults(&p->config);
	p->last = &p->first;
	if (getrandom(&p->random, sizeof(p->random), GRND_NONBLOCK) != sizeof(p->random))
		p->random = ap_clock_mono_ns();
	p->random |= 1;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->changed, &attr);
	pthread_condattr_destroy(&attr);
	r = ap_client_new(&client, &p->client, err);
	if (r == 0 && config->spool_dir)
		r = ap_spool_open(config->spool_dir, config->spool_bytes, take_left, p, &p->spool,
				  err);
	if (r == 0) {
		r = -pthread_create(&p->thread, NULL, push_thread, p);
		if (r < 0)
			ap_error_set(err, r, "cannot start the pusher's thread: %s",
				     ap_strerror(r));
	}
	if (r < 0) {
		free_items(p);
		release(p);
		return r;
	}
	*ret = p;
	return 0;
}

/* The first item that is not being sent and that `fits`; NULL: there is none. With the lock held. */
static struct item **oldest(struct ap_pusher *p, bool (*fits)(const struct item *i))
{
	struct item **at = p->sending ? &p->first->next : &p->first;

	while (*at && !fits(*at))
		at = &(*at)->next;
	return *at ? at : NULL;
}

static bool is_on_disk(const struct item *i)
{
	return i->batch.at.number != 0;
}

static bool is_in_memory(const struct item *i)
{
	return i->request.n != 0;
}

static void drop(struct ap_pusher *p, struct item **at)
{
	struct item *i = *at;

	unlink_item(p, at);
	p->stats.dropped++;
	lose(p, i, AP_LEDGER_PUSH_QUEUE_FULL);
}

/* Makes room in memory: what is on disk may leave it, the oldest of what is not has to go. With the lock
 * held. */
static void make_room(struct ap_pusher *p, size_t bytes)
{
	struct item **at;

	while (p->stats.memory_bytes + bytes > p->config.max_queue_bytes &&
	       (at = oldest(p, is_in_memory)) != NULL) {
		if (is_on_disk(*at)) {
			p->stats.memory_bytes -= (*at)->request.n;
			ap_buf_free(&(*at)->request);
		} else {
			drop(p, at);
		}
	}
}

/* Puts the batch on disk, where the oldest make way for it. Where that fails, it is in memory alone. */
static void spool(struct ap_pusher *p, struct item *i, struct ap_str request)
{
	bool dropped = true;
	int r;

	for (;;) {
		r = ap_spool_add(p->spool, request, i->deltas, &i->batch);
		if (r != -E2BIG || !dropped)
			break;
		pthread_mutex_lock(&p->lock);
		dropped = oldest(p, is_on_disk) != NULL;
		if (dropped)
			drop(p, oldest(p, is_on_disk));
		pthread_mutex_unlock(&p->lock);
	}
	pthread_mutex_lock(&p->lock);
	p->stats.spool_error[0] = '\0';
	if (r < 0) {
		i->batch.at.number = 0;
		snprintf(p->stats.spool_error, sizeof(p->stats.spool_error), "%s", ap_strerror(r));
	} else {
		free(AP_TAKE_PTR(i->deltas));
	}
	pthread_mutex_unlock(&p->lock);
}

static struct item *item_new(const struct ap_push_units *units, const struct ap_ledger *deltas,
			     size_t bytes)
{
	struct item *i = calloc(1, sizeof(*i));

	if (!i)
		return NULL;
	i->deltas = malloc(sizeof(*i->deltas));
	if (!i->deltas) {
		free(i);
		return NULL;
	}
	*i->deltas = *deltas;
	i->batch = (struct ap_spooled){.units = *units, .bytes = bytes};
	return i;
}

int ap_pusher_add(struct ap_pusher *p, struct ap_buf *request, const struct ap_push_units *units,
		  const struct ap_ledger *deltas)
{
	struct item *i = item_new(units, deltas, request->n);
	int r = 0;

	if (!i)
		return -ENOMEM;
	if (p->spool)
		spool(p, i, ap_buf_view(request));
	pthread_mutex_lock(&p->lock);
	if (p->draining || p->stopping) {
		discard(p, i);
		r = -EPIPE;
	} else if (request->n > p->config.max_queue_bytes && !is_on_disk(i)) {
		count(p, i, AP_LEDGER_PUSH_IN);
		p->stats.dropped++;
		lose(p, i, AP_LEDGER_PUSH_QUEUE_FULL);
		r = -EFBIG;
	} else {
		if (request->n <= p->config.max_queue_bytes) {
			make_room(p, request->n);
			i->request = *request;
			*request = (struct ap_buf){0};
		}
		ap_buf_free(request);
		link_item(p, i);
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

void ap_pusher_reclaim(struct ap_pusher *p, struct ap_ledger *into)
{
	pthread_mutex_lock(&p->lock);
	for (uint32_t id = 0; id < AP_LEDGER_MAX; id++) {
		into->count[id] += p->lost.count[id];
		p->lost.count[id] = 0;
	}
	pthread_mutex_unlock(&p->lock);
}

void ap_pusher_get_stats(struct ap_pusher *p, struct ap_pusher_stats *ret)
{
	pthread_mutex_lock(&p->lock);
	*ret = p->stats;
	pthread_mutex_unlock(&p->lock);
	if (p->spool) {
		struct ap_journal_stats spool;

		ap_spool_get_stats(p->spool, &spool);
		ret->spool_bytes = spool.bytes;
		ret->spool_damaged = spool.damaged_records;
	}
}

uint32_t ap_pusher_stop(struct ap_pusher *p, uint64_t timeout_ns)
{
	uint64_t until = ap_clock_mono_ns() + timeout_ns;
	uint32_t left = 0;

	pthread_mutex_lock(&p->lock);
	p->draining = true;
	pthread_cond_broadcast(&p->changed);
	while (p->first && wait_until(p, until))
		;
	p->stopping = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	ap_client_cancel(p->client);
	pthread_join(p->thread, NULL);
	while (p->first) {
		struct item *i = p->first;

		unlink_item(p, &p->first);
		if (is_on_disk(i)) {
			count(p, i, AP_LEDGER_PUSH_KEPT);
			item_free(i);
		} else {
			lose(p, i, AP_LEDGER_PUSH_STOPPED);
			left++;
		}
	}
	release(p);
	return left;
}
