/* SPDX-License-Identifier: Apache-2.0 */
/* pprof files as other tools write them, and as attackers do. */
#include "profile/pprof.h"

#include <zlib.h>

#include "../test.h"
#include "profile/format.h"
#include "profile/protobuf.h"

/* A message under construction: "\1" strings, then what each test adds. */
struct file {
	struct ap_buf b;
};

static void put_strings(struct file *f, const char *const *strings)
{
	for (; *strings; strings++)
		ap_pb_put_bytes(&f->b, PPROF_STRING_TABLE, ap_str_of(*strings));
}

/* A sub-message of varint fields 1, 2, … */
static void put(struct file *f, uint32_t number, const uint64_t *values, size_t n)
{
	_cleanup_buf_ struct ap_buf m = {0};

	for (size_t i = 0; i < n; i++)
		ap_pb_put(&m, (uint32_t)i + 1, values[i]);
	ap_pb_put_bytes(&f->b, number, ap_buf_view(&m));
}
#define PUT(f, number, ...)                       \
	put(f, number, (uint64_t[]){__VA_ARGS__}, \
	    sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static int read_file(const struct file *f, struct ap_profile **ret, struct ap_error *err)
{
	return ap_pprof_read(ap_buf_view(&f->b), 1 << 20, ret, err);
}

static const char *const strings[] = {"",    "cpu", "nanoseconds", "samples", "count", "main",
				      "lib", "key", "value",	   "wall",    NULL};
enum { S_CPU = 1, S_NS, S_SAMPLES, S_COUNT, S_MAIN, S_LIB, S_KEY, S_VALUE, S_WALL };

/* Two sample types, a mapping from 0x1000 at file offset 0x200, a function and two locations, ids
 * as odd as they come. */
static void put_basics(struct file *f)
{
	_cleanup_buf_ struct ap_buf location = {0}, line = {0};

	put_strings(f, strings);
	PUT(f, PPROF_SAMPLE_TYPE, S_SAMPLES, S_COUNT);
	PUT(f, PPROF_SAMPLE_TYPE, S_CPU, S_NS);
	PUT(f, PPROF_MAPPING, 70, 0x1000, 0x9000, 0x200, S_LIB);
	PUT(f, PPROF_FUNCTION, UINT64_MAX, S_MAIN, S_MAIN);
	ap_pb_put(&line, PPROF_LINE_FUNCTION, UINT64_MAX);
	ap_pb_put(&line, PPROF_LINE_LINE, 12);
	ap_pb_put(&location, PPROF_LOCATION_ID, 9);
	ap_pb_put(&location, PPROF_LOCATION_MAPPING, 70);
	ap_pb_put(&location, PPROF_LOCATION_ADDRESS, 0x1010);
	ap_pb_put_bytes(&location, PPROF_LOCATION_LINE, ap_buf_view(&line));
	ap_pb_put_bytes(&f->b, PPROF_LOCATION, ap_buf_view(&location));
	PUT(f, PPROF_LOCATION, 8, 0, 0xabc);
}

static void put_sample(struct file *f, const uint64_t *locations, size_t n, uint64_t count,
		       uint64_t value)
{
	_cleanup_buf_ struct ap_buf m = {0};

	ap_pb_put_packed(&m, PPROF_SAMPLE_LOCATION, locations, n);
	ap_pb_put_packed(&m, PPROF_SAMPLE_VALUE, (uint64_t[]){count, value}, 2);
	ap_pb_put_bytes(&f->b, PPROF_SAMPLE, ap_buf_view(&m));
}

static void reads_what_other_tools_write(void **state)
{
	struct file f = {0};
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = NULL;
	struct ap_stack s;
	const struct ap_frame *leaf;

	put_sample(&f, (uint64_t[]){9, 8}, 2, 3, 30); /* samples may precede all else */
	put_basics(&f);
	ap_pb_put(&f.b, PPROF_TIME_NANOS, 1500000000);
	ap_pb_put(&f.b, PPROF_DURATION_NANOS, 500);
	assert_int_equal(read_file(&f, &p, NULL), 0);
	assert_int_equal(p->samples.n, 1);
	assert_int_equal(p->samples.p[0].count, 3);
	assert_int_equal(p->samples.p[0].value, 30);
	assert_int_equal(p->samples.p[0].time_ns, 1000000000);
	assert_int_equal(p->end_ns, 1500000500);
	s = ap_profile_get_stack(p, p->samples.p[0].stack);
	assert_int_equal(s.n, 2);
	assert_int_equal(ap_profile_get_frame(p, s.frames[0])->offset, 0xabc);
	leaf = ap_profile_get_frame(p, s.frames[1]);
	assert_int_equal(leaf->offset, 0x210);
	assert_int_equal(leaf->line, 12);
	assert_true(ap_str_is(ap_profile_str(p, ap_profile_get_function(p, leaf->function)->name),
			      "main"));
	ap_buf_free(&f.b);
}

static void one_number_follows_from_the_other(void **state)
{
	struct file f = {0};
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = NULL;
	_cleanup_buf_ struct ap_buf m = {0};

	put_strings(&f, strings);
	PUT(&f, PPROF_SAMPLE_TYPE, S_SAMPLES, S_COUNT);
	PUT(&f, PPROF_PERIOD_TYPE, S_CPU, S_NS);
	ap_pb_put(&f.b, PPROF_PERIOD, 1000);
	ap_pb_put(&m, PPROF_SAMPLE_VALUE, 7); /* not packed, as old writers do */
	ap_pb_put_bytes(&f.b, PPROF_SAMPLE, ap_buf_view(&m));
	assert_int_equal(read_file(&f, &p, NULL), 0);
	assert_int_equal(p->samples.p[0].count, 7);
	assert_int_equal(p->samples.p[0].value, 7000);
	ap_buf_free(&f.b);
}

static void assert_refused(struct file *f, const char *why)
{
	struct ap_profile *p = NULL;
	struct ap_error err = {0};
	int r = read_file(f, &p, &err);

	if (r == 0 || p || !strstr(err.msg, why))
		fail_msg("'%s' was wanted, got %d '%s'", why, r, err.msg);
	ap_buf_free(&f->b);
}

static void refuses_what_it_does_not_know(void **state)
{
	struct file f = {0};

	put_strings(&f, strings);
	PUT(&f, PPROF_SAMPLE_TYPE, S_WALL, S_LIB);
	assert_refused(&f, "wall/lib");
}

static void refuses_dangling_references(void **state)
{
	struct file f = {0};

	put_basics(&f);
	put_sample(&f, (uint64_t[]){77}, 1, 1, 1);
	assert_refused(&f, "refers to no location");
	put_basics(&f);
	PUT(&f, PPROF_LOCATION, 7, 71);
	assert_refused(&f, "refers to no mapping");
	put_basics(&f);
	PUT(&f, PPROF_FUNCTION, 5, 999);
	assert_refused(&f, "string index");
	put_basics(&f);
	PUT(&f, PPROF_LOCATION, 8);
	assert_refused(&f, "same id");
	put_basics(&f);
	PUT(&f, PPROF_LOCATION, 0, 70);
	assert_refused(&f, "no id");
}

static void refuses_wrong_values(void **state)
{
	struct file f = {0};

	put_basics(&f);
	put_sample(&f, (uint64_t[]){8}, 1, (uint64_t)-5, 1);
	assert_refused(&f, "negative");
	put_basics(&f);
	PUT(&f, PPROF_SAMPLE_TYPE, S_CPU, S_NS);
	put_sample(&f, (uint64_t[]){8}, 1, 1, 1);
	assert_refused(&f, "one value for each");
}

static void every_truncation_is_refused_or_read(void **state)
{
	struct file f = {0};

	put_basics(&f);
	put_sample(&f, (uint64_t[]){9, 8}, 2, 3, 30);
	for (size_t n = 0; n < f.b.n; n++) {
		struct ap_profile *p = NULL;
		struct ap_error err = {0};
		/* Of its own size, so that reading past it shows. */
		_cleanup_free_ char *copy = malloc(n + !n);
		int r;

		memcpy(copy, f.b.p, n);
		r = ap_pprof_read((struct ap_str){copy, n}, 0, &p, &err);
		assert_true(r == 0 ? p != NULL : err.msg[0] && !p);
		ap_profile_free(p);
	}
	ap_buf_free(&f.b);
}

/* 1,000 lines at one location, named a million times, would be a gigaframe. */
static void bounds_what_a_small_file_expands_to(void **state)
{
	struct file f = {0};
	_cleanup_buf_ struct ap_buf location = {0};
	_cleanup_free_ uint64_t *many = calloc(1000000, sizeof(*many));

	put_basics(&f);
	ap_pb_put(&location, PPROF_LOCATION_ID, 5);
	for (int i = 0; i < 1000; i++)
		ap_pb_put_bytes(&location, PPROF_LOCATION_LINE, AP_STR(""));
	ap_pb_put_bytes(&f.b, PPROF_LOCATION, ap_buf_view(&location));
	for (size_t i = 0; i < 1000000; i++)
		many[i] = 5;
	put_sample(&f, many, 1000000, 1, 1);
	assert_refused(&f, "expand to more");
}

static void bounds_decompression(void **state)
{
	_cleanup_free_ uint8_t *zeros = calloc(1, 8 << 20), *packed = malloc(64 << 10);
	struct ap_profile *p = NULL;
	struct ap_error err = {0};
	z_stream z = {
		.next_in = zeros, .avail_in = 8 << 20, .next_out = packed, .avail_out = 64 << 10};

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, MAX_WBITS + 16, 8, 0), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	assert_int_equal(
		ap_profile_read((struct ap_str){(char *)packed, z.total_out}, 1 << 20, &p, &err),
		-EFBIG);
	assert_int_equal(
		ap_profile_read((struct ap_str){(char *)packed, z.total_out / 2}, 0, &p, &err),
		-EINVAL);
	assert_non_null(strstr(err.msg, "cut short"));
}

static void tells_files_apart(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"", "empty"},
		{"<svg/>", "neither"},
		{"{\"exporter\":\"speedscope\"}", "not an Aperture profile"},
		{"{\"format\":\"aperture-profile\",\"version\":9}", "version 9"},
		{"{\"format\":\"aperture-profile\",\"version\":1,", "not valid JSON"},
		{"{\"format\":\"aperture-profile\",\"version\":1,\"strings\":[\"x\"]}",
		 "strings[0]"},
		{"{\"format\":\"aperture-profile\",\"version\":1,\"stacks\":{\"depth\":[5],"
		 "\"reason\":[0],\"frames\":[0]}}",
		 "stacks.depth[0] is out of range"},
		{"{\"format\":\"aperture-profile\",\"version\":1,\"samples\":{\"time_ns\":[1]}}",
		 "samples.event[0] is missing"},
		{"{\"format\":\"aperture-profile\",\"version\":1,\"samples\":{\"time_ns\":[1.5]}}",
		 "whole one"},
		{"{\"format\":\"aperture-profile\",\"version\":1,\"samples\":[]}", "kind"},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(cases); i++) {
		struct ap_profile *p = NULL;
		struct ap_error err = {0};
		int r = ap_profile_read(ap_str_of(cases[i].text), 0, &p, &err);

		if (r != -EINVAL || p || !strstr(err.msg, cases[i].why))
			fail_msg("%s: '%s' was wanted, got %d '%s'", cases[i].text, cases[i].why, r,
				 err.msg);
	}
}

static void json_skips_what_it_does_not_know(void **state)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = NULL;

	assert_int_equal(
		ap_profile_read(AP_STR(" {\"new\":{\"a\":[{\"b\":null}],\"c\":true},\"samples\":{"
				       "\"extra\":[[1],\"x\"],\"time_ns\":[]},\"version\":1,"
				       "\"note\":\"strings\",\"format\":\"aperture-profile\"}"),
				0, &p, NULL),
		0);
	assert_int_equal(p->samples.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_other_tools_write),
		cmocka_unit_test(one_number_follows_from_the_other),
		cmocka_unit_test(refuses_what_it_does_not_know),
		cmocka_unit_test(refuses_dangling_references),
		cmocka_unit_test(refuses_wrong_values),
		cmocka_unit_test(every_truncation_is_refused_or_read),
		cmocka_unit_test(bounds_what_a_small_file_expands_to),
		cmocka_unit_test(bounds_decompression),
		cmocka_unit_test(tells_files_apart),
		cmocka_unit_test(json_skips_what_it_does_not_know),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
