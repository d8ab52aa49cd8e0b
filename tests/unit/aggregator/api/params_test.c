/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters as handlers see them: over a real server whose only endpoint echoes what it parsed. */
#include "aggregator/api/params.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "../../test.h"
#include "base/io.h"

static const char *const names[] = {AP_PARAMS_SELECTION, "limit", "sort", "by", NULL};
static const char *const body_names[] = {"a.from", "a.to", "a.filter", "max_nodes", NULL};
static const char *const sorts[] = {"self", "total", NULL};

static struct ap_http_server *server;

static void echo(const struct ap_params *p, const struct ap_selection *s)
{
	struct ap_buf b = {0};

	ap_buf_printf(&b, "%" PRId64 " %" PRId64 " %s %u %u", s->query.from_ms, s->query.to_ms,
		      s->query.type->name, s->filter ? s->filter->n : 0, s->query.max_nodes);
	ap_http_reply(p->req, 200, "text/plain", &b);
}

static void on_query(struct ap_http_request *req, void *ctx)
{
	_cleanup_selection_ struct ap_selection s = {0};
	struct ap_params p;
	struct ap_str by;
	unsigned int sort;
	uint64_t limit;

	if (ap_params_query(req, names, &p) && ap_params_selection(&p, "", &s) &&
	    ap_params_uint(&p, "limit", 1, 10, 5, &limit) &&
	    ap_params_choice(&p, "sort", sorts, &sort) && ap_params_label(&p, "by", false, &by))
		echo(&p, &s);
}

static void on_body(struct ap_http_request *req, void *ctx)
{
	_cleanup_selection_ struct ap_selection s = {0};
	struct ap_params p;

	if (ap_params_body(req, body_names, &p) && ap_params_selection(&p, "a.", &s))
		echo(&p, &s);
}

static const struct ap_http_route routes[] = {
	{AP_HTTP_GET, "/q", on_query},
	{AP_HTTP_POST, "/b", on_body},
};

static int setup(void **state)
{
	const struct ap_http_options o = {
		.listen = "127.0.0.1:0",
		.listen_flag = "--listen",
		.routes = routes,
		.n_routes = AP_ARRAY_SIZE(routes),
	};
	struct ap_error err;

	return ap_http_server_start(&o, &server, &err);
}

static int teardown(void **state)
{
	ap_http_server_stop(server, 1000);
	return 0;
}

/* The whole answer to one request, NUL-terminated, to free. */
static char *ask(const char *line, const char *body)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_port = htons(ap_http_server_port(server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	_cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_buf_ struct ap_buf out = {0};
	struct ap_buf in = {0};

	ap_buf_printf(&out,
		      "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
		      "Content-Length: %zu\r\n\r\n%s",
		      line, strlen(body), body);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(ap_write_all(fd, out.p, out.n), 0);
	assert_int_equal(ap_read_fd(fd, 1 << 20, &in), 0);
	ap_buf_byte(&in, '\0');
	return (char *)in.p;
}

static void expect(const char *line, const char *body, const char *status, const char *part)
{
	_cleanup_free_ char *answer = ask(line, body);

	if (strncmp(answer + strlen("HTTP/1.1 "), status, 3) != 0 || !strstr(answer, part))
		fail_msg("%s: expected %s and '%s' in: %s", line, status, part, answer);
}

static void test_selection(void **state)
{
	expect("GET /q?from=1000&to=2500", "", "200", "\r\n1000 2500 cpu:nanoseconds 0 16384");
	expect("GET /q?from=1970-01-01T00:00:01Z&to=1970-01-01T00:01:00Z&type=offcpu:count"
	       "&filter=%7Bservice=%22a%22,host!=%22b%22%7D&max_nodes=7",
	       "", "200", "\r\n1000 60000 offcpu:count 2 7");
	/* A tree needs its root and "(other)". */
	expect("GET /q?from=1&to=2&max_nodes=1", "", "200", "\r\n1 2 cpu:nanoseconds 0 2");
	expect("GET /q?from=1&to=2&filter=", "", "200", "\r\n1 2 cpu:nanoseconds 0 16384");
}

static void test_ranges(void **state)
{
	expect("GET /q?from=2&to=2", "", "400", "\"field\":\"to\"");
	expect("GET /q?from=0&to=34560000000", "", "200", "\r\n0 34560000000 ");
	expect("GET /q?from=0&to=34560000001", "", "400", "400 days");
	expect("GET /q?from=7258118400001&to=7258118400002", "", "400", "out of range");
	expect("GET /q?from=4102444800000&to=4102444800001", "", "400", "lies in the future");
}

static void test_others(void **state)
{
	expect("GET /q?limit=10&sort=total&by=service", "", "200", "");
	expect("GET /q?limit=11", "", "400", "from 1 to 10");
	expect("GET /q?limit=-1", "", "400", "\"field\":\"limit\"");
	expect("GET /q?limit=", "", "400", "\"field\":\"limit\"");
	expect("GET /q?sort=Self", "", "400", "none of: self, total");
	expect("GET /q?by=a%20b", "", "400", "\"field\":\"by\"");
	expect("GET /q?nope=1", "", "400", "\"field\":\"nope\"");
	expect("GET /q?limit=1&limit=1", "", "400", "given twice");
}

static void test_body(void **state)
{
	expect("POST /b", "{\"a\":{\"from\":5,\"to\":\"9\"},\"max_nodes\":3}", "200",
	       "\r\n5 9 cpu:nanoseconds 0 3");
	expect("POST /b", "{\"a\":{\"from\":5,\"until\":9}}", "400", "\"field\":\"a.until\"");
	expect("POST /b", "{\"a\":{\"from\":{\"x\":1}}}", "400", "\"field\":\"a.from\"");
	expect("POST /b", "{\"a\":null}", "400", "\"field\":\"a\"");
	expect("POST /b", "{\"a\":{\"from\":5,\"to\":9},\"a.from\":5}", "400", "given twice");
	expect("POST /b", "3", "400", "bad_json");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_selection),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_body),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
