/* SPDX-License-Identifier: Apache-2.0 */
/* The server over real loopback sockets. */
#include "http/server.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <jansson.h>

#include "../test.h"
#include "base/clock.h"
#include "base/io.h"

static sem_t gate;    /* held handlers wait here */
static sem_t entered; /* a held handler has begun */
static int stream_result;

static void reply_text(struct ap_http_request *req, struct ap_str s)
{
	struct ap_buf b = {0};

	ap_buf_str(&b, s);
	ap_http_reply(req, 200, "text/plain", &b);
}

static void on_echo(struct ap_http_request *req, void *ctx)
{
	struct ap_str v = {0};

	ap_http_query_get(req, "q", &v);
	reply_text(req, v);
}

static void on_item(struct ap_http_request *req, void *ctx)
{
	reply_text(req, ap_http_path_param(req, "id"));
}

static void on_json(struct ap_http_request *req, void *ctx)
{
	struct ap_buf b = {0};
	json_t *j;

	if (ap_http_body_json(req, &j) < 0)
		return;
	ap_buf_printf(&b, "{\"members\":%zu}", json_object_size(j));
	ap_http_reply_json(req, 200, &b);
}

static void on_held(struct ap_http_request *req, void *ctx)
{
	sem_post(&entered);
	sem_wait(&gate);
	reply_text(req, AP_STR("held"));
}

/* Sends until nobody takes it. */
static void on_flood(struct ap_http_request *req, void *ctx)
{
	struct ap_http_stream *s = ap_http_stream_begin(req, "text/plain");
	static const char piece[10000];

	assert_non_null(s);
	do
		stream_result = ap_http_stream_write(s, piece, sizeof(piece));
	while (stream_result == 0);
	ap_http_stream_end(s, stream_result);
	sem_post(&entered);
}

/* Works until nobody waits for it. */
static void on_endless(struct ap_http_request *req, void *ctx)
{
	sem_post(&entered);
	while (!atomic_load(ap_http_gone(req)))
		sched_yield();
	sem_post(&entered);
	reply_text(req, AP_STR("never read"));
}

static void on_silent(struct ap_http_request *req, void *ctx)
{
}

/* 1 MiB in pieces, more than the pipe holds. */
static void on_stream(struct ap_http_request *req, void *ctx)
{
	struct ap_http_stream *s = ap_http_stream_begin(req, "text/plain");
	static char piece[10000];
	struct ap_str fail;
	int r = 0;

	assert_non_null(s);
	memset(piece, 'x', sizeof(piece));
	for (size_t sent = 0; r == 0 && sent < 1u << 20; sent += sizeof(piece))
		r = ap_http_stream_write(s, piece, sizeof(piece));
	stream_result = r;
	ap_http_stream_end(s, ap_http_query_get(req, "fail", &fail) ? -EIO : 0);
	sem_post(&entered);
}

static const struct ap_http_route routes[] = {
	{AP_HTTP_GET, "/api/echo", on_echo, .quick = true},
	{AP_HTTP_GET, "/api/item/:id", on_item},
	{AP_HTTP_DELETE, "/api/item/:id", on_item},
	{AP_HTTP_POST, "/api/json", on_json, .max_body = 1000},
	{AP_HTTP_GET, "/api/held", on_held},
	{AP_HTTP_GET, "/api/endless", on_endless},
	{AP_HTTP_GET, "/api/flood", on_flood},
	{AP_HTTP_GET, "/api/silent", on_silent},
	{AP_HTTP_GET, "/api/stream", on_stream},
};

static struct ap_http_server *server;

static struct ap_http_server *start(unsigned int workers, unsigned int timeout_s,
				    const struct ap_http_static *files)
{
	const struct ap_http_options opt = {
		.listen = "127.0.0.1:0",
		.listen_flag = "--listen",
		.routes = routes,
		.n_routes = AP_ARRAY_SIZE(routes),
		.files = files,
		.reserved = "/api/",
		.workers = workers,
		.request_timeout_s = timeout_s,
	};
	struct ap_http_server *s;
	struct ap_error err = {0};

	if (ap_http_server_start(&opt, &s, &err) < 0)
		fail_msg("%s", err.msg);
	return s;
}

static int dial(const struct ap_http_server *s)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_port = htons(ap_http_server_port(s)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct timeval tv = {.tv_sec = 20};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* Everything until the server closes, NUL-terminated. */
static void read_all(int fd, struct ap_buf *ret)
{
	ap_read_fd(fd, 64u << 20, ret);
	ap_buf_byte(ret, '\0');
	ret->n--;
}

/* Sends a raw request (which should ask to close) and returns the whole answer. */
static char *ask(const struct ap_http_server *s, const char *fmt, ...)
{
	_cleanup_fd_ int fd = dial(s);
	struct ap_buf in = {0};
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	assert_true(n > 0);
	assert_int_equal(ap_write_all(fd, text, (size_t)n), 0);
	free(text);
	read_all(fd, &in);
	return (char *)in.p;
}

#define END " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

static void assert_has(char *answer, const char *want)
{
	if (!strstr(answer, want))
		fail_msg("no '%s' in: %s", want, answer);
}

static void assert_status(char *answer, int status)
{
	char want[32];

	snprintf(want, sizeof(want), "HTTP/1.1 %d ", status);
	if (strncmp(answer, want, strlen(want)) != 0)
		fail_msg("not %d: %s", status, answer);
}

/* Checks an answer's status and a part of it, and frees it. */
static void expect(char *answer, int status, const char *part)
{
	assert_status(answer, status);
	assert_has(answer, part);
	free(answer);
}

static void test_routes(void **state)
{
	expect(ask(server, "GET /api/echo?q=a%%20b%%2Bc+d" END), 200, "\r\n\r\na b+c d");
	expect(ask(server, "GET /api/item/x%%2Fy" END), 404, "not_found");
	expect(ask(server, "GET /api/item/x%%20y" END), 200, "\r\n\r\nx y");
	expect(ask(server, "GET /api/item/" END), 404, "not_found");
	expect(ask(server, "GET /api/none" END), 404, "{\"error\":{\"code\":\"not_found\"");
	expect(ask(server, "GET /elsewhere" END), 404, "not_found");
	expect(ask(server, "POST /api/echo" END), 405, "Allow: GET, HEAD\r\n");
	expect(ask(server, "PATCH /api/item/1" END), 405, "Allow: GET, HEAD, DELETE\r\n");
	expect(ask(server, "GET /api/silent" END), 500, "internal");
}

static void test_head(void **state)
{
	char *get = ask(server, "GET /api/echo?q=abc" END);
	char *head = ask(server, "HEAD /api/echo?q=abc" END);

	assert_has(head, "Content-Length: 3\r\n");
	assert_has(get, "\r\n\r\nabc");
	assert_true(ap_str_ends(ap_str_of(head), AP_STR("\r\n\r\n")));
	free(get);
	free(head);
	expect(ask(server, "HEAD /api/stream" END), 200, "\r\n\r\n");
	sem_wait(&entered);
	assert_int_equal(stream_result, 0);
}

static void test_security_headers(void **state)
{
	static const char *const paths[] = {"/api/echo", "/api/none", "/api/item/1"};

	for (size_t i = 0; i < AP_ARRAY_SIZE(paths); i++) {
		char *a = ask(server, "GET %s" END, paths[i]);

		assert_has(a, "Content-Security-Policy: default-src 'self'; ");
		assert_has(a, "frame-ancestors 'none'");
		assert_has(a, "X-Content-Type-Options: nosniff\r\n");
		assert_has(a, "Referrer-Policy: no-referrer\r\n");
		assert_has(a, "Cache-Control: no-store\r\n");
		free(a);
	}
}

static void test_bad_requests(void **state)
{
	expect(ask(server, "GET /api/echo?q=%%zz" END), 400, "bad_request");
	expect(ask(server, "GET /api/echo?q=%%4" END), 400, "bad_request");
	expect(ask(server, "GET /api/%%00" END), 400, "bad_request");
	expect(ask(server, "GET /api/echo HTTP/1.1\r\nConnection: close\r\n\r\n"), 400, "");
	free(ask(server, "\x16\x03\x01nonsense\r\n\r\n"));
	free(ask(server, "GET\r\n\r\n"));
	/* And the server goes on. */
	expect(ask(server, "GET /api/echo?q=still" END), 200, "still");
}

static void test_too_many_parameters(void **state)
{
	_cleanup_buf_ struct ap_buf b = {0};

	for (int i = 0; i < 65; i++)
		ap_buf_printf(&b, "p%d=1&", i);
	ap_buf_byte(&b, '\0');
	expect(ask(server, "GET /api/echo?%s" END, (char *)b.p), 400, "bad_request");
}

static void test_header_too_large(void **state)
{
	_cleanup_buf_ struct ap_buf b = {0};

	for (int i = 0; i < 40000; i++)
		ap_buf_byte(&b, 'a');
	ap_buf_byte(&b, '\0');
	expect(ask(server,
		   "GET /api/echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: %s\r\n\r\n",
		   (char *)b.p),
	       431, "");
}

static void test_host_and_origin(void **state)
{
	expect(ask(server, "GET /api/echo HTTP/1.1\r\nHost: evil.example\r\n"
			   "Connection: close\r\n\r\n"),
	       403, "host_refused");
	expect(ask(server, "POST /api/json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
			   "Sec-Fetch-Site: cross-site\r\nContent-Length: 2\r\n\r\n{}"),
	       403, "cross_site");
	expect(ask(server, "POST /api/json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
			   "Sec-Fetch-Site: same-origin\r\nContent-Length: 2\r\n\r\n{}"),
	       200, "{\"members\":0}");
}

static void test_json_body(void **state)
{
#define POST "POST /api/json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
	expect(ask(server, POST "Content-Length: 13\r\n\r\n{\"a\":1,\"b\":2}"), 200,
	       "{\"members\":2}");
	expect(ask(server, POST "Transfer-Encoding: chunked\r\n\r\n"
				"4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n"),
	       200, "{\"members\":1}");
	expect(ask(server, POST "Content-Length: 7\r\n\r\n{\"a\":\n]"), 400, "line 2, column 1");
	expect(ask(server, POST "Content-Length: 13\r\n\r\n{\"a\":1,\"a\":2}"), 400, "bad_json");
	expect(ask(server, POST "Content-Length: 0\r\n\r\n"), 400, "bad_json");
}

/* A body over the limit: told by its length, found out on the way, or refused before it is sent. */
static void test_body_limit(void **state)
{
	static char big[4096];

	memset(big, ' ', sizeof(big) - 1);
	expect(ask(server, POST "Content-Length: %zu\r\n\r\n%s", strlen(big), big), 413,
	       "too_large");
	expect(ask(server, POST "Transfer-Encoding: chunked\r\n\r\nfff\r\n%s\r\n0\r\n\r\n", big),
	       413, "larger than 1000 bytes");
	expect(ask(server, POST "Expect: 100-continue\r\nContent-Length: 4000\r\n\r\n"), 413,
	       "too_large");
	expect(ask(server, POST "Content-Length: 99999999999\r\n\r\n"), 413, "too_large");
}

static void test_pipelining(void **state)
{
	char *a = ask(server, "GET /api/item/one HTTP/1.1\r\nHost: localhost\r\n\r\n"
			      "GET /api/echo?q=two HTTP/1.1\r\nHost: localhost\r\n\r\n"
			      "GET /api/item/three" END);
	char *one = strstr(a, "\r\n\r\none"), *two = strstr(a, "\r\n\r\ntwo");
	char *three = strstr(a, "\r\n\r\nthree");

	assert_true(one && two && three && one < two && two < three);
	free(a);
}

static void test_stream(void **state)
{
	char *a = ask(server, "GET /api/stream HTTP/1.1\r\nHost: localhost\r\n"
			      "Connection: close\r\n\r\n");
	size_t x = 0;

	assert_has(a, "Transfer-Encoding: chunked\r\n");
	for (const char *p = strstr(a, "\r\n\r\n"); *p; p++)
		x += *p == 'x';
	assert_int_equal(x, ((1u << 20) / 10000 + 1) * 10000);
	assert_true(ap_str_ends(ap_str_of(a), AP_STR("0\r\n\r\n")));
	free(a);
	sem_wait(&entered);
	assert_int_equal(stream_result, 0);

	/* An error on the way leaves the answer without its end. */
	a = ask(server, "GET /api/stream?fail=1" END);
	assert_false(ap_str_ends(ap_str_of(a), AP_STR("0\r\n\r\n")));
	free(a);
	sem_wait(&entered);
}

static void test_stream_client_leaves(void **state)
{
	int fd = dial(server);
	char c;

	assert_int_equal(ap_write_all(fd, "GET /api/stream" END, strlen("GET /api/stream" END)), 0);
	assert_int_equal(read(fd, &c, 1), 1);
	close(fd);
	sem_wait(&entered); /* the handler is not left waiting */
	expect(ask(server, "GET /api/item/on" END), 200, "on");
}

static void test_handler_learns_that_the_client_left(void **state)
{
	int fd = dial(server);

	assert_int_equal(ap_write_all(fd, "GET /api/endless" END, strlen("GET /api/endless" END)),
			 0);
	sem_wait(&entered);
	close(fd);
	sem_wait(&entered);
	expect(ask(server, "GET /api/item/on" END), 200, "on");
}

static void *ask_held(void *arg)
{
	return ask(arg, "GET /api/held" END);
}

static void test_quick_while_busy(void **state)
{
	struct ap_http_server *s = start(1, 0, NULL);
	pthread_t t;
	void *answer;

	assert_int_equal(pthread_create(&t, NULL, ask_held, s), 0);
	sem_wait(&entered);
	expect(ask(s, "GET /api/echo?q=quick" END), 200, "quick");
	sem_post(&gate);
	pthread_join(t, &answer);
	expect(answer, 200, "held");
	ap_http_server_stop(s, 1000);
}

static void test_overload(void **state)
{
	struct ap_http_server *s = start(1, 0, NULL);
	int fds[80];
	struct pollfd p;
	char line[13] = "";

	/* One runs, 64 wait, and the first past those is told at once. */
	for (size_t i = 0; i < AP_ARRAY_SIZE(fds); i++) {
		fds[i] = dial(s);
		assert_int_equal(
			ap_write_all(fds[i], "GET /api/held" END, strlen("GET /api/held" END)), 0);
		if (i == 0)
			sem_wait(&entered);
	}
	p = (struct pollfd){.fd = fds[AP_ARRAY_SIZE(fds) - 1], .events = POLLIN};
	assert_int_equal(poll(&p, 1, 20000), 1);
	assert_int_equal(recv(p.fd, line, 12, MSG_WAITALL), 12);
	assert_string_equal(line, "HTTP/1.1 503");
	for (size_t i = 0; i < AP_ARRAY_SIZE(fds); i++)
		sem_post(&gate);
	for (size_t i = 0; i < 65; i++) {
		struct ap_buf in = {0};

		read_all(fds[i], &in);
		expect((char *)in.p, 200, "held");
	}
	for (size_t i = 0; i < AP_ARRAY_SIZE(fds); i++)
		close(fds[i]);
	ap_http_server_stop(s, 1000);
	sem_destroy(&gate);
	sem_init(&gate, 0, 0);
	sem_destroy(&entered);
	sem_init(&entered, 0, 0);
}

/* A client that drips its header, never silent for long, is cut off all the same. */
static void test_slow_client(void **state)
{
	struct ap_http_server *s = start(1, 1, NULL);
	_cleanup_fd_ int fd = dial(s);
	uint64_t deadline = ap_clock_mono_ns() + 20 * AP_NSEC_PER_SEC;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	bool closed = false;
	char buf[64];

	while (!closed && ap_clock_mono_ns() < deadline) {
		if (send(fd, "X", 1, MSG_NOSIGNAL) < 0)
			closed = true;
		else if (poll(&p, 1, 100) == 1)
			closed = recv(fd, buf, sizeof(buf), 0) <= 0;
	}
	assert_true(closed);
	ap_http_server_stop(s, 1000);
}

/* One that stops to read an answer, but stays, as well. */
static void test_client_that_reads_no_more(void **state)
{
	struct ap_http_server *s = start(1, 1, NULL);
	_cleanup_fd_ int fd = dial(s);
	char c;

	assert_int_equal(ap_write_all(fd, "GET /api/flood" END, strlen("GET /api/flood" END)), 0);
	assert_int_equal(read(fd, &c, 1), 1);
	sem_wait(&entered);
	assert_int_equal(stream_result, -EPIPE);
	ap_http_server_stop(s, 1000);
}

static void *stop_server(void *arg)
{
	ap_http_server_stop(arg, 20000);
	return NULL;
}

static void test_stop_waits(void **state)
{
	struct ap_http_server *s = start(1, 0, NULL);
	pthread_t client, stopper;
	void *answer;

	assert_int_equal(pthread_create(&client, NULL, ask_held, s), 0);
	sem_wait(&entered);
	assert_int_equal(pthread_create(&stopper, NULL, stop_server, s), 0);
	sem_post(&gate);
	pthread_join(client, &answer);
	expect(answer, 200, "held");
	pthread_join(stopper, NULL);
}

static void test_static(void **state)
{
	char dir[] = "/tmp/aperture-http-XXXXXX", path[64], gz[64];
	struct ap_http_static *files;
	struct ap_error err;
	struct ap_http_server *s;
	char *a;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/index.html", dir);
	snprintf(gz, sizeof(gz), "%s/index.html.gz", dir);
	assert_int_equal(ap_write_file_atomic(path, "<page>", 6, 0644, false), 0);
	assert_int_equal(ap_write_file_atomic(gz, "GZIP", 4, 0644, false), 0);
	assert_int_equal(ap_http_static_load(dir, &files, &err), 0);
	s = start(1, 0, files);

	a = ask(s, "GET /any/page" END);
	assert_has(a, "\r\n\r\n<page>");
	assert_has(a, "Vary: Accept-Encoding\r\n");
	assert_has(a, "Cache-Control: no-cache\r\n");
	free(a);
#define WITH(h) " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" h "\r\n\r\n"
	expect(ask(s, "GET /" WITH("Accept-Encoding: br, gzip;q=0.5")), 200,
	       "Content-Encoding: gzip\r\n");
	expect(ask(s, "GET /" WITH("Accept-Encoding: gzip;q=0")), 200, "<page>");
	expect(ask(s, "GET /" WITH("If-None-Match: *")), 304, "ETag: \"");
	expect(ask(s, "GET /%%2e%%2e/%%2e%%2e/etc/passwd.txt" END), 404, "not_found");
	expect(ask(s, "GET /../../../../etc/passwd" END), 200, "<page>");
	expect(ask(s, "GET /api/none" END), 404, "not_found");
	expect(ask(s, "GET /api" END), 404, "not_found");
	expect(ask(s, "POST /" END), 405, "Allow: GET, HEAD");
	ap_http_server_stop(s, 1000);
	ap_http_static_free(files);
	unlink(path);
	unlink(gz);
	rmdir(dir);
}

static void test_port_in_use(void **state)
{
	char listen[32];
	const struct ap_http_options opt = {.listen = listen, .listen_flag = "--listen"};
	struct ap_http_server *s = NULL;
	struct ap_error err = {0};

	snprintf(listen, sizeof(listen), "127.0.0.1:%u", ap_http_server_port(server));
	assert_int_equal(ap_http_server_start(&opt, &s, &err), -EADDRINUSE);
	assert_non_null(strstr(err.msg, "choose another port with --listen"));
	assert_null(s);
}

static int setup(void **state)
{
	sem_init(&gate, 0, 0);
	sem_init(&entered, 0, 0);
	server = start(2, 0, NULL);
	return 0;
}

static int teardown(void **state)
{
	ap_http_server_stop(server, 1000);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_security_headers),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_too_many_parameters),
		cmocka_unit_test(test_header_too_large),
		cmocka_unit_test(test_host_and_origin),
		cmocka_unit_test(test_json_body),
		cmocka_unit_test(test_body_limit),
		cmocka_unit_test(test_pipelining),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_stream_client_leaves),
		cmocka_unit_test(test_handler_learns_that_the_client_left),
		cmocka_unit_test(test_quick_while_busy),
		cmocka_unit_test(test_overload),
		cmocka_unit_test(test_slow_client),
		cmocka_unit_test(test_client_that_reads_no_more),
		cmocka_unit_test(test_stop_waits),
		cmocka_unit_test(test_static),
		cmocka_unit_test(test_port_in_use),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
