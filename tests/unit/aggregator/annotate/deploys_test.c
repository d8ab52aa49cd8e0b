/* SPDX-License-Identifier: Apache-2.0 */
/* Which sightings become a marker, and what of it is on file. */
#include "aggregator/annotate/deploys.h"

#include <jansson.h>

#include "../../test.h"

#define T0     1764000000000ll
#define MINUTE 60000ll
#define DAY    86400000ll

static char folder[64], path[96];
static struct ap_annotations *annotations;
static struct ap_deploys *deploys;

static void start(void)
{
	struct ap_error err = {0};

	if (ap_annotations_open(path, &annotations, &err) < 0 ||
	    ap_deploys_open(annotations, &deploys, &err) < 0)
		fail_msg("%s", err.msg);
}

static void stop(void)
{
	ap_deploys_close(AP_TAKE_PTR(deploys));
	ap_annotations_close(AP_TAKE_PTR(annotations));
}

static int set_up(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/ap-deploys-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/state.db", folder);
	start();
	return 0;
}

static int tear_down(void **state)
{
	char command[96];

	stop();
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static void see_program(const char *program, const char *build, const char *version,
			const char *host, int64_t at_ms)
{
	const struct ap_sighting s = {
		.service = AP_STR("web"),
		.host = ap_str_of(host),
		.program = ap_str_of(program),
		.build = ap_str_of(build),
		.version = ap_str_of(version),
		.at_ms = at_ms,
	};

	assert_int_equal(ap_deploys_see(deploys, &s), 0);
}

static void see(const char *build, const char *host, int64_t at_ms)
{
	see_program("web", build, "", host, at_ms);
}

static void save(void)
{
	struct ap_error err = {0};

	if (ap_deploys_save(deploys, &err) < 0)
		fail_msg("%s", err.msg);
}

/* All annotations after a save, newest first; json_decref() it. */
static json_t *list_of(const char *filter_text)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *filter = NULL;
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_annotation_query q = {.from_ms = 0, .to_ms = INT64_MAX, .kind = -1, .limit = 100};
	struct ap_error err = {0};
	uint64_t cut;
	json_t *v;

	save();
	assert_int_equal(ap_filter_parse(ap_str_of(filter_text), &filter, NULL, &err), 0);
	q.filter = filter;
	ap_buf_byte(&b, '[');
	if (ap_annotations_list(annotations, &q, &b, &cut, &err) < 0)
		fail_msg("%s", err.msg);
	ap_buf_byte(&b, ']');
	v = json_loadb((const char *)b.p, b.n, 0, NULL);
	assert_non_null(v);
	return v;
}

static json_t *list(void)
{
	return list_of("");
}

static void count_is(size_t expected)
{
	json_t *v = list();

	assert_int_equal(json_array_size(v), expected);
	json_decref(v);
}

static void marker_is(const json_t *v, const char *from, const char *to, int64_t at_ms)
{
	const json_t *d = json_object_get(v, "deploy");

	assert_string_equal(json_string_value(json_object_get(v, "kind")), "deploy");
	assert_string_equal(json_string_value(json_object_get(v, "service")), "web");
	assert_string_equal(json_string_value(json_object_get(json_object_get(d, "from"), "build")),
			    from);
	assert_string_equal(json_string_value(json_object_get(json_object_get(d, "to"), "build")),
			    to);
	assert_int_equal(json_integer_value(json_object_get(v, "from")), at_ms);
}

static size_t hosts_of(const json_t *v)
{
	return json_array_size(json_object_get(json_object_get(v, "deploy"), "hosts"));
}

static void test_the_first_build_is_no_deploy(void **state)
{
	see("a", "h1", T0);
	see("a", "h2", T0 + MINUTE);
	count_is(0);
}

static void test_a_new_build_is_a_deploy_at_its_first_sample(void **state)
{
	json_t *v;

	see("a", "h1", T0);
	see("b", "h1", T0 + 5 * MINUTE);
	see("b", "h1", T0 + 6 * MINUTE);
	v = list();
	assert_int_equal(json_array_size(v), 1);
	marker_is(json_array_get(v, 0), "a", "b", T0 + 5 * MINUTE);
	json_decref(v);
}

static void test_a_rolling_deploy_is_one_marker(void **state)
{
	json_t *v;
	char host[16];

	for (int minute = 0; minute < 60; minute++)
		for (int i = 0; i < 50; i++) {
			snprintf(host, sizeof(host), "h%d", i);
			see(i < minute ? "b" : "a", host, T0 + minute * MINUTE);
		}
	v = list();
	assert_int_equal(json_array_size(v), 1);
	marker_is(json_array_get(v, 0), "a", "b", T0 + MINUTE);
	assert_int_equal(hosts_of(json_array_get(v, 0)), 50);
	json_decref(v);
}

static void test_a_canary_that_goes_is_rolled_back(void **state)
{
	json_t *v;

	see("a", "h1", T0);
	for (int minute = 1; minute < 10; minute++) {
		see("b", "h1", T0 + minute * MINUTE);
		see("a", "h2", T0 + minute * MINUTE + 1000);
	}
	for (int minute = 10; minute < 20; minute++)
		see("a", "h2", T0 + minute * MINUTE);
	v = list();
	assert_int_equal(json_array_size(v), 2);
	marker_is(json_array_get(v, 0), "b", "a", T0 + 9 * MINUTE + 1000);
	marker_is(json_array_get(v, 1), "a", "b", T0 + MINUTE);
	json_decref(v);
}

static void test_a_pause_of_the_new_build_is_no_rollback(void **state)
{
	see("a", "h1", T0);
	see("b", "h1", T0 + MINUTE);
	see("a", "h2", T0 + MINUTE + 10000);
	see("a", "h2", T0 + 3 * MINUTE);
	see("b", "h1", T0 + 3 * MINUTE + 30000);
	see("a", "h2", T0 + 4 * MINUTE);
	count_is(1);
}

static void test_jobs_that_take_turns_are_known_soon(void **state)
{
	for (int hour = 0; hour < 200; hour++)
		for (int minute = 0; minute < 5; minute++)
			see(hour % 2 ? "a" : "b", "h1", T0 + hour * 60 * MINUTE + minute * MINUTE);
	count_is(5); /* one new, two returns of each */
}

static void test_programs_of_one_service_change_together(void **state)
{
	json_t *v;

	see_program("nginx", "a", "1.0", "h1", T0);
	see_program("sh", "s", "1.0", "h1", T0);
	see_program("nginx", "b", "1.1", "h1", T0 + MINUTE);
	see_program("sh", "s", "1.1", "h1", T0 + 2 * MINUTE);
	v = list();
	assert_int_equal(json_array_size(v), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(v, 0), "text")),
			    "nginx 1.0 → 1.1 and 1 more program");
	json_decref(v);
}

static void test_a_version_that_becomes_known_is_no_deploy(void **state)
{
	json_t *v;

	see_program("web", "a", "", "h1", T0);
	see_program("web", "a", "1.0", "h1", T0 + MINUTE);
	see_program("web", "a", "", "h2", T0 + 2 * MINUTE);
	count_is(0);
	see_program("web", "a", "1.1", "h2", T0 + 3 * MINUTE);
	v = list();
	assert_int_equal(json_array_size(v), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(v, 0), "text")),
			    "web 1.0 → 1.1");
	json_decref(v);
}

static void test_late_batches_turn_nothing_around(void **state)
{
	json_t *v;

	see("a", "h1", T0);
	see("b", "h1", T0 + 20 * MINUTE);
	see("b", "h2", T0 + 10 * MINUTE); /* from a spool: it began earlier */
	see("old", "h3", T0 - DAY);	  /* what ran before all that */
	see("a", "h3", T0 + 5 * MINUTE);
	v = list();
	assert_int_equal(json_array_size(v), 1);
	marker_is(json_array_get(v, 0), "a", "b", T0 + 10 * MINUTE);
	json_decref(v);
}

static void test_a_start_knows_what_ran(void **state)
{
	see("a", "h1", T0);
	save();
	stop();
	start();
	see("a", "h1", T0 + MINUTE);
	count_is(0);
	see("b", "h1", T0 + 2 * MINUTE);
	count_is(1);
	stop();
	start();
	see("b", "h1", T0 + 3 * MINUTE);
	see("a", "h2", T0 + 3 * MINUTE);
	count_is(1);
}

static void test_what_could_not_be_saved_is_saved_later(void **state)
{
	struct ap_database *other;
	struct ap_error err = {0};

	see("a", "h1", T0);
	see("b", "h1", T0 + MINUTE);
	assert_int_equal(ap_database_open(path, &other, &err), 0);
	assert_int_equal(ap_database_begin(other, &err), 0);
	assert_int_equal(ap_deploys_save(deploys, &err), -EIO);
	ap_database_rollback(other);
	ap_database_close(other);
	count_is(1);
	stop();
	start();
	see("b", "h1", T0 + 2 * MINUTE);
	count_is(1);
}

static void test_a_filter_leaves_out_what_contradicts_it(void **state)
{
	struct ap_annotation note = {
		.from_ms = T0,
		.to_ms = T0,
		.service = "",
		.body = "{\"text\":\"n\",\"labels\":{\"namespace\":\"shop\"},\"link\":null,"
			"\"deploy\":null}"};
	static const struct {
		const char *filter;
		size_t n;
	} cases[] = {
		{"", 2},
		{"{service=\"web\"}", 2},
		{"{service=\"db\"}", 1},
		{"{namespace=~\"sh.*\"}", 2},
		{"{namespace=\"other\"}", 1},
		{"{namespace=\"other\",service=\"db\"}", 0},
		{"{host=\"h9\"}", 2},
	};
	struct ap_error err = {0};
	uint64_t id;

	assert_int_equal(ap_annotations_put(annotations, &note, &id, &err), 0);
	see("a", "h1", T0);
	see("b", "h1", T0 + MINUTE);
	for (size_t i = 0; i < AP_ARRAY_SIZE(cases); i++) {
		json_t *v = list_of(cases[i].filter);

		if (json_array_size(v) != cases[i].n)
			fail_msg("%s: %zu", cases[i].filter, json_array_size(v));
		json_decref(v);
	}
	assert_int_equal(ap_annotations_delete(annotations, id, &err), 0);
	assert_int_equal(ap_annotations_delete(annotations, id, &err), -ENOENT);
	count_is(1);
}

static void test_programs_are_bounded(void **state)
{
	struct ap_deploys_stats s;
	char name[32];

	for (int i = 0; i < AP_DEPLOY_PROGRAMS_MAX + 10; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		see_program(name, "a", "", "h1", T0 + i);
	}
	ap_deploys_get_stats(deploys, &s);
	assert_int_equal(s.programs, AP_DEPLOY_PROGRAMS_MAX);
	assert_int_equal(s.forgotten, 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_first_build_is_no_deploy),
		TEST(test_a_new_build_is_a_deploy_at_its_first_sample),
		TEST(test_a_rolling_deploy_is_one_marker),
		TEST(test_a_canary_that_goes_is_rolled_back),
		TEST(test_a_pause_of_the_new_build_is_no_rollback),
		TEST(test_jobs_that_take_turns_are_known_soon),
		TEST(test_programs_of_one_service_change_together),
		TEST(test_a_version_that_becomes_known_is_no_deploy),
		TEST(test_late_batches_turn_nothing_around),
		TEST(test_a_start_knows_what_ran),
		TEST(test_what_could_not_be_saved_is_saved_later),
		TEST(test_a_filter_leaves_out_what_contradicts_it),
		TEST(test_programs_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
