/* SPDX-License-Identifier: Apache-2.0 */
/* System calls on the wire: they come back as they were, and each kind of wrong column is refused. */
#include <zstd.h>

#include "aggregator.pb-c.h"
#include "sample.h"

typedef Aperture__Aggregator__V1__Syscalls Syscalls;

static void add_call(struct ap_profile *p, const char *name, uint64_t ns, uint64_t count)
{
	struct ap_syscall_stat s = {.count = count + 1, .sum_ns = ns * count, .max_ns = ns};
	struct ap_syscall row = {
		.time_ns = p->start_ns, .in_flight = 2, .oldest_ns = 77, .labels = 1};

	row.name = sample_string(p, name);
	row.abi = sample_string(p, "x86-64");
	ap_syscall_counts_add(&s.buckets, ap_latency_bucket(ns), count - 1);
	ap_syscall_counts_add(&s.buckets, ap_latency_bucket(ns / 2), 1);
	ap_syscall_counts_add(&s.errors, 11, 1);
	ap_syscall_counts_add(&s.errors, 4095, 2);
	assert_int_equal(ap_profile_add_syscall(p, &row, &s), 0);
	ap_syscall_stat_free(&s);
}

static void encode(struct ap_buf *out)
{
	struct ap_profile *p = sample_profile(SAMPLE_START_NS, 2);
	struct ap_batch_meta meta;

	add_call(p, "read", 1000, 5);
	add_call(p, "futex", 2000000000, 9);
	meta = sample_meta(p, 1, 1);
	assert_int_equal(ap_batch_encode(p, &meta, out), 0);
	assert_int_equal(ap_batch_calls(p), 6 + 10);
	ap_profile_free(p);
}

static void calls_come_back_as_they_were(void **state)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = NULL;
	struct ap_push_result result = {0};
	_cleanup_buf_ struct ap_buf bytes = {0};
	struct ap_syscall_stat s = {0};
	const struct ap_syscall *row;
	struct ap_batch_meta meta;

	encode(&bytes);
	assert_int_equal(ap_batch_decode(ap_buf_view(&bytes), NULL, &p, &meta, NULL, &result), 0);
	assert_int_equal(p->syscalls.n, 2);
	assert_int_equal(p->samples.n, 2);
	row = &p->syscalls.p[1];
	assert_true(ap_str_is(ap_profile_str(p, row->name), "futex"));
	assert_true(ap_str_is(ap_profile_str(p, row->abi), "x86-64"));
	assert_true(ap_str_is(ap_profile_label_value(p, row->labels, AP_STR("service")), "demo"));
	assert_int_equal(row->time_ns, SAMPLE_START_NS);
	assert_int_equal(row->in_flight, 2);
	assert_int_equal(row->oldest_ns, 77);
	assert_int_equal(ap_profile_syscall_stat(p, row, &s), 0);
	assert_int_equal(s.count, 10);
	assert_int_equal(s.sum_ns, 18000000000);
	assert_int_equal(s.max_ns, 2000000000);
	assert_int_equal(s.buckets.v.n, 2);
	assert_int_equal(s.buckets.v.p[1].number, ap_latency_bucket(2000000000));
	assert_int_equal(s.buckets.v.p[1].count, 8);
	assert_int_equal(s.errors.v.n, 2);
	assert_int_equal(s.errors.v.p[1].number, 4095);
	ap_syscall_stat_free(&s);
}

static void bucket_too_large(Syscalls *s)
{
	s->bucket[1] = AP_LATENCY_BUCKETS;
}
static void bucket_twice(Syscalls *s)
{
	s->bucket[1] = s->bucket[0];
}
static void bucket_empty(Syscalls *s)
{
	s->bucket_count[0] = 0;
}
static void buckets_above_count(Syscalls *s)
{
	s->bucket_count[0] = 7;
}
static void buckets_missing(Syscalls *s)
{
	s->buckets[1] = 3;
}
static void buckets_left(Syscalls *s)
{
	s->buckets[1] = 1;
}
static void bucket_columns(Syscalls *s)
{
	s->n_bucket_count = 1;
}
static void error_zero(Syscalls *s)
{
	s->error[0] = 0;
}
static void error_too_large(Syscalls *s)
{
	s->error[1] = 4096;
}
static void errors_endless(Syscalls *s)
{
	s->error_count[0] = UINT64_MAX;
}
static void no_name(Syscalls *s)
{
	s->name[0] = 0;
}
static void name_out_of_range(Syscalls *s)
{
	s->name[0] = 1000;
}
static void abi_out_of_range(Syscalls *s)
{
	s->abi[0] = 1000;
}
static void labels_out_of_range(Syscalls *s)
{
	s->label_set[0] = 2;
}
static void time_far_away(Syscalls *s)
{
	s->time_delta_ns[0] += 3600000000000ll;
}
static void column_short(Syscalls *s)
{
	s->n_max_ns = 1;
}
static void count_too_large(Syscalls *s)
{
	s->count[0] = UINT64_MAX / 2;
}
static void sum_too_large(Syscalls *s)
{
	s->sum_ns[1] = UINT64_MAX / 2;
}

static const struct {
	void (*spoil)(Syscalls *s);
	const char *field;
} cases[] = {
	{bucket_too_large, "syscalls.bucket[1]"},
	{bucket_twice, "syscalls.bucket[1]"},
	{bucket_empty, "syscalls.bucket_count[0]"},
	{buckets_above_count, "syscalls.bucket_count[0]"},
	{buckets_missing, "syscalls.buckets[1]"},
	{buckets_left, "syscalls.bucket"},
	{bucket_columns, "syscalls.bucket_count"},
	{error_zero, "syscalls.error[0]"},
	{error_too_large, "syscalls.error[1]"},
	{errors_endless, "syscalls.error_count[0]"},
	{no_name, "syscalls.name[0]"},
	{name_out_of_range, "syscalls.name[0]"},
	{abi_out_of_range, "syscalls.abi[0]"},
	{labels_out_of_range, "syscalls.label_set[0]"},
	{time_far_away, "syscalls.time_delta_ns[0]"},
	{column_short, "syscalls.max_ns"},
	{count_too_large, "syscalls[0]"},
	{sum_too_large, "syscalls[1]"},
};

/* The request of encode() with one thing wrong, uncompressed. */
static void encode_spoiled(void (*spoil)(Syscalls *s), struct ap_buf *out)
{
	Aperture__Aggregator__V1__PushRequest *request,
		plain = APERTURE__AGGREGATOR__V1__PUSH_REQUEST__INIT;
	Aperture__Aggregator__V1__Batch *batch;
	_cleanup_buf_ struct ap_buf good = {0}, raw = {0}, bad = {0};

	encode(&good);
	request = aperture__aggregator__v1__push_request__unpack(NULL, good.n, good.p);
	assert_non_null(request);
	assert_non_null(ap_buf_reserve(&raw, request->raw_size));
	assert_int_equal(
		ZSTD_decompress(raw.p, request->raw_size, request->batch.data, request->batch.len),
		request->raw_size);
	batch = aperture__aggregator__v1__batch__unpack(NULL, request->raw_size, raw.p);
	assert_non_null(batch);
	spoil(batch->syscalls);
	assert_non_null(ap_buf_reserve(&bad, protobuf_c_message_get_packed_size(&batch->base)));
	plain.version = 1;
	plain.batch.len = protobuf_c_message_pack(&batch->base, bad.p);
	plain.batch.data = bad.p;
	assert_non_null(ap_buf_reserve(out, protobuf_c_message_get_packed_size(&plain.base)));
	out->n = protobuf_c_message_pack(&plain.base, out->p);
	aperture__aggregator__v1__batch__free_unpacked(batch, NULL);
	aperture__aggregator__v1__push_request__free_unpacked(request, NULL);
}

static void wrong_columns_are_named(void **state)
{
	for (size_t i = 0; i < AP_ARRAY_SIZE(cases); i++) {
		struct ap_profile *p = NULL;
		_cleanup_buf_ struct ap_buf bytes = {0};
		struct ap_push_result result = {0};
		struct ap_batch_meta meta;

		encode_spoiled(cases[i].spoil, &bytes);
		assert_int_equal(
			ap_batch_decode(ap_buf_view(&bytes), NULL, &p, &meta, NULL, &result),
			-EINVAL);
		assert_int_equal(result.code, AP_PUSH_CODE_INVALID_ARGUMENT);
		if (!strstr(result.text, cases[i].field))
			fail_msg("\"%s\" does not name %s", result.text, cases[i].field);
		assert_null(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_come_back_as_they_were),
		cmocka_unit_test(wrong_columns_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
