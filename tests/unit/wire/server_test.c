/* SPDX-License-Identifier: Apache-2.0 */
/* Client and server over loopback. */
#include <pthread.h>
#include <unistd.h>

#include "../test.h"
#include "base/clock.h"
#include "health.pb-c.h"
#include "wire/client.h"
#include "wire/server.h"

#define SECOND AP_NSEC_PER_SEC

static void echo(void *ctx, struct ap_str request, const atomic_bool *gone, struct ap_buf *reply,
		 struct ap_rpc_status *status)
{
	__atomic_fetch_add((int *)ctx, 1, __ATOMIC_RELAXED);
	if (ap_str_is(request, "endless")) {
		while (!atomic_load(gone))
			sched_yield();
		__atomic_fetch_add((int *)ctx, 1, __ATOMIC_RELAXED);
	}
	if (ap_str_is(request, "refuse"))
		ap_rpc_status_set(status, AP_RPC_INVALID_ARGUMENT, "refused: %d", 7);
	else
		ap_buf_str(reply, request);
}

static struct ap_server *start(const char *listen, int *calls)
{
	struct ap_rpc_method methods[] = {{"/test.Echo/Echo", echo, calls}};
	const char *const services[] = {"test.Echo"};
	struct ap_server_config config = {.listen = listen,
					  .max_message = 1 << 20,
					  .methods = methods,
					  .n_methods = 1,
					  .services = services,
					  .n_services = 1};
	struct ap_server *s = NULL;
	struct ap_error err = {0};

	if (ap_server_start(&config, &s, &err) < 0)
		fail_msg("%s", err.msg);
	return s;
}

static void let_in_who_has_the_word(void *ctx, const struct ap_rpc_caller *caller,
				    struct ap_rpc_status *status)
{
	(void)ctx;
	if (!ap_str_is(caller->authorization, "the word"))
		ap_rpc_status_set(status, AP_RPC_UNAUTHENTICATED, "who are you?");
}

static struct ap_client *connect_to(uint16_t port)
{
	struct ap_client *c = NULL;
	char target[32];

	snprintf(target, sizeof(target), "127.0.0.1:%u", port);
	assert_int_equal(ap_client_new(&(struct ap_client_config){.target = target}, &c, NULL), 0);
	return c;
}

/* One call; the answer's bytes are compared where `expected` is given. */
static enum ap_rpc_code call(struct ap_client *c, const char *method, struct ap_str request,
			     const char *expected)
{
	_cleanup_buf_ struct ap_buf reply = {0};
	struct ap_rpc_status status;

	assert_int_equal(ap_client_call(c, method, request, 10 * SECOND, &reply, &status), 0);
	if (expected)
		assert_true(ap_str_is(ap_buf_view(&reply), expected));
	return status.code;
}

static void calls_are_answered(void **state)
{
	int calls = 0;
	struct ap_server *s = start("127.0.0.1:0", &calls);
	struct ap_client *c = connect_to(ap_server_port(s));
	struct ap_rpc_status status;
	struct ap_buf reply = {0};

	assert_int_equal(call(c, "/test.Echo/Echo", AP_STR("hello"), "hello"), AP_RPC_OK);
	assert_int_equal(call(c, "/test.Echo/Echo", AP_STR(""), ""), AP_RPC_OK);
	assert_int_equal(ap_client_call(c, "/test.Echo/Echo", AP_STR("refuse"), SECOND * 10, &reply,
					&status),
			 0);
	assert_int_equal(status.code, AP_RPC_INVALID_ARGUMENT);
	assert_string_equal(status.text, "refused: 7");
	assert_int_equal(call(c, "/test.Echo/Other", AP_STR("x"), NULL), AP_RPC_UNIMPLEMENTED);
	assert_int_equal(calls, 3);
	ap_client_free(c);
	ap_server_stop(s, SECOND);
}

static void who_is_not_let_in_is_told_so_and_takes_no_place(void **state)
{
	int calls = 0;
	struct ap_rpc_method methods[] = {{"/test.Echo/Echo", echo, &calls}};
	struct ap_server_config config = {.listen = "127.0.0.1:0",
					  .max_calls = 2,
					  .methods = methods,
					  .n_methods = 1,
					  .authorize = let_in_who_has_the_word};
	struct ap_server *s = NULL;
	struct ap_client *c;

	assert_int_equal(ap_server_start(&config, &s, NULL), 0);
	c = connect_to(ap_server_port(s));
	for (int i = 0; i < 5; i++)
		assert_int_equal(call(c, "/test.Echo/Echo", AP_STR("x"), NULL),
				 AP_RPC_UNAUTHENTICATED);
	assert_int_equal(calls, 0);
	ap_client_free(c);
	ap_server_stop(s, 5 * SECOND);
}

static void a_message_above_the_limit_is_refused_and_the_server_goes_on(void **state)
{
	int calls = 0;
	struct ap_server *s = start("127.0.0.1:0", &calls);
	struct ap_client *c = connect_to(ap_server_port(s));
	size_t n = 100 << 20;
	_cleanup_free_ char *big = calloc(1, n);

	assert_int_equal(call(c, "/test.Echo/Echo", (struct ap_str){big, n}, NULL),
			 AP_RPC_RESOURCE_EXHAUSTED);
	assert_int_equal(calls, 0);
	assert_int_equal(call(c, "/test.Echo/Echo", AP_STR("next"), "next"), AP_RPC_OK);
	ap_client_free(c);
	ap_server_stop(s, SECOND);
}

static void *many_calls(void *arg)
{
	for (int i = 0; i < 200; i++)
		if (call(arg, "/test.Echo/Echo", AP_STR("x"), "x") != AP_RPC_OK)
			return (void *)1;
	return NULL;
}

static void calls_run_at_once(void **state)
{
	int calls = 0;
	struct ap_server *s = start("127.0.0.1:0", &calls);
	struct ap_client *c = connect_to(ap_server_port(s));
	pthread_t t[4];
	void *failed;

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, many_calls, c), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(calls, 800);
	ap_client_free(c);
	ap_server_stop(s, SECOND);
}

/* On a port that nobody is given by chance while the server is away: below those that the kernel hands out. */
static struct ap_server *start_apart(int *calls, char *listen, size_t n)
{
	struct ap_rpc_method methods[] = {{"/test.Echo/Echo", echo, calls}};
	struct ap_server_config config = {.listen = listen, .methods = methods, .n_methods = 1};
	struct ap_server *s = NULL;

	for (int port = 10000 + getpid() % 20000; !s && port < 32000; port++) {
		snprintf(listen, n, "127.0.0.1:%d", port);
		ap_server_start(&config, &s, NULL);
	}
	assert_non_null(s);
	return s;
}

static void the_first_call_after_a_restart_is_answered(void **state)
{
	int calls = 0;
	char listen[32];
	struct ap_server *s = start_apart(&calls, listen, sizeof(listen));
	struct ap_client *c = connect_to(ap_server_port(s));

	assert_int_equal(call(c, "/test.Echo/Echo", AP_STR("a"), "a"), AP_RPC_OK);
	ap_server_stop(s, SECOND);
	for (int i = 0; i < 2; i++)
		assert_int_equal(call(c, "/test.Echo/Echo", AP_STR("b"), NULL), AP_RPC_UNAVAILABLE);
	s = start(listen, &calls);
	assert_int_equal(call(c, "/test.Echo/Echo", AP_STR("c"), "c"), AP_RPC_OK);
	ap_client_free(c);
	ap_server_stop(s, SECOND);
}

static void an_address_in_use_is_named(void **state)
{
	int calls = 0;
	struct ap_server *s = start("127.0.0.1:0", &calls), *other = NULL;
	struct ap_server_config config = {0};
	struct ap_error err = {0};
	char listen[32], expected[64];

	snprintf(listen, sizeof(listen), "127.0.0.1:%u", ap_server_port(s));
	snprintf(expected, sizeof(expected), "cannot listen on %s for gRPC: the address is in use",
		 listen);
	config.listen = listen;
	assert_int_equal(ap_server_start(&config, &other, &err), -EADDRINUSE);
	assert_memory_equal(err.msg, expected, strlen(expected));
	config.listen = "nonsense";
	assert_int_equal(ap_server_start(&config, &other, &err), -EINVAL);
	config.listen = "192.0.2.1:0"; /* documentation address: on no machine */
	assert_int_equal(ap_server_start(&config, &other, &err), -EADDRNOTAVAIL);
	ap_server_stop(s, SECOND);
}

static int health(struct ap_client *c, const char *service, enum ap_rpc_code *ret_code)
{
	Grpc__Health__V1__HealthCheckRequest q = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	Grpc__Health__V1__HealthCheckResponse *a;
	_cleanup_buf_ struct ap_buf reply = {0};
	struct ap_rpc_status status;
	uint8_t bytes[64];
	int state = -1;
	size_t n;

	q.service = (char *)service;
	n = grpc__health__v1__health_check_request__pack(&q, bytes);
	assert_int_equal(ap_client_call(c, "/grpc.health.v1.Health/Check",
					(struct ap_str){(char *)bytes, n}, 10 * SECOND, &reply,
					&status),
			 0);
	*ret_code = status.code;
	if (status.code == AP_RPC_OK) {
		a = grpc__health__v1__health_check_response__unpack(NULL, reply.n, reply.p);
		assert_non_null(a);
		state = (int)a->status;
		grpc__health__v1__health_check_response__free_unpacked(a, NULL);
	}
	return state;
}

static void health_is_told(void **state)
{
	int calls = 0;
	struct ap_server *s = start("127.0.0.1:0", &calls);
	struct ap_client *c = connect_to(ap_server_port(s));
	enum ap_rpc_code code;

	assert_int_equal(health(c, "", &code), 2 /* NOT_SERVING */);
	ap_server_set_serving(s, true);
	assert_int_equal(health(c, "", &code), 1 /* SERVING */);
	assert_int_equal(health(c, "test.Echo", &code), 1);
	health(c, "test.Nobody", &code);
	assert_int_equal(code, AP_RPC_NOT_FOUND);
	ap_client_free(c);
	ap_server_stop(s, SECOND);
}

static void *call_endless(void *arg)
{
	struct ap_rpc_status status;
	struct ap_buf reply = {0};

	assert_int_equal(ap_client_call(arg, "/test.Echo/Echo", AP_STR("endless"), 3600 * SECOND,
					&reply, &status),
			 -ECANCELED);
	ap_buf_free(&reply);
	return NULL;
}

static void wait_calls(int *calls, int wanted)
{
	while (__atomic_load_n(calls, __ATOMIC_RELAXED) != wanted)
		sched_yield();
}

static void a_handler_learns_that_the_client_left(void **state)
{
	int calls = 0;
	struct ap_server *s = start("127.0.0.1:0", &calls);
	struct ap_client *c = connect_to(ap_server_port(s)), *other = connect_to(ap_server_port(s));
	struct ap_rpc_status status;
	struct ap_buf reply = {0};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, call_endless, c), 0);
	wait_calls(&calls, 1);
	ap_client_cancel(c);
	assert_int_equal(pthread_join(thread, NULL), 0);
	wait_calls(&calls, 2);
	/* So does one whose deadline has passed. */
	assert_int_equal(ap_client_call(other, "/test.Echo/Echo", AP_STR("endless"), SECOND / 10,
					&reply, &status),
			 0);
	assert_int_equal(status.code, AP_RPC_DEADLINE_EXCEEDED);
	wait_calls(&calls, 4);
	assert_int_equal(call(other, "/test.Echo/Echo", AP_STR("x"), "x"), AP_RPC_OK);
	ap_client_free(c);
	ap_client_free(other);
	ap_server_stop(s, SECOND);
}

static void a_call_to_nobody_fails_at_once(void **state)
{
	struct ap_client *c = connect_to(1);

	assert_int_equal(call(c, "/test.Echo/Echo", AP_STR("x"), NULL), AP_RPC_UNAVAILABLE);
	ap_client_cancel(c);
	struct ap_rpc_status status;
	struct ap_buf reply = {0};
	assert_int_equal(ap_client_call(c, "/test.Echo/Echo", AP_STR("x"), SECOND, &reply, &status),
			 -ECANCELED);
	ap_client_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_are_answered),
		cmocka_unit_test(who_is_not_let_in_is_told_so_and_takes_no_place),
		cmocka_unit_test(a_message_above_the_limit_is_refused_and_the_server_goes_on),
		cmocka_unit_test(calls_run_at_once),
		cmocka_unit_test(the_first_call_after_a_restart_is_answered),
		cmocka_unit_test(an_address_in_use_is_named),
		cmocka_unit_test(health_is_told),
		cmocka_unit_test(a_handler_learns_that_the_client_left),
		cmocka_unit_test(a_call_to_nobody_fails_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
