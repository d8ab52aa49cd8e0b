/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/alert/notify.h"

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "http/post.h"

#define WAIT_MAX_NS (300 * AP_NSEC_PER_SEC)

struct message {
	struct message *next;
	char *url, *body;
	uint64_t id; /* in the outbox; 0: not there */
	uint64_t rule;
	int64_t created_ms; /* Unix */
	uint64_t due_ns;    /* CLOCK_MONOTONIC */
	unsigned int tries;
};

struct ap_notifier {
	struct ap_notifier_options o;
	pthread_t thread;
	struct ap_database *db; /* the thread's; NULL: none */
	pthread_mutex_t lock;	/* guards what follows */
	pthread_cond_t changed;
	struct message *first; /* in order of arrival */
	bool stopping;
	struct ap_notifier_stats stats;
};

static void message_free(struct message *m)
{
	if (!m)
		return;
	free(m->body);
	free(m->url);
	free(m);
}

/* An earlier one of the same rule and address goes first. */
static bool must_wait(const struct ap_notifier *n, const struct message *m)
{
	for (const struct message *e = n->first; e != m; e = e->next)
		if (e->rule == m->rule && strcmp(e->url, m->url) == 0)
			return true;
	return false;
}

/* The next message that is due, or when one will be. */
static struct message *next_due(struct ap_notifier *n, uint64_t now, uint64_t *ret_when)
{
	*ret_when = now + WAIT_MAX_NS;
	for (struct message *m = n->first; m; m = m->next) {
		if (must_wait(n, m))
			continue;
		if (m->due_ns <= now)
			return m;
		*ret_when = AP_MIN(*ret_when, m->due_ns);
	}
	return NULL;
}

static void unlink_message(struct ap_notifier *n, struct message *m)
{
	struct message **at = &n->first;

	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	n->stats.waiting--;
	message_free(m);
}

/* An address may hold a secret in its path or query: only up to the host is told. */
static void set_error(struct ap_notifier *n, const char *url, const char *why)
{
	const char *host = strstr(url, "://"), *at;
	size_t len;

	host = host ? host + 3 : url;
	len = strcspn(host, "/?#");
	at = memrchr(host, '@', len);
	if (at) {
		len -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	snprintf(n->stats.last_error, sizeof(n->stats.last_error), "%.*s: %.400s",
		 (int)AP_MIN(len, (size_t)64), host, why);
}

static int64_t unix_ms(void)
{
	return ap_clock_unix_ns() / (int64_t)AP_NSEC_PER_MSEC;
}

static bool is_given_up(const struct ap_notifier *n, const struct message *m)
{
	return m->tries >= n->o.tries || unix_ms() - m->created_ms >= AP_NOTIFY_AGE_MS;
}

static void settle(struct ap_notifier *n, struct message *m, int r, const struct ap_error *err)
{
	uint64_t wait = (uint64_t)n->o.first_wait_ms * AP_NSEC_PER_MSEC
			<< AP_MIN(m->tries - 1, 20u);

	if (r == 0) {
		n->stats.delivered++;
		n->stats.last_error[0] = '\0';
		unlink_message(n, m);
		return;
	}
	set_error(n, m->url, err->msg);
	if (is_given_up(n, m)) {
		n->stats.dropped++;
		unlink_message(n, m);
		return;
	}
	n->stats.retried++;
	m->due_ns = ap_clock_mono_ns() + AP_MIN(wait, WAIT_MAX_NS);
}

/* Called and returns with the lock held; others only add at the end meanwhile. */
static void try_message(struct ap_notifier *n, struct message *m, unsigned int timeout_ms)
{
	struct ap_error err = {0};
	long status;
	int r;

	pthread_mutex_unlock(&n->lock);
	r = ap_http_post_json(m->url, ap_str_of(m->body), timeout_ms, &status, &err);
	m->tries++;
	/* One that cannot be taken out is delivered twice if the next start finds it young. */
	if (n->db && m->id && (r == 0 || is_given_up(n, m)))
		ap_outbox_delete(n->db, m->id);
	pthread_mutex_lock(&n->lock);
	settle(n, m, r, &err);
}

/* What waits when it is time to go gets one more try, while there is time. */
static void last_tries(struct ap_notifier *n)
{
	uint64_t end = ap_clock_mono_ns() + n->o.timeout_ms * AP_NSEC_PER_MSEC;

	for (struct message *m = n->first, *next; m; m = next) {
		uint64_t now = ap_clock_mono_ns();

		next = m->next;
		if (now >= end)
			break;
		try_message(n, m, (unsigned int)((end - now) / AP_NSEC_PER_MSEC + 1));
	}
}

static void *notifier_main(void *arg)
{
	struct ap_notifier *n = arg;

	pthread_mutex_lock(&n->lock);
	while (!n->stopping) {
		uint64_t when;
		struct message *m = next_due(n, ap_clock_mono_ns(), &when);
		struct timespec ts = ap_clock_timespec(when);

		if (m)
			try_message(n, m, n->o.timeout_ms);
		else
			pthread_cond_timedwait(&n->changed, &n->lock, &ts);
	}
	last_tries(n);
	pthread_mutex_unlock(&n->lock);
	return NULL;
}

/* With the lock held, or before there is a thread. */
static int append(struct ap_notifier *n, const struct ap_outbox_message *m)
{
	struct message *copy = calloc(1, sizeof(*copy)), **at;

	if (copy) {
		copy->url = strdup(m->url);
		copy->body = strdup(m->body);
	}
	if (!copy || !copy->url || !copy->body) {
		message_free(copy);
		return -ENOMEM;
	}
	copy->id = m->id;
	copy->rule = m->rule;
	copy->created_ms = m->created_ms;
	for (at = &n->first; *at;)
		at = &(*at)->next;
	*at = copy;
	n->stats.waiting++;
	return 0;
}

/* What an earlier run left. */
static int take_up(void *ctx, const struct ap_outbox_message *m)
{
	struct ap_notifier *n = ctx;

	if (unix_ms() - m->created_ms < AP_NOTIFY_AGE_MS && n->stats.waiting < AP_NOTIFY_MAX)
		return append(n, m);
	n->stats.dropped++;
	return 0;
}

static int open_outbox(struct ap_notifier *n, const char *path, struct ap_error *err)
{
	int r = ap_database_open(path, &n->db, err);

	if (r == 0)
		r = ap_outbox_load(n->db, take_up, n, err);
	if (r == 0)
		r = ap_database_run(n->db, err, "DELETE FROM outbox WHERE created_ms <= ?", "i",
				    unix_ms() - AP_NOTIFY_AGE_MS);
	return r;
}

static void notifier_free(struct ap_notifier *n)
{
	for (struct message *m = n->first, *next; m; m = next) {
		next = m->next;
		message_free(m);
	}
	ap_database_close(n->db);
	pthread_mutex_destroy(&n->lock);
	pthread_cond_destroy(&n->changed);
	free(n);
}

int ap_notifier_start(const struct ap_notifier_options *o, struct ap_notifier **ret,
		      struct ap_error *err)
{
	struct ap_notifier *n = calloc(1, sizeof(*n));
	pthread_condattr_t attr;
	int r = 0;

	if (!n)
		return ap_error_set(err, -ENOMEM, "out of memory");
	n->o.timeout_ms = o->timeout_ms ? o->timeout_ms : 10000;
	n->o.first_wait_ms = o->first_wait_ms ? o->first_wait_ms : 1000;
	n->o.tries = o->tries ? o->tries : 12;
	pthread_mutex_init(&n->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&n->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (o->path)
		r = open_outbox(n, o->path, err);
	if (r == 0 && pthread_create(&n->thread, NULL, notifier_main, n) != 0)
		r = ap_error_set(err, -EAGAIN, "cannot start a thread: too many are running");
	if (r < 0) {
		notifier_free(n);
		return r;
	}
	*ret = n;
	return 0;
}

void ap_notifier_stop(struct ap_notifier *n)
{
	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	n->stopping = true;
	pthread_cond_signal(&n->changed);
	pthread_mutex_unlock(&n->lock);
	pthread_join(n->thread, NULL);
	notifier_free(n);
}

int ap_notifier_push(struct ap_notifier *n, const struct ap_outbox_message *m)
{
	int r;

	pthread_mutex_lock(&n->lock);
	if (n->stats.waiting >= AP_NOTIFY_MAX) {
		n->stats.dropped++;
		set_error(n, m->url, "too many notifications wait, this one was dropped");
		r = -ENOSPC;
	} else {
		r = append(n, m);
		pthread_cond_signal(&n->changed);
	}
	pthread_mutex_unlock(&n->lock);
	return r;
}

void ap_notifier_get_stats(struct ap_notifier *n, struct ap_notifier_stats *ret)
{
	pthread_mutex_lock(&n->lock);
	*ret = n->stats;
	pthread_mutex_unlock(&n->lock);
}
