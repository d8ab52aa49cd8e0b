/* SPDX-License-Identifier: Apache-2.0 */
/* The client against our own server, and against servers that are none. */
#include "http/client.h"

#include <jansson.h>

#include "../test.h"
#include "http/server.h"

static struct ap_http_server *server;
static struct ap_http_client *client;

static void on_echo(struct ap_http_request *req, void *ctx)
{
	struct ap_str v = {0};
	struct ap_buf b = {0};

	ap_http_query_get(req, "q", &v);
	ap_buf_printf(&b, "{\"q\":\"%.*s\",\"body\":%zu}", AP_STR_ARG(v), ap_http_body(req).n);
	ap_http_reply_json(req, 200, &b);
}

static void on_refuse(struct ap_http_request *req, void *ctx)
{
	struct ap_str status = {0};
	uint64_t n = 0;

	ap_http_query_get(req, "status", &status);
	ap_parse_u64(status, &n);
	ap_http_reply_error(req, (unsigned int)n, "code", NULL, "because\033[31m");
}

static void on_text(struct ap_http_request *req, void *ctx)
{
	struct ap_buf b = {0};

	ap_buf_puts(&b, "hello");
	ap_http_reply(req, 200, "text/plain", &b);
}

static const struct ap_http_route routes[] = {
	{AP_HTTP_GET, "/below/api/echo", on_echo},    {AP_HTTP_POST, "/below/api/echo", on_echo},
	{AP_HTTP_DELETE, "/below/api/gone", on_echo}, {AP_HTTP_GET, "/below/api/refuse", on_refuse},
	{AP_HTTP_GET, "/below/api/text", on_text},
};

static int setup(void **state)
{
	const struct ap_http_options opt = {.listen = "127.0.0.1:0",
					    .listen_flag = "--listen",
					    .routes = routes,
					    .n_routes = AP_ARRAY_SIZE(routes),
					    .reserved = "/below/"};
	struct ap_error err = {0};
	char url[64];

	assert_int_equal(ap_http_server_start(&opt, &server, &err), 0);
	snprintf(url, sizeof(url), "%sbelow/", ap_http_server_url(server));
	assert_int_equal(ap_http_client_new(url, "--server", &client, &err), 0);
	return 0;
}

static int teardown(void **state)
{
	ap_http_client_free(client);
	ap_http_server_stop(server, 1000);
	return 0;
}

static void a_get_carries_its_query_and_a_post_its_body(void **state)
{
	const char *query[] = {"q=a b&c=d+%/\xc3\xa9", NULL};
	struct ap_error err = {0};
	json_t *answer = NULL;

	if (ap_http_client_get(client, "/api/echo", query, &answer, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(json_string_value(json_object_get(answer, "q")), "a b&c=d+%/\xc3\xa9");
	json_decref(answer);
	assert_int_equal(
		ap_http_client_post(client, "/api/echo", AP_STR("{\"x\":1}"), &answer, &err), 0);
	assert_int_equal(json_integer_value(json_object_get(answer, "body")), 7);
	json_decref(answer);
	assert_int_equal(ap_http_client_delete(client, "/api/gone", &answer, &err), 0);
	json_decref(answer);
	assert_int_equal(ap_http_client_get(client, "/api/echo", NULL, &answer, &err), 0);
	assert_int_equal(json_integer_value(json_object_get(answer, "body")), 0);
	json_decref(answer);
}

static void a_refusal_says_what_the_server_said(void **state)
{
	static const struct {
		const char *query;
		int code;
	} cases[] = {
		{"status=400", -EINVAL}, {"status=403", -EACCES}, {"status=404", -ENOENT},
		{"status=413", -EINVAL}, {"status=422", -EINVAL}, {"status=500", -EIO},
		{"status=503", -EBUSY},	 {"status=409", -EEXIST},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(cases); i++) {
		const char *query[] = {cases[i].query, NULL};
		struct ap_error err = {0};
		json_t *answer = NULL;

		assert_int_equal(ap_http_client_get(client, "/api/refuse", query, &answer, &err),
				 cases[i].code);
		assert_int_equal(err.code, cases[i].code);
		assert_non_null(strstr(err.msg, "because?[31m"));
		assert_null(answer);
	}
}

static void what_is_no_aggregator_is_told(void **state)
{
	struct ap_http_client *other = NULL;
	struct ap_error err = {0};
	json_t *answer = NULL;

	assert_int_equal(ap_http_client_get(client, "/api/text", NULL, &answer, &err), -EPROTO);
	assert_non_null(strstr(err.msg, "--server"));
	assert_int_equal(ap_http_client_new("http://127.0.0.1:1", "--server", &other, &err), 0);
	assert_int_equal(ap_http_client_get(other, "/api/echo", NULL, &answer, &err),
			 -ECONNREFUSED);
	assert_non_null(strstr(err.msg, "http://127.0.0.1:1"));
	ap_http_client_free(other);
	assert_null(answer);
}

static void only_http_addresses_are_taken(void **state)
{
	static const char *const bad[] = {
		"", "127.0.0.1:9090", "ftp://host", "file:///etc/passwd", "http://", "http://a b/"};

	for (size_t i = 0; i < AP_ARRAY_SIZE(bad); i++) {
		struct ap_http_client *c = NULL;
		struct ap_error err = {0};

		assert_int_equal(ap_http_client_new(bad[i], "--server", &c, &err), -EINVAL);
		assert_non_null(strstr(err.msg, "--server"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_get_carries_its_query_and_a_post_its_body),
		cmocka_unit_test(a_refusal_says_what_the_server_said),
		cmocka_unit_test(what_is_no_aggregator_is_told),
		cmocka_unit_test(only_http_addresses_are_taken),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
