/* SPDX-License-Identifier: Apache-2.0 */
/* The service as a client meets it, over a real connection; questions are answered from the buffer
 * alone. */
#include "aggregator/api/grpc.h"

#include "../../wire/sample.h"
#include "aggregator.pb-c.h"
#include "aggregator/query/query.h"
#include "base/clock.h"
#include "wire/client.h"

#define SECOND	1000000000ll
#define SERVICE "/aperture.aggregator.v1.Aggregator/"

struct fixture {
	struct ap_buffer *buffer;
	struct ap_agents *agents;
	struct ap_ingest *ingest;
	struct ap_query_engine *query;
	struct ap_grpc *grpc;
	struct ap_client *client;
	uint64_t too_large; /* messages that it is to have counted at the end */
};

static void begin(struct fixture *f, size_t capacity)
{
	struct ap_buffer_config buffer = {.capacity_bytes = capacity};
	struct ap_client_config client;
	struct ap_error err = {0};
	char target[32];

	f->too_large = 0;
	assert_int_equal(ap_buffer_new(&buffer, &f->buffer), 0);
	assert_int_equal(ap_agents_new(0, &f->agents), 0);
	struct ap_ingest_config ingest = {.buffer = f->buffer, .agents = f->agents};
	assert_int_equal(ap_ingest_new(&ingest, &f->ingest), 0);
	struct ap_query_engine_options query = {.buffer = f->buffer};
	assert_int_equal(ap_query_engine_new(&query, &f->query), 0);
	struct ap_grpc_config grpc = {.listen = "127.0.0.1:0",
				      .ingest = f->ingest,
				      .agents = f->agents,
				      .query = f->query};
	if (ap_grpc_start(&grpc, &f->grpc, &err) < 0)
		fail_msg("%s", err.msg);
	snprintf(target, sizeof(target), "127.0.0.1:%u", ap_grpc_port(f->grpc));
	client = (struct ap_client_config){.target = target};
	assert_int_equal(ap_client_new(&client, &f->client, NULL), 0);
}

static void end(struct fixture *f)
{
	ap_client_free(f->client);
	ap_grpc_stop(f->grpc, AP_NSEC_PER_SEC);
	/* Who scrapes while the aggregator stores what has arrived is told still. */
	assert_int_equal(ap_grpc_too_large(f->grpc), f->too_large);
	ap_grpc_free(f->grpc);
	ap_query_engine_free(f->query);
	ap_ingest_free(f->ingest);
	ap_agents_free(f->agents);
	ap_buffer_free(f->buffer);
}

static enum ap_rpc_code call(struct fixture *f, const char *method, struct ap_str request,
			     struct ap_buf *reply, char text[static 256])
{
	struct ap_rpc_status status;

	assert_int_equal(
		ap_client_call(f->client, method, request, 30 * AP_NSEC_PER_SEC, reply, &status),
		0);
	memcpy(text, status.text, sizeof(status.text));
	return status.code;
}

static struct ap_push_result push_bytes(struct fixture *f, struct ap_str bytes)
{
	_cleanup_buf_ struct ap_buf reply = {0};
	struct ap_push_result result;
	char text[256];

	assert_int_equal(call(f, SERVICE "Push", bytes, &reply, text), AP_RPC_OK);
	assert_int_equal(ap_push_result_decode(ap_buf_view(&reply), &result), 0);
	return result;
}

static struct ap_push_result push(struct fixture *f, int64_t start_ns, size_t rows,
				  uint64_t sequence)
{
	struct ap_profile *p = sample_profile(start_ns, rows);
	struct ap_batch_meta meta = sample_meta(p, 1, sequence);
	_cleanup_buf_ struct ap_buf bytes = {0};

	assert_int_equal(ap_batch_encode(p, &meta, &bytes), 0);
	ap_profile_free(p);
	return push_bytes(f, ap_buf_view(&bytes));
}

static void pushes_are_answered(void **state)
{
	int64_t now = ap_clock_unix_ns() - 3600 * SECOND;
	struct fixture f;
	uint64_t n = 1;
	struct ap_push_result r;

	begin(&f, 256 << 10);
	assert_int_equal(push(&f, now, 500, 1).status, AP_PUSH_OK);
	assert_int_equal(push(&f, now, 500, 1).status, AP_PUSH_DUPLICATE);
	r = push_bytes(&f, AP_STR("not protobuf"));
	assert_int_equal(r.status, AP_PUSH_ERROR);
	assert_int_equal(r.code, AP_PUSH_CODE_MALFORMED);
	while ((r = push(&f, now, 500, ++n)).status == AP_PUSH_OK)
		assert_true(n < 1000);
	assert_int_equal(r.status, AP_PUSH_BACKPRESSURE);
	end(&f);
}

static void a_huge_message_leaves_the_rest_as_it_was(void **state)
{
	struct ap_buffer_stats before, after;
	size_t n = 100 << 20;
	_cleanup_free_ char *big = calloc(1, n);
	_cleanup_buf_ struct ap_buf reply = {0};
	struct fixture f;
	char text[256];

	begin(&f, 0);
	assert_int_equal(push(&f, ap_clock_unix_ns() - 60 * SECOND, 5, 1).status, AP_PUSH_OK);
	ap_buffer_get_stats(f.buffer, &before);
	assert_int_equal(call(&f, SERVICE "Push", (struct ap_str){big, n}, &reply, text),
			 AP_RPC_RESOURCE_EXHAUSTED);
	f.too_large = 1;
	ap_buffer_get_stats(f.buffer, &after);
	assert_int_equal(before.pending_rows, after.pending_rows);
	assert_int_equal(push(&f, ap_clock_unix_ns() - 60 * SECOND, 5, 2).status, AP_PUSH_OK);
	end(&f);
}

/* A QueryRequest over the last hour. */
static void query_bytes(const char *type, const char *filter, int64_t shift_ms, struct ap_buf *out)
{
	Aperture__Aggregator__V1__QueryRequest q = APERTURE__AGGREGATOR__V1__QUERY_REQUEST__INIT;

	q.to_ms = ap_clock_unix_ns() / 1000000 + shift_ms;
	q.from_ms = q.to_ms - 3600000;
	q.type = (char *)type;
	q.filter = (char *)filter;
	ap_buf_reserve(out, protobuf_c_message_get_packed_size(&q.base) + 1);
	out->n = protobuf_c_message_pack(&q.base, out->p);
}

static enum ap_rpc_code query(struct fixture *f, const char *method, const char *type,
			      const char *filter, uint64_t *ret_total, char text[static 256])
{
	_cleanup_buf_ struct ap_buf request = {0};
	_cleanup_buf_ struct ap_buf reply = {0};
	enum ap_rpc_code code;

	query_bytes(type, filter, 1000, &request);
	code = call(f, method, ap_buf_view(&request), &reply, text);
	if (code == AP_RPC_OK) {
		Aperture__Aggregator__V1__QueryResponse *m =
			aperture__aggregator__v1__query_response__unpack(NULL, reply.n, reply.p);

		assert_non_null(m);
		assert_int_equal(m->tree->n_total, m->tree->n_depth);
		*ret_total = m->tree->total[0];
		aperture__aggregator__v1__query_response__free_unpacked(m, NULL);
	}
	return code;
}

static void what_was_pushed_is_queried(void **state)
{
	uint64_t total = 0;
	struct fixture f;
	char text[256];

	begin(&f, 0);
	assert_int_equal(push(&f, ap_clock_unix_ns() - 60 * SECOND, 5, 1).status, AP_PUSH_OK);
	assert_int_equal(query(&f, SERVICE "Query", "cpu:samples", "", &total, text), AP_RPC_OK);
	assert_int_equal(total, 10);
	assert_int_equal(query(&f, SERVICE "Aggregate", "", "{service=\"demo\"}", &total, text),
			 AP_RPC_OK);
	assert_int_equal(total, 10 * 10101010);
	assert_int_equal(query(&f, SERVICE "Query", "", "{service=\"other\"}", &total, text),
			 AP_RPC_OK);
	assert_int_equal(total, 0);
	end(&f);
}

static void wrong_questions_are_refused(void **state)
{
	_cleanup_buf_ struct ap_buf reply = {0};
	uint64_t total;
	struct fixture f;
	char text[256];

	begin(&f, 0);
	assert_int_equal(query(&f, SERVICE "Query", "cpu:apples", "", &total, text),
			 AP_RPC_INVALID_ARGUMENT);
	assert_string_equal(text,
			    "type \"cpu:apples\" is not a profile type, such as cpu:nanoseconds");
	assert_int_equal(query(&f, SERVICE "Query", "", "{service=", &total, text),
			 AP_RPC_INVALID_ARGUMENT);
	assert_memory_equal(text, "filter: ", 8);
	assert_int_equal(call(&f, SERVICE "Query", AP_STR("\xff\xff"), &reply, text),
			 AP_RPC_INVALID_ARGUMENT);
	assert_int_equal(call(&f, SERVICE "Query", AP_STR(""), &reply, text),
			 AP_RPC_INVALID_ARGUMENT);
	assert_int_equal(call(&f, SERVICE "Diff", AP_STR(""), &reply, text),
			 AP_RPC_INVALID_ARGUMENT);
	end(&f);
}

static void two_ranges_are_compared(void **state)
{
	Aperture__Aggregator__V1__DiffRequest q = APERTURE__AGGREGATOR__V1__DIFF_REQUEST__INIT;
	Aperture__Aggregator__V1__QueryRequest a = APERTURE__AGGREGATOR__V1__QUERY_REQUEST__INIT;
	Aperture__Aggregator__V1__QueryRequest b = APERTURE__AGGREGATOR__V1__QUERY_REQUEST__INIT;
	Aperture__Aggregator__V1__DiffResponse *m;
	_cleanup_buf_ struct ap_buf reply = {0};
	int64_t now = ap_clock_unix_ns();
	uint8_t bytes[256];
	struct fixture f;
	char text[256];

	begin(&f, 0);
	assert_int_equal(push(&f, now - 600 * SECOND, 5, 1).status, AP_PUSH_OK);
	assert_int_equal(push(&f, now - 60 * SECOND, 7, 2).status, AP_PUSH_OK);
	a.from_ms = now / 1000000 - 700000;
	a.to_ms = b.from_ms = now / 1000000 - 300000;
	b.to_ms = now / 1000000;
	a.type = b.type = (char *)"cpu:samples";
	q.a = &a;
	q.b = &b;
	size_t n = protobuf_c_message_pack(&q.base, bytes);
	assert_int_equal(call(&f, SERVICE "Diff", (struct ap_str){(char *)bytes, n}, &reply, text),
			 AP_RPC_OK);
	m = aperture__aggregator__v1__diff_response__unpack(NULL, reply.n, reply.p);
	assert_non_null(m);
	assert_int_equal(m->total_a[0], 10);
	assert_int_equal(m->tree->total[0], 14);
	assert_int_equal(m->n_total_a, m->tree->n_total);
	aperture__aggregator__v1__diff_response__free_unpacked(m, NULL);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pushes_are_answered),
		cmocka_unit_test(a_huge_message_leaves_the_rest_as_it_was),
		cmocka_unit_test(what_was_pushed_is_queried),
		cmocka_unit_test(wrong_questions_are_refused),
		cmocka_unit_test(two_ranges_are_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
