/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/server_http.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#include "base/clock.h"

#define CONNECT_MS  5000L
#define KEEPALIVE_S 5	   /* of silence before the server's machine is asked whether it is there */
#define GONE_MS	    20000u /* that it may leave that, or what was sent, without an answer */
#define CANCEL_MS   20u	   /* how often a wish to cancel is looked for */
#define ANSWER_SIZE (256L << 10)

struct ap_server_channel {
	const struct ap_server_address *address;
	CURL *curl;
	CURLM *multi; /* of this one transfer; keeps its connection */
	struct curl_slist *headers;
	char error[CURL_ERROR_SIZE];
	/* of the request that runs */
	const struct ap_server_request *q;
	struct ap_server_answer *answer;
	int taken; /* the negative value of q->take() */
};

static size_t take_header(char *p, size_t size, size_t n, void *ctx)
{
	struct ap_server_channel *c = ctx;

	ap_server_answer_header(c->answer, (struct ap_str){p, n});
	return n;
}

static size_t take_body(char *p, size_t size, size_t n, void *ctx)
{
	struct ap_server_channel *c = ctx;
	struct ap_str bytes = {p, n}; /* size is 1 by libcurl's contract */
	long status = 0;

	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200 || !c->q->take) {
		ap_server_answer_text(c->answer, bytes);
		return n;
	}
	c->taken = c->q->take(c->q->ctx, bytes);
	return c->taken < 0 ? 0 : n;
}

static int add_header(struct ap_server_channel *c, const char *name, const char *value)
{
	_cleanup_free_ char *line = NULL;
	struct curl_slist *longer;

	if (asprintf(&line, "%s%s", name, value) < 0) {
		line = NULL;
		return -ENOMEM;
	}
	longer = curl_slist_append(c->headers, line);
	if (!longer)
		return -ENOMEM;
	c->headers = longer;
	return 0;
}

static int make_headers(struct ap_server_channel *c)
{
	const struct ap_server_address *a = c->address;
	int r = add_header(c, "Content-Type: ", "application/octet-stream");

	/* Without this, libcurl waits for a "100 Continue" before it sends a large body. */
	if (r == 0)
		r = add_header(c, "Expect:", "");
	if (r == 0 && a->user)
		r = add_header(c, "X-ClickHouse-User: ", a->user);
	if (r == 0 && a->password)
		r = add_header(c, "X-ClickHouse-Key: ", a->password);
	return r;
}

/* A server that has gone without a word, as a machine without power does, is not waited for: GONE_MS is less than
 * statements may take. */
static int set_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	unsigned int gone_ms = GONE_MS;

	if (setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone_ms, sizeof(gone_ms)) < 0)
		return CURL_SOCKOPT_ERROR;
	return CURL_SOCKOPT_OK;
}

static void set_options(struct ap_server_channel *c)
{
	const struct ap_server_address *a = c->address;

	curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c->curl, CURLOPT_NOPROXY, "*"); /* a database is no web site */
	curl_easy_setopt(c->curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(c->curl, CURLOPT_HEADERDATA, c);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(c->curl, CURLOPT_BUFFERSIZE, ANSWER_SIZE);
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_SOCKOPTFUNCTION, set_socket);
	curl_easy_setopt(c->curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(c->curl, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S);
	curl_easy_setopt(c->curl, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_S);
	curl_easy_setopt(c->curl, CURLOPT_USERAGENT, "aperture/" APERTURE_VERSION);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
	curl_easy_setopt(c->curl, CURLOPT_POST, 1L);
	if (a->ca_file)
		curl_easy_setopt(c->curl, CURLOPT_CAINFO, a->ca_file);
	if (a->cert_file)
		curl_easy_setopt(c->curl, CURLOPT_SSLCERT, a->cert_file);
	if (a->key_file)
		curl_easy_setopt(c->curl, CURLOPT_SSLKEY, a->key_file);
}

struct ap_server_channel *ap_server_channel_new(const struct ap_server_address *a)
{
	struct ap_server_channel *c = calloc(1, sizeof(*c));

	if (!c || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(c);
		return NULL;
	}
	c->address = a;
	c->curl = curl_easy_init();
	c->multi = curl_multi_init();
	if (!c->curl || !c->multi || make_headers(c) < 0) {
		ap_server_channel_free(c);
		return NULL;
	}
	set_options(c);
	return c;
}

void ap_server_channel_free(struct ap_server_channel *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->curl);
	curl_multi_cleanup(c->multi);
	curl_slist_free_all(c->headers);
	free(c);
}

static int transport_error(const struct ap_server_channel *c, CURLcode code, struct ap_error *err)
{
	const char *why = c->error[0] ? c->error : curl_easy_strerror(code);
	const char *url = c->address->url;

	switch (code) {
	case CURLE_OUT_OF_MEMORY:
		return ap_error_set(err, -ENOMEM, "out of memory");
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_ISSUER_ERROR:
		return ap_error_set(err, -EACCES,
				    "no trusted connection to the ClickHouse server %s: %s; name "
				    "its authority's certificate with --clickhouse-ca, and this "
				    "program's with --clickhouse-cert and --clickhouse-key",
				    url, why);
	default:
		return ap_error_set(err, -ENOTCONN,
				    "the ClickHouse server %s is not reached (--clickhouse-url): "
				    "%s",
				    url, why);
	}
}

/* Why to stop waiting; 0: go on. */
static int check_time(const struct ap_server_channel *c, struct ap_error *err)
{
	if (c->q->cancel && atomic_load(c->q->cancel))
		return ap_error_set(err, -ECANCELED, "the query was cancelled");
	if (ap_clock_mono_ns() >= c->q->deadline)
		return ap_error_set(err, -ETIMEDOUT,
				    "the ClickHouse server %s does not answer in time",
				    c->address->url);
	return 0;
}

static int poll_ms(const struct ap_server_channel *c)
{
	uint64_t now = ap_clock_mono_ns(), left = c->q->deadline > now ? c->q->deadline - now : 0;
	uint64_t ms = AP_MIN(left / AP_NSEC_PER_MSEC + 1, 1000ull);

	return (int)(c->q->cancel ? AP_MIN(ms, (uint64_t)CANCEL_MS) : ms);
}

/* The transfer that curl_multi knows, to its end. */
static int run(struct ap_server_channel *c, struct ap_error *err)
{
	int running = 1, left, r;
	CURLMsg *msg;

	while (running) {
		r = check_time(c, err);
		if (r < 0)
			return r;
		if (curl_multi_perform(c->multi, &running) != CURLM_OK)
			return ap_error_set(err, -ENOMEM, "out of memory");
		if (running && curl_multi_poll(c->multi, NULL, 0, poll_ms(c), NULL) != CURLM_OK)
			return ap_error_set(err, -ENOMEM, "out of memory");
	}
	msg = curl_multi_info_read(c->multi, &left);
	if (c->taken < 0)
		return c->taken;
	if (!msg || msg->data.result != CURLE_OK)
		return transport_error(c, msg ? msg->data.result : CURLE_RECV_ERROR, err);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->answer->status);
	return ap_buf_error(&c->answer->text) < 0 ? ap_error_set(err, -ENOMEM, "out of memory") : 0;
}

int ap_server_channel_ask(struct ap_server_channel *c, const struct ap_server_request *q,
			  struct ap_server_answer *ret, struct ap_error *err)
{
	_cleanup_free_ char *url = NULL;
	int r;

	if (asprintf(&url, "%s/?%.*s", c->address->url, AP_STR_ARG(q->params)) < 0) {
		url = NULL;
		return ap_error_set(err, -ENOMEM, "out of memory");
	}
	c->q = q;
	c->answer = ret;
	c->taken = 0;
	c->error[0] = '\0';
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.n);
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, q->body.n ? q->body.p : "");
	curl_easy_setopt(c->curl, CURLOPT_FRESH_CONNECT, q->alone ? 1L : 0L);
	curl_easy_setopt(c->curl, CURLOPT_FORBID_REUSE, q->alone ? 1L : 0L);
	if (curl_multi_add_handle(c->multi, c->curl) != CURLM_OK)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r = run(c, err);
	/* Closes the connection where the transfer has not ended. */
	curl_multi_remove_handle(c->multi, c->curl);
	c->q = NULL;
	c->answer = NULL;
	return r;
}

void ap_server_param(struct ap_buf *params, const char *name, struct ap_str value)
{
	ap_buf_printf(params, "%s=", name);
	for (size_t i = 0; i < value.n; i++) {
		uint8_t b = (uint8_t)value.p[i];

		if ((b >= '0' && b <= '9') || (b >= 'A' && b <= 'Z') || (b >= 'a' && b <= 'z') ||
		    (b && strchr("-._~", b)))
			ap_buf_byte(params, b);
		else
			ap_buf_printf(params, "%%%02X", b);
	}
	ap_buf_byte(params, '&');
}

void ap_server_param_u64(struct ap_buf *params, const char *name, uint64_t value)
{
	ap_buf_printf(params, "%s=%llu&", name, (unsigned long long)value);
}
