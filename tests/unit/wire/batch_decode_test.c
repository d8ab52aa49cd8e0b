/* SPDX-License-Identifier: Apache-2.0 */
/* Each kind of wrong input is refused with the code and the field that a client's author needs. */
#include <zstd.h>

#include "aggregator.pb-c.h"
#include "sample.h"

/* A message laid out by hand, so that single fields can be spoiled. */
struct raw {
	Aperture__Aggregator__V1__PushRequest request;
	Aperture__Aggregator__V1__Batch batch;
	Aperture__Aggregator__V1__Agent agent;
	Aperture__Aggregator__V1__Mapping mapping, *mappings[1];
	Aperture__Aggregator__V1__Function function, *functions[1];
	Aperture__Aggregator__V1__Frames frames;
	Aperture__Aggregator__V1__Stacks stacks;
	Aperture__Aggregator__V1__LabelSet labels, *label_sets[1];
	Aperture__Aggregator__V1__Samples samples;
	Aperture__Aggregator__V1__LedgerEntry entry, *ledger[1];
	ProtobufCBinaryData strings[4];
	uint32_t one[6], two[2], indices[4], key[2], value[2];
	uint64_t offset[1], count[1], ns[1];
	int64_t time[1];
};

static ProtobufCBinaryData text(const char *s)
{
	return (ProtobufCBinaryData){strlen(s), (uint8_t *)s};
}

static void raw_dictionaries(struct raw *r)
{
	static const char *const strings[] = {"/bin/x", "main", "service", "x"};

	for (size_t i = 0; i < 4; i++)
		r->strings[i] = text(strings[i]);
	r->batch.n_strings = 4;
	r->batch.strings = r->strings;
	aperture__aggregator__v1__mapping__init(&r->mapping);
	r->mapping.path = 1;
	r->mappings[0] = &r->mapping;
	r->batch.n_mappings = 1;
	r->batch.mappings = r->mappings;
	aperture__aggregator__v1__function__init(&r->function);
	r->function.name = 2;
	r->functions[0] = &r->function;
	r->batch.n_functions = 1;
	r->batch.functions = r->functions;
	aperture__aggregator__v1__frames__init(&r->frames);
	r->frames.n_mapping = r->frames.n_function = r->frames.n_line = r->frames.n_kind = 1;
	r->frames.n_offset = r->frames.n_inline_index = 1;
	r->one[0] = r->one[1] = 1;
	r->frames.mapping = &r->one[0];
	r->frames.function = &r->one[1];
	r->frames.line = &r->one[2];
	r->frames.inline_index = &r->one[3];
	r->frames.kind = &r->one[4];
	r->frames.offset = r->offset;
	r->batch.frames = &r->frames;
	aperture__aggregator__v1__stacks__init(&r->stacks);
	r->two[0] = 2;
	r->indices[0] = r->indices[1] = 1;
	r->stacks = (Aperture__Aggregator__V1__Stacks){
		.base = r->stacks.base,
		.n_depth = 1,
		.depth = &r->two[0],
		.n_reason = 1,
		.reason = &r->two[1],
		.n_frames = 2,
		.frames = r->indices,
	};
	r->batch.stacks = &r->stacks;
	aperture__aggregator__v1__label_set__init(&r->labels);
	r->key[0] = 3;
	r->value[0] = 4;
	r->labels.n_key = r->labels.n_value = 1;
	r->labels.key = r->key;
	r->labels.value = r->value;
	r->label_sets[0] = &r->labels;
	r->batch.n_label_sets = 1;
	r->batch.label_sets = r->label_sets;
}

static void raw_init(struct raw *r)
{
	memset(r, 0, sizeof(*r));
	aperture__aggregator__v1__push_request__init(&r->request);
	aperture__aggregator__v1__batch__init(&r->batch);
	aperture__aggregator__v1__agent__init(&r->agent);
	r->request.version = 1;
	r->agent.id = (char *)SAMPLE_AGENT;
	r->agent.host = (char *)"h";
	r->batch.agent = &r->agent;
	r->batch.epoch = r->batch.sequence = 1;
	r->batch.start_time_ns = SAMPLE_START_NS;
	r->batch.end_time_ns = SAMPLE_START_NS + 1000;
	raw_dictionaries(r);
	aperture__aggregator__v1__samples__init(&r->samples);
	r->time[0] = SAMPLE_START_NS;
	r->indices[2] = AP_EVENT_CPU;
	r->one[5] = 1;
	r->indices[3] = 1;
	r->count[0] = 7;
	r->ns[0] = 70;
	r->samples.n_time_delta_ns = r->samples.n_event = r->samples.n_label_set = 1;
	r->samples.n_stack = r->samples.n_count = r->samples.n_value = 1;
	r->samples.time_delta_ns = r->time;
	r->samples.event = &r->indices[2];
	r->samples.label_set = &r->one[5];
	r->samples.stack = &r->indices[3];
	r->samples.count = r->count;
	r->samples.value = r->ns;
	r->batch.samples = &r->samples;
	aperture__aggregator__v1__ledger_entry__init(&r->entry);
	r->ledger[0] = &r->entry;
	r->batch.n_ledger = 1;
	r->batch.ledger = r->ledger;
}

/* Packs without compression. */
static void raw_pack(struct raw *r, struct ap_buf *out)
{
	struct ap_buf batch = {0};

	ap_buf_reserve(&batch, protobuf_c_message_get_packed_size(&r->batch.base) + 1);
	r->request.batch.len = protobuf_c_message_pack(&r->batch.base, batch.p);
	r->request.batch.data = batch.p;
	ap_buf_reserve(out, protobuf_c_message_get_packed_size(&r->request.base));
	out->n += protobuf_c_message_pack(&r->request.base, out->p + out->n);
	ap_buf_free(&batch);
}

static int decode(struct ap_str bytes, const struct ap_batch_limits *limits,
		  struct ap_push_result *result)
{
	struct ap_profile *p = NULL;
	struct ap_batch_meta meta;
	int r;

	memset(result, 0, sizeof(*result));
	r = ap_batch_decode(bytes, limits, &p, &meta, NULL, result);
	assert_true((r == 0) == (p != NULL));
	assert_true((r == 0) == (result->status == AP_PUSH_UNSPECIFIED));
	ap_profile_free(p);
	return r;
}

static void expect(struct raw *r, int err, enum ap_push_code code, const char *text_begins)
{
	_cleanup_buf_ struct ap_buf bytes = {0};
	struct ap_push_result result;

	raw_pack(r, &bytes);
	assert_int_equal(decode(ap_buf_view(&bytes), NULL, &result), err);
	assert_int_equal(result.code, code);
	if (strncmp(result.text, text_begins, strlen(text_begins)) != 0)
		fail_msg("got \"%s\", expected \"%s\"", result.text, text_begins);
}

#define INVALID(r, begins) expect(r, -EINVAL, AP_PUSH_CODE_INVALID_ARGUMENT, begins)

static void the_unspoiled_message_is_taken(void **state)
{
	struct raw r;

	raw_init(&r);
	expect(&r, 0, AP_PUSH_CODE_NONE, "");
}

static void indices_out_of_range_are_named(void **state)
{
	struct raw r;

	raw_init(&r), r.mapping.path = 9;
	INVALID(&r, "mappings.path[0] is 9 but the batch has 4 strings");
	raw_init(&r), r.mapping.build_id = 5;
	INVALID(&r, "mappings.build_id[0] is 5 but");
	raw_init(&r), r.function.name = UINT32_MAX;
	INVALID(&r, "functions.name[0] is 4294967295 but");
	raw_init(&r), r.function.system_name = 5;
	INVALID(&r, "functions.system_name[0] is 5 but");
	raw_init(&r), r.function.file = 5;
	INVALID(&r, "functions.file[0] is 5 but");
	raw_init(&r), r.one[0] = 2;
	INVALID(&r, "frames.mapping[0] is 2 but the batch has 1 mappings");
	raw_init(&r), r.one[1] = 2;
	INVALID(&r, "frames.function[0] is 2 but the batch has 1 functions");
	raw_init(&r), r.indices[1] = 2;
	INVALID(&r, "stacks.frames[1] is 2 but the batch has 1 frames");
	raw_init(&r), r.key[0] = 5;
	INVALID(&r, "label_sets.key[0] is 5 but");
	raw_init(&r), r.value[0] = 5;
	INVALID(&r, "label_sets.value[0] is 5 but");
	raw_init(&r), r.one[5] = 2;
	INVALID(&r, "samples.label_set[0] is 2 but the batch has 1 label sets");
	raw_init(&r), r.indices[3] = 90;
	INVALID(&r, "samples.stack[0] is 90 but the batch has 1 stacks");
}

static void columns_of_different_lengths_are_named(void **state)
{
	struct raw r;

	raw_init(&r), r.frames.n_line = 0;
	INVALID(&r, "frames.line has 0 entries but frames.mapping has 1");
	raw_init(&r), r.frames.n_mapping = 0;
	INVALID(&r, "frames.offset has 1 entries but frames.mapping has 0");
	raw_init(&r), r.stacks.n_reason = 0;
	INVALID(&r, "stacks.reason has 0 entries but stacks.depth has 1");
	raw_init(&r), r.stacks.n_frames = 1;
	INVALID(&r, "stacks.depth[0] is 2 but only 1 entries of stacks.frames are left");
	raw_init(&r), r.stacks.n_frames = 3;
	INVALID(&r, "stacks.frames has 3 entries but the depths add up to 2");
	raw_init(&r), r.labels.n_value = 0;
	INVALID(&r, "label_sets[0] has 1 keys but 0 values");
	raw_init(&r), r.samples.n_count = 0;
	INVALID(&r, "samples.count has 0 entries but samples.time_delta_ns has 1");
	raw_init(&r), r.samples.n_time_delta_ns = 0;
	INVALID(&r, "samples.event has 1 entries but samples.time_delta_ns has 0");
}

static void values_out_of_range_are_named(void **state)
{
	struct raw r;

	raw_init(&r), r.one[3] = 70000;
	INVALID(&r, "frames.inline_index[0] is 70000");
	raw_init(&r), r.one[4] = 77;
	INVALID(&r, "frames.kind[0] is 77");
	raw_init(&r), r.two[1] = 32;
	INVALID(&r, "stacks.reason[0] is 32");
	raw_init(&r), r.two[0] = 4097;
	INVALID(&r, "stacks.depth[0] is 4097, above the limit of 4096");
	raw_init(&r), r.key[1] = 3, r.value[1] = 4, r.labels.n_key = r.labels.n_value = 2;
	INVALID(&r, "label_sets[0] has a key twice");
	raw_init(&r), r.key[0] = 0;
	INVALID(&r, "label_sets[0].key[0] is the empty string");
	raw_init(&r), r.indices[2] = 0;
	INVALID(&r, "samples.event[0] is 0");
	raw_init(&r), r.indices[2] = 99;
	INVALID(&r, "samples.event[0] is 99");
	raw_init(&r), r.count[0] = UINT64_MAX;
	INVALID(&r, "samples.count[0]: the batch's sum is out of range");
	raw_init(&r), r.ns[0] = UINT64_MAX;
	INVALID(&r, "samples.value[0]: the batch's sum is out of range");
	raw_init(&r), r.entry.id = 128;
	INVALID(&r, "ledger[0] has the number 128");
	raw_init(&r), r.entry.count = UINT64_MAX;
	INVALID(&r, "ledger[0].count is too large");
}

static void times_are_checked(void **state)
{
	struct raw r;

	raw_init(&r), r.batch.end_time_ns = SAMPLE_START_NS;
	INVALID(&r, "end_time_ns (1764000000000000000) is not after start_time_ns");
	raw_init(&r), r.batch.start_time_ns = -5;
	INVALID(&r, "start_time_ns is -5");
	raw_init(&r), r.time[0] = SAMPLE_START_NS - 61000000000ll;
	INVALID(&r, "samples.time_delta_ns[0]: the row's time is more than a minute outside");
	raw_init(&r), r.time[0] = INT64_MAX;
	INVALID(&r, "samples.time_delta_ns[0]:");
	raw_init(&r), r.time[0] = INT64_MIN;
	INVALID(&r, "samples.time_delta_ns[0]:");
}

static void the_agent_is_checked(void **state)
{
	static char long_host[300];
	struct raw r;

	memset(long_host, 'h', sizeof(long_host) - 1);
	raw_init(&r), r.batch.agent = NULL;
	INVALID(&r, "agent is not set");
	raw_init(&r), r.agent.id = (char *)"agent-1";
	INVALID(&r, "agent.id is not a UUID");
	raw_init(&r), r.agent.host = long_host;
	INVALID(&r, "agent.host has 299 bytes, above the limit of 255");
	raw_init(&r), r.batch.epoch = 0;
	INVALID(&r, "epoch is 0");
	raw_init(&r), r.batch.sequence = 0;
	INVALID(&r, "sequence is 0");
}

static void another_version_says_what_to_upgrade(void **state)
{
	struct raw r;

	raw_init(&r), r.request.version = 2;
	expect(&r, -EPROTONOSUPPORT, AP_PUSH_CODE_UNSUPPORTED_VERSION,
	       "version is 2 but this aggregator reads version 1: upgrade the aggregator");
	raw_init(&r), r.request.version = 0;
	expect(&r, -EPROTONOSUPPORT, AP_PUSH_CODE_UNSUPPORTED_VERSION,
	       "version is 0 but this aggregator reads version 1: upgrade the agent");
}

static void wrong_envelopes_are_named(void **state)
{
	struct ap_batch_limits small = {.max_raw = 64};
	_cleanup_buf_ struct ap_buf bytes = {0};
	struct ap_push_result result;
	struct raw r;

	raw_init(&r), r.request.encoding = 9;
	INVALID(&r, "encoding 9 is not known");
	raw_init(&r), r.request.encoding = 1;
	expect(&r, -EBADMSG, AP_PUSH_CODE_MALFORMED, "batch: ");
	assert_int_equal(decode(AP_STR("\xff\xff\xff\xff garbage"), NULL, &result), -EBADMSG);
	assert_int_equal(result.code, AP_PUSH_CODE_MALFORMED);
	assert_int_equal(decode(AP_STR(""), NULL, &result), -EPROTONOSUPPORT);
	raw_init(&r);
	raw_pack(&r, &bytes);
	assert_int_equal(decode(ap_buf_view(&bytes), &small, &result), -EFBIG);
	assert_int_equal(result.code, AP_PUSH_CODE_TOO_LARGE);
}

/* Wraps `raw` bytes as zstd with a claimed size. */
static int decode_zstd(struct ap_str raw, uint64_t claimed, struct ap_push_result *result)
{
	Aperture__Aggregator__V1__PushRequest q = APERTURE__AGGREGATOR__V1__PUSH_REQUEST__INIT;
	_cleanup_buf_ struct ap_buf out = {0};
	uint8_t packed[4096];

	q.version = 1;
	q.encoding = APERTURE__AGGREGATOR__V1__ENCODING__ENCODING_ZSTD;
	q.raw_size = claimed;
	q.batch.data = packed;
	q.batch.len = ZSTD_compress(packed, sizeof(packed), raw.p, raw.n, 1);
	assert_false(ZSTD_isError(q.batch.len));
	ap_buf_reserve(&out, protobuf_c_message_get_packed_size(&q.base));
	out.n = protobuf_c_message_pack(&q.base, out.p);
	return decode(ap_buf_view(&out), NULL, result);
}

static void compressed_sizes_are_checked_before_memory_is_taken(void **state)
{
	static char zeros[1 << 20];
	struct ap_str bomb = {zeros, sizeof(zeros)};
	struct ap_push_result result;

	assert_int_equal(decode_zstd(bomb, 1ull << 40, &result), -EFBIG);
	assert_string_equal(result.text, "raw_size is 1099511627776, above the limit of 67108864 "
					 "bytes: push smaller batches");
	assert_int_equal(decode_zstd(bomb, 100, &result), -EINVAL);
	assert_int_equal(decode_zstd(bomb, 0, &result), -EINVAL);
	assert_int_equal(decode_zstd(bomb, sizeof(zeros), &result), -EBADMSG);
	assert_string_equal(result.text,
			    "batch of 1048576 bytes is not a valid protobuf message of "
			    "type aperture.aggregator.v1.Batch");
}

/* Two bytes of wire become dozens in memory: the limit stops that. */
static void memory_is_bounded(void **state)
{
	struct ap_batch_limits limits = {.max_memory = 1 << 20};
	_cleanup_buf_ struct ap_buf batch = {0};
	_cleanup_buf_ struct ap_buf out = {0};
	Aperture__Aggregator__V1__PushRequest q = APERTURE__AGGREGATOR__V1__PUSH_REQUEST__INIT;
	struct ap_push_result result;

	for (int i = 0; i < 100000; i++)
		ap_buf_append(&batch, "\x5a\x00", 2); /* field 11: an empty Mapping */
	q.version = 1;
	q.batch.data = batch.p;
	q.batch.len = batch.n;
	ap_buf_reserve(&out, protobuf_c_message_get_packed_size(&q.base));
	out.n = protobuf_c_message_pack(&q.base, out.p);
	assert_int_equal(decode(ap_buf_view(&out), &limits, &result), -EFBIG);
	assert_int_equal(result.code, AP_PUSH_CODE_TOO_LARGE);
}

static void unknown_fields_are_ignored(void **state)
{
	_cleanup_buf_ struct ap_buf bytes = {0};
	struct ap_push_result result;
	struct raw r;

	raw_init(&r);
	raw_pack(&r, &bytes);
	ap_buf_append(&bytes, "\xf8\x3f\x07", 3); /* field 1023, varint 7 */
	ap_buf_append(&bytes,
		      "\xf2\x3f\x03"
		      "abc",
		      6); /* field 1022, three bytes */
	assert_int_equal(decode(ap_buf_view(&bytes), NULL, &result), 0);
}

static void strings_that_are_not_utf8_are_repaired(void **state)
{
	_cleanup_buf_ struct ap_buf bytes = {0};
	struct ap_push_result result = {0};
	struct ap_profile *p = NULL;
	struct ap_batch_meta meta;
	struct raw r;
	uint32_t id;

	raw_init(&r);
	r.strings[1] = text("ma\xffin");
	r.agent.host = (char *)"h\xc0st";
	raw_pack(&r, &bytes);
	assert_int_equal(ap_batch_decode(ap_buf_view(&bytes), NULL, &p, &meta, NULL, &result), 0);
	assert_int_equal(ap_intern_find(p->strings, AP_STR("ma\xef\xbf\xbdin"), &id), 0);
	assert_string_equal(meta.host, "h\xef\xbf\xbdst");
	ap_profile_free(p);
}

static void every_truncation_is_refused_or_whole(void **state)
{
	struct ap_profile *p = sample_profile(SAMPLE_START_NS, 3);
	struct ap_batch_meta meta = sample_meta(p, 1, 1);
	_cleanup_buf_ struct ap_buf bytes = {0};
	struct ap_push_result result;

	assert_int_equal(ap_batch_encode(p, &meta, &bytes), 0);
	for (size_t n = 0; n < bytes.n; n++)
		assert_true(decode((struct ap_str){(char *)bytes.p, n}, NULL, &result) < 0);
	ap_profile_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_unspoiled_message_is_taken),
		cmocka_unit_test(indices_out_of_range_are_named),
		cmocka_unit_test(columns_of_different_lengths_are_named),
		cmocka_unit_test(values_out_of_range_are_named),
		cmocka_unit_test(times_are_checked),
		cmocka_unit_test(the_agent_is_checked),
		cmocka_unit_test(another_version_says_what_to_upgrade),
		cmocka_unit_test(wrong_envelopes_are_named),
		cmocka_unit_test(compressed_sizes_are_checked_before_memory_is_taken),
		cmocka_unit_test(memory_is_bounded),
		cmocka_unit_test(unknown_fields_are_ignored),
		cmocka_unit_test(strings_that_are_not_utf8_are_repaired),
		cmocka_unit_test(every_truncation_is_refused_or_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
