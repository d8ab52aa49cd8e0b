/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded pipe from the worker that makes an answer to the I/O thread that sends it. The I/O
 * thread must never wait: when the pipe is empty it suspends the connection (`parked`), and the
 * next write, or the end, resumes it. The stream outlives both: the handler's end and
 * libmicrohttpd's last use of the response each drop a reference. */
#include <time.h>

#include "base/clock.h"
#include "http/internal.h"

#define PIPE_BYTES	(256u << 10)
#define BYTES_PER_S_MIN (16u << 10) /* that a client takes on average, after its first time-out */

struct ap_http_stream {
	struct ap_http_request *req;
	int refs;	      /* atomic */
	uint64_t patience;    /* ns that the client may take nothing */
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t room;
	size_t head, used; /* ring: first byte in use, bytes in use */
	bool parked;	   /* the connection is suspended until there is something to send */
	bool ended, failed;
	bool gone;		  /* the client has left */
	uint64_t taken, taken_at; /* bytes on their way to the client; when the last of them went */
	uint64_t
		waited; /* ns for room, in all: what the answer's making takes is not held against it */
	uint8_t ring[PIPE_BYTES];
};

static void stream_unref(struct ap_http_stream *s)
{
	if (__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->room);
	ap_http_request_unref(s->req);
	free(s);
}

/* I/O thread: hands libmicrohttpd what is there. */
static ssize_t stream_read(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct ap_http_stream *s = cls;
	ssize_t r = 0;

	pthread_mutex_lock(&s->lock);
	if (s->used) {
		size_t n = AP_MIN(AP_MIN(max, s->used), PIPE_BYTES - s->head);

		memcpy(buf, s->ring + s->head, n);
		s->head = (s->head + n) % PIPE_BYTES;
		s->used -= n;
		s->taken += n;
		s->taken_at = ap_clock_mono_ns();
		r = (ssize_t)n;
		pthread_cond_signal(&s->room);
	} else if (s->failed) {
		r = MHD_CONTENT_READER_END_WITH_ERROR;
	} else if (s->ended) {
		r = MHD_CONTENT_READER_END_OF_STREAM;
	} else {
		s->parked = true;
		MHD_suspend_connection(s->req->conn);
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* I/O thread: the response is over, sent or not. */
static void stream_gone(void *cls)
{
	struct ap_http_stream *s = cls;

	pthread_mutex_lock(&s->lock);
	s->gone = true;
	pthread_cond_signal(&s->room);
	pthread_mutex_unlock(&s->lock);
	stream_unref(s);
}

/* With the lock held: something for the I/O thread to do. */
static void unpark(struct ap_http_stream *s)
{
	if (!s->parked)
		return;
	s->parked = false;
	MHD_resume_connection(s->req->conn);
}

static struct ap_http_stream *stream_new(struct ap_http_request *req)
{
	struct ap_http_stream *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;

	if (!s)
		return NULL;
	s->req = req;
	s->refs = 2;
	s->patience = req->server->opt.request_timeout_s * AP_NSEC_PER_SEC;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->room, &attr);
	pthread_condattr_destroy(&attr);
	return s;
}

struct ap_http_stream *ap_http_stream_begin(struct ap_http_request *req, const char *content_type)
{
	struct ap_http_stream *s = stream_new(req);

	if (s)
		req->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 64u << 10,
								  stream_read, s, stream_gone);
	if (!s || !req->response) {
		free(s);
		ap_http_reply_error(req, 500, "internal", NULL, "out of memory");
		return NULL;
	}
	__atomic_add_fetch(&req->refs, 1, __ATOMIC_RELAXED);
	ap_http_response_headers(req, req->response, content_type);
	req->status = 200;
	req->streaming = true;
	ap_http_resume(req);
	return s;
}

/* Whether the client, waited for since `since`, takes nothing any more, or so little that it would be here
 * for ever. With the lock held. */
static bool too_slow(const struct ap_http_stream *s, uint64_t since, uint64_t now)
{
	uint64_t allowed = s->taken / BYTES_PER_S_MIN * AP_NSEC_PER_SEC;

	return now - AP_MAX(since, s->taken_at) >= s->patience ||
	       s->waited + (now - since) >= s->patience + allowed;
}

/* With the lock held: waits until there is room. Wakes up now and then to see whether the server
 * is being closed. */
static int wait_room(struct ap_http_stream *s)
{
	uint64_t since = ap_clock_mono_ns(), now = since;

	while (s->used == PIPE_BYTES && !s->gone) {
		uint64_t until = now + AP_NSEC_PER_SEC / 4;
		struct timespec ts = {(time_t)(until / AP_NSEC_PER_SEC),
				      (long)(until % AP_NSEC_PER_SEC)};

		if (too_slow(s, since, now) || ap_http_closing(s->req->server))
			return -EPIPE;
		pthread_cond_timedwait(&s->room, &s->lock, &ts);
		now = AP_MAX(now, ap_clock_mono_ns());
	}
	s->waited += now - since;
	return s->gone ? -EPIPE : 0;
}

int ap_http_stream_write(struct ap_http_stream *s, const void *p, size_t n)
{
	const uint8_t *from = p;
	int r = 0;

	if (s->req->head) /* nobody will read the body of an answer to HEAD */
		return 0;
	pthread_mutex_lock(&s->lock);
	while (n && r == 0) {
		size_t at, len;

		r = wait_room(s);
		if (r < 0)
			break;
		at = (s->head + s->used) % PIPE_BYTES;
		len = AP_MIN(AP_MIN(n, PIPE_BYTES - s->used), PIPE_BYTES - at);
		memcpy(s->ring + at, from, len);
		s->used += len;
		from += len;
		n -= len;
		unpark(s);
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

void ap_http_stream_end(struct ap_http_stream *s, int error)
{
	pthread_mutex_lock(&s->lock);
	s->ended = true;
	s->failed = error != 0;
	if (s->failed)
		s->used = 0;
	unpark(s);
	pthread_mutex_unlock(&s->lock);
	stream_unref(s);
}
