/* SPDX-License-Identifier: Apache-2.0 */
/* Columns are read as protobuf-c reads them, or left to it. */
#include "../test.h"
#include "wire/batch_internal.h"

typedef Aperture__Aggregator__V1__Samples Samples;
#define SAMPLES (&aperture__aggregator__v1__samples__descriptor)

static uint64_t next(uint64_t *random)
{
	*random = *random * 6364136223846793005ull + 1442695040888963407ull;
	return *random >> 1 >> (*random % 63); /* of any length */
}

/* 1 and the same message, or 0. */
static int same(struct ap_str bytes)
{
	Samples *expected = (Samples *)protobuf_c_message_unpack(SAMPLES, NULL, bytes.n,
								 (const uint8_t *)bytes.p);
	struct ap_arena arena = {0};
	ProtobufCMessage *m = NULL;
	int r = ap_decode_columns(&arena, SAMPLES, bytes, &m);

	if (r > 0) {
		_cleanup_free_ uint8_t *a = NULL, *b = NULL;
		size_t n = protobuf_c_message_get_packed_size(m);

		assert_non_null(expected);
		assert_int_equal(protobuf_c_message_get_packed_size(&expected->base), n);
		a = malloc(n + 1);
		b = malloc(n + 1);
		protobuf_c_message_pack(m, a);
		protobuf_c_message_pack(&expected->base, b);
		assert_memory_equal(a, b, n);
	}
	if (expected)
		protobuf_c_message_free_unpacked(&expected->base, NULL);
	ap_arena_free(&arena);
	return r;
}

static void numbers_of_any_length(void **state)
{
	int64_t times[300];
	uint64_t counts[300];
	uint32_t stacks[300];
	uint8_t bytes[16384];
	uint64_t random = 1;
	size_t used;

	for (size_t n = 0; n <= AP_ARRAY_SIZE(times); n++) {
		Samples s = APERTURE__AGGREGATOR__V1__SAMPLES__INIT;

		for (size_t i = 0; i < n; i++) {
			times[i] = (int64_t)(next(&random) * (random >> 60 & 1 ? 1 : -1ull));
			counts[i] = n % 3 ? next(&random) : 100 + i % 28; /* of a byte each, too */
			stacks[i] = (uint32_t)next(&random);
		}
		if (n) {
			counts[n / 2] = UINT64_MAX;
			times[n / 3] = INT64_MIN;
		}
		s.n_time_delta_ns = s.n_count = s.n_stack = n;
		s.time_delta_ns = times;
		s.count = counts;
		s.stack = stacks;
		used = protobuf_c_message_pack(&s.base, bytes);
		assert_int_equal(same((struct ap_str){(const char *)bytes, used}), 1);
	}
}

static void what_else_there_may_be(void **state)
{
	static const struct {
		struct ap_str bytes;
		int expected;
	} cases[] = {
		{AP_STR(""), 1},
		{AP_STR("\x2a\x02\x01\x02"), 1},	 /* count: 1, 2 */
		{AP_STR("\x2a\x00"), 1},		 /* a column of nothing */
		{AP_STR("\x28\x01"), 0},		 /* not packed */
		{AP_STR("\x2a\x01\x01\x2a\x01\x02"), 0}, /* in two pieces */
		{AP_STR("\x2a\x02\x01\x82"), 0},	 /* ends within a number */
		{AP_STR("\x2a\x03\x01"), 0},		 /* ends within the column */
		{AP_STR("\x7a\x01\x01"), 0},		 /* a column of the future */
		{AP_STR("\x2a\x0b\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), 0}, /* too long */
		{AP_STR("\x2a\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), 1},
		{AP_STR("\x22\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		 1}, /* stack: cut to 32 bits */
		{AP_STR("\xff"), 0},
		{AP_STR("\x2a\x82\x80\x80\x80\x00\x01\x02"), 1},     /* a length of 5 bytes */
		{AP_STR("\x2a\x82\x80\x80\x80\x80\x00\x01\x02"), 0}, /* of 6 */
		{AP_STR("\xaa\x80\x80\x80\x80\x00\x02\x01\x02"), 0}, /* a key of 6 */
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(cases); i++)
		assert_int_equal(same(cases[i].bytes), cases[i].expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_of_any_length),
		cmocka_unit_test(what_else_there_may_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
