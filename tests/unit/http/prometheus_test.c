/* SPDX-License-Identifier: Apache-2.0 */
#include "http/prometheus.h"

#include "../test.h"

static void assert_text(struct ap_buf *b, const char *want)
{
	ap_buf_byte(b, '\0');
	assert_string_equal((const char *)b->p, want);
}

static void test_families(void **state)
{
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_prom p = {.out = &b};

	ap_prom_family(&p, "x_total", AP_PROM_COUNTER, "Back\\slash and\nnewline.");
	ap_prom_u64(&p, AP_PROM_LABELS({"a", AP_STR("q\"u\\o\nte")}, {"b", AP_STR("\xff")}), 7);
	ap_prom_u64(&p, AP_PROM_NO_LABELS, UINT64_MAX);
	ap_prom_family(&p, "y", AP_PROM_GAUGE, "Y.");
	ap_prom_double(&p, AP_PROM_NO_LABELS, 0.5);
	ap_prom_double(&p, AP_PROM_LABELS({"n", AP_STR("")}), -1.0 / 0.0);
	assert_int_equal(ap_prom_error(&p), 0);
	assert_text(&b, "# HELP x_total Back\\\\slash and\\nnewline.\n"
			"# TYPE x_total counter\n"
			"x_total{a=\"q\\\"u\\\\o\\nte\",b=\"\xef\xbf\xbd\"} 7\n"
			"x_total 18446744073709551615\n"
			"# HELP y Y.\n# TYPE y gauge\ny 0.5\ny{n=\"\"} -Inf\n");
}

static void test_histogram(void **state)
{
	static const double bounds[] = {0.1, 1};
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_prom p = {.out = &b};
	struct ap_prom_histogram h;

	ap_prom_histogram_init(&h, bounds, 2);
	ap_prom_histogram_observe(&h, 100000000); /* exactly a bound belongs below it */
	ap_prom_histogram_observe(&h, 400000000);
	ap_prom_histogram_observe(&h, 5000000000);
	ap_prom_family(&p, "d_seconds", AP_PROM_HISTOGRAM, "D.");
	ap_prom_histogram_write(&p, AP_PROM_LABELS({"k", AP_STR("v")}), &h);
	assert_int_equal(ap_prom_error(&p), 0);
	assert_text(&b, "# HELP d_seconds D.\n# TYPE d_seconds histogram\n"
			"d_seconds_bucket{k=\"v\",le=\"0.1\"} 1\n"
			"d_seconds_bucket{k=\"v\",le=\"1\"} 2\n"
			"d_seconds_bucket{k=\"v\",le=\"+Inf\"} 3\n"
			"d_seconds_sum{k=\"v\"} 5.5\nd_seconds_count{k=\"v\"} 3\n");
}

static void test_summary(void **state)
{
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_prom p = {.out = &b};

	ap_prom_family(&p, "f_seconds", AP_PROM_SUMMARY, "F.");
	ap_prom_summary(&p, AP_PROM_NO_LABELS, 4, 2500000000);
	assert_int_equal(ap_prom_error(&p), 0);
	assert_text(&b, "# HELP f_seconds F.\n# TYPE f_seconds summary\n"
			"f_seconds_sum 2.5\nf_seconds_count 4\n");
}

static void assert_refused(const char *first, const char *name, enum ap_prom_kind kind)
{
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_prom p = {.out = &b};

	if (first)
		ap_prom_family(&p, first, AP_PROM_GAUGE, "F.");
	assert_int_equal(ap_prom_error(&p), 0);
	ap_prom_family(&p, name, kind, "N.");
	assert_int_equal(ap_prom_error(&p), -EINVAL);
}

static void test_invalid(void **state)
{
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_prom p = {.out = &b};

	assert_refused(NULL, "requests", AP_PROM_COUNTER);
	assert_refused(NULL, "requests_total", AP_PROM_GAUGE);
	assert_refused(NULL, "9lives", AP_PROM_GAUGE);
	assert_refused(NULL, "a-b", AP_PROM_GAUGE);
	assert_refused(NULL, "", AP_PROM_GAUGE);
	assert_refused("twice", "twice", AP_PROM_GAUGE);
	ap_prom_family(&p, "g", AP_PROM_GAUGE, "G.");
	ap_prom_u64(&p, AP_PROM_LABELS({"bad-name", AP_STR("v")}), 1);
	assert_int_equal(ap_prom_error(&p), -EINVAL);
}

static void test_process(void **state)
{
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_prom p = {.out = &b};

	ap_prom_process(&p, "test");
	assert_int_equal(ap_prom_error(&p), 0);
	ap_buf_byte(&b, '\0');
	assert_non_null(strstr((char *)b.p, "aperture_build_info{program=\"test\",version=\""));
	assert_non_null(strstr((char *)b.p, "\nprocess_resident_memory_bytes "));
	assert_non_null(strstr((char *)b.p, "\nprocess_start_time_seconds 1"));
	assert_non_null(strstr((char *)b.p, "\nprocess_open_fds "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_families), cmocka_unit_test(test_histogram),
		cmocka_unit_test(test_summary),	 cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
