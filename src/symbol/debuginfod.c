/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/debuginfod.h"

#include <pthread.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"
#include "symbol/curl.h"
#include "symbol/debug_store.h"
#include "symbol/elf_file.h"

#define CACHE_BYTES   (1ull << 30)
#define FILE_BYTES    (512ull << 20)
#define TIMEOUT_NS    (300 * AP_NSEC_PER_SEC)
#define RETRY_NS      (600 * AP_NSEC_PER_SEC)
#define WANTED_MAX    4096u /* build-ids remembered */
#define QUEUE_MAX     256u
#define REDIRECTS_MAX 5L
#define CONNECT_S     10L
#define SLOW_BYTES    1000L /* a second, for SLOW_S: given up */
#define SLOW_S	      30L
#define URL_BYTES     2048u

struct wanted {
	UT_hash_handle hh;
	struct wanted *next; /* in the queue */
	enum ap_debug_state state;
	uint64_t retry_ns; /* AP_DEBUG_ABSENT: not before, CLOCK_MONOTONIC */
	char build_id[2 * AP_BUILD_ID_MAX + 1];
};

struct server {
	char *url;
	uint64_t retry_ns; /* left alone until then, CLOCK_MONOTONIC */
};

struct ap_debuginfod {
	struct ap_debug_fetcher fetcher;
	struct ap_debug_store store; /* the thread's, as are the servers */
	struct server *servers;
	size_t n_servers;
	uint64_t file_bytes, timeout_ns;
	struct ap_curl curl;
	CURL *handle;
	pthread_t thread;
	bool started;
	bool stop;	      /* atomic */
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work;
	struct wanted *wanted, *first, *last;
	uint32_t queued;
	struct ap_debuginfod_stats stats;
};

struct transfer {
	int fd;
	uint64_t left;
	bool too_large;
};

static size_t on_bytes(char *p, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;

	n *= size;
	t->too_large = n > t->left;
	if (t->too_large || ap_write_all(t->fd, p, n) < 0)
		return 0;
	t->left -= n;
	return n;
}

static int on_progress(void *ctx, curl_off_t to_come, curl_off_t came, curl_off_t to_send,
		       curl_off_t sent)
{
	struct ap_debuginfod *d = ctx;

	return __atomic_load_n(&d->stop, __ATOMIC_RELAXED);
}

/* 0; -ENOENT: the server does not have it, or not of a size that is taken; -EIO. */
static int get(struct ap_debuginfod *d, const char *server, const char *build_id, int fd)
{
	struct transfer t = {fd, d->file_bytes, false};
	char url[URL_BYTES];
	long status = 0;
	size_t n = strlen(server);
	CURLcode rc;

	while (n > 0 && server[n - 1] == '/')
		n--;
	if (snprintf(url, sizeof(url), "%.*s/buildid/%s/debuginfo", (int)n, server, build_id) >=
	    (int)sizeof(url))
		return -EIO;
	d->curl.setopt(d->handle, CURLOPT_URL, url);
	d->curl.setopt(d->handle, CURLOPT_WRITEDATA, &t);
	rc = d->curl.perform(d->handle);
	d->curl.getinfo(d->handle, CURLINFO_RESPONSE_CODE, &status);
	if (rc == CURLE_OK)
		return 0;
	if (rc == CURLE_HTTP_RETURNED_ERROR && status < 500 && status != 429)
		return -ENOENT;
	return t.too_large || rc == CURLE_FILESIZE_EXCEEDED ? -ENOENT : -EIO;
}

/* 0; -ENOENT: it has no such file; -EIO: it may have. */
static int fetch_from(struct ap_debuginfod *d, struct server *from, const char *build_id)
{
	_cleanup_fd_ int fd = -1;
	int err;

	if (ap_clock_mono_ns() < from->retry_ns)
		return -EIO;
	fd = ap_debug_store_begin(&d->store);
	if (fd < 0)
		return -EIO;
	err = get(d, from->url, build_id, fd);
	if (err == -EIO)
		from->retry_ns = ap_clock_mono_ns() + RETRY_NS;
	if (err == 0)
		err = ap_debug_store_keep(&d->store, fd, build_id);
	if (err < 0)
		ap_debug_store_forget(&d->store);
	return err == -EBADMSG || err == -EFBIG ? -ENOENT : err;
}

/* From the first server that has it: 0; -ENOENT: none has; -EIO: one may. */
static int fetch(struct ap_debuginfod *d, const char *build_id)
{
	int err = -ENOENT;

	for (size_t i = 0; i < d->n_servers; i++) {
		int e = fetch_from(d, &d->servers[i], build_id);

		if (e == 0)
			return 0;
		if (e != -ENOENT)
			err = -EIO;
	}
	return err;
}

static int obtain(struct ap_debuginfod *d, const char *build_id)
{
	int err;

	if (ap_debug_store_has(&d->store, build_id))
		return 0;
	if (ap_debug_store_is_absent(&d->store, build_id))
		return -ENOENT;
	err = fetch(d, build_id);
	if (err == -ENOENT)
		ap_debug_store_note_absent(&d->store, build_id);
	return err;
}

static void *serve(void *arg)
{
	struct ap_debuginfod *d = arg;

	pthread_mutex_lock(&d->lock);
	while (!d->stop) {
		struct wanted *w = d->first;
		int err;

		if (!w) {
			pthread_cond_wait(&d->work, &d->lock);
			continue;
		}
		pthread_mutex_unlock(&d->lock);
		err = obtain(d, w->build_id);
		pthread_mutex_lock(&d->lock);
		d->first = w->next;
		d->queued--;
		w->state = err == 0 ? AP_DEBUG_HERE : AP_DEBUG_ABSENT;
		w->retry_ns = ap_clock_mono_ns() + RETRY_NS;
		*(err == 0	   ? &d->stats.fetched
		  : err == -ENOENT ? &d->stats.absent
				   : &d->stats.failed) += 1;
		d->stats.cache_bytes = d->store.bytes;
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

static void enqueue(struct ap_debuginfod *d, struct wanted *w)
{
	w->state = AP_DEBUG_PENDING;
	w->next = NULL;
	if (d->first)
		d->last->next = w;
	else
		d->first = w;
	d->last = w;
	d->queued++;
	pthread_cond_signal(&d->work);
}

static bool is_build_id(const char *s)
{
	size_t n = strspn(s, "0123456789abcdef");

	return n >= 16 && n % 2 == 0 && n <= (size_t)2 * AP_BUILD_ID_MAX && !s[n];
}

static struct wanted *add_wanted(struct ap_debuginfod *d, const char *build_id)
{
	struct wanted *w, *next, *fresh = calloc(1, sizeof(*fresh));

	if (!fresh)
		return NULL;
	/* Room is made by those that were asked for first. */
	HASH_ITER(hh, d->wanted, w, next) {
		if (HASH_COUNT(d->wanted) < WANTED_MAX)
			break;
		if (w->state == AP_DEBUG_PENDING)
			continue;
		HASH_DEL(d->wanted, w);
		free(w);
	}
	fresh->state = AP_DEBUG_ABSENT;
	strcpy(fresh->build_id, build_id);
	HASH_ADD_STR(d->wanted, build_id, fresh);
	return fresh;
}

static enum ap_debug_state want(void *ctx, const char *build_id)
{
	struct ap_debuginfod *d = ctx;
	enum ap_debug_state state = AP_DEBUG_ABSENT;
	struct wanted *w;

	if (!is_build_id(build_id))
		return state;
	pthread_mutex_lock(&d->lock);
	HASH_FIND_STR(d->wanted, build_id, w);
	if (!w && d->queued < QUEUE_MAX)
		w = add_wanted(d, build_id);
	if (w && w->state == AP_DEBUG_ABSENT && d->queued < QUEUE_MAX &&
	    ap_clock_mono_ns() >= w->retry_ns)
		enqueue(d, w);
	if (w)
		state = w->state;
	pthread_mutex_unlock(&d->lock);
	return state;
}

static int copy_urls(struct ap_debuginfod *d, const struct ap_debuginfod_opts *opts,
		     struct ap_error *err)
{
	if (opts->n_urls == 0)
		return ap_error_set(err, -EINVAL, "no debuginfod server is given");
	d->servers = calloc(opts->n_urls, sizeof(*d->servers));
	for (size_t i = 0; d->servers && i < opts->n_urls; i++) {
		struct ap_str url = ap_str_of(opts->urls[i]);

		if (!ap_str_starts(url, AP_STR("http://")) &&
		    !ap_str_starts(url, AP_STR("https://")))
			return ap_error_set(err, -EINVAL,
					    "'%s' is no debuginfod server: give http://… or "
					    "https://…",
					    opts->urls[i]);
		d->servers[i].url = ap_str_dup(url);
		if (!d->servers[i].url)
			break;
		d->n_servers++;
	}
	return d->n_servers == opts->n_urls ? 0 : ap_error_set(err, -ENOMEM, "out of memory");
}

static int set_up_curl(struct ap_debuginfod *d, struct ap_error *err)
{
	int e = ap_curl_load(&d->curl, err);
	CURL *c = e == 0 ? d->curl.init() : NULL;
	__typeof__(d->curl.setopt) set = d->curl.setopt;

	if (e < 0)
		return e;
	if (!c)
		return ap_error_set(err, -ENOMEM, "out of memory");
	d->handle = c;
	set(c, CURLOPT_NOSIGNAL, 1L);
	set(c, CURLOPT_FAILONERROR, 1L);
	set(c, CURLOPT_USERAGENT, "aperture/" APERTURE_VERSION);
	set(c, CURLOPT_FOLLOWLOCATION, 1L);
	set(c, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	set(c, CURLOPT_PROTOCOLS_STR, "http,https");
	set(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	set(c, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	set(c, CURLOPT_TIMEOUT_MS, (long)(d->timeout_ns / 1000000));
	set(c, CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES);
	set(c, CURLOPT_LOW_SPEED_TIME, SLOW_S);
	set(c, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)d->file_bytes);
	set(c, CURLOPT_WRITEFUNCTION, on_bytes);
	set(c, CURLOPT_NOPROGRESS, 0L);
	set(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	set(c, CURLOPT_XFERINFODATA, d);
	return 0;
}

int ap_debuginfod_start(const struct ap_debuginfod_opts *opts, struct ap_debuginfod **ret,
			struct ap_error *err)
{
	_cleanup_(ap_cleanup_debuginfod) struct ap_debuginfod *d = calloc(1, sizeof(*d));
	uint64_t cache = opts->cache_bytes ? opts->cache_bytes : CACHE_BYTES;
	int e;

	if (!d)
		return ap_error_set(err, -ENOMEM, "out of memory");
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->work, NULL);
	d->file_bytes = AP_MIN(opts->file_bytes ? opts->file_bytes : FILE_BYTES, cache);
	d->timeout_ns = opts->timeout_ns ? opts->timeout_ns : TIMEOUT_NS;
	e = copy_urls(d, opts, err);
	if (e == 0)
		e = ap_debug_store_open(&d->store, opts->dir, cache, err);
	if (e == 0)
		e = set_up_curl(d, err);
	if (e < 0)
		return e;
	d->stats.cache_bytes = d->store.bytes;
	d->fetcher = (struct ap_debug_fetcher){want, d, d->store.dir};
	e = -pthread_create(&d->thread, NULL, serve, d);
	if (e < 0)
		return ap_error_set(err, e, "cannot start a thread: %s", ap_strerror(e));
	d->started = true;
	*ret = AP_TAKE_PTR(d);
	return 0;
}

void ap_debuginfod_stop(struct ap_debuginfod *d)
{
	struct wanted *w, *next;

	if (!d)
		return;
	pthread_mutex_lock(&d->lock);
	__atomic_store_n(&d->stop, true, __ATOMIC_RELAXED);
	pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->lock);
	if (d->started)
		pthread_join(d->thread, NULL);
	HASH_ITER(hh, d->wanted, w, next) {
		HASH_DEL(d->wanted, w);
		free(w);
	}
	if (d->handle)
		d->curl.cleanup(d->handle);
	for (size_t i = 0; i < d->n_servers; i++)
		free(d->servers[i].url);
	free(d->servers);
	pthread_cond_destroy(&d->work);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

const struct ap_debug_fetcher *ap_debuginfod_fetcher(struct ap_debuginfod *d)
{
	return &d->fetcher;
}

void ap_debuginfod_get_stats(struct ap_debuginfod *d, struct ap_debuginfod_stats *ret)
{
	pthread_mutex_lock(&d->lock);
	*ret = d->stats;
	ret->queued = d->queued;
	pthread_mutex_unlock(&d->lock);
}
