/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control.h"

#include "../test.h"
#include "base/clock.h"

#define S	AP_NSEC_PER_SEC
#define MINUTE	(60 * S)
#define NOW	(1000 * S)
#define OWN_HZ	99
#define OWN_MAX 1000

static struct ap_control control(bool accepted)
{
	const struct ap_control_limits limits = {accepted, OWN_MAX, 60 * MINUTE};
	const struct ap_profiler_setting own = {AP_MODE_CPU, OWN_HZ, AP_NSEC_PER_MSEC};
	struct ap_control c;

	ap_control_init(&c, &limits, &own);
	return c;
}

static void assert_own(const struct ap_control *c)
{
	assert_memory_equal(&c->wanted, &c->own, sizeof(c->own));
	assert_int_equal(ap_control_remaining(c, NOW), 0);
}

static void settings_are_followed_for_their_time(void **state)
{
	const struct ap_settings s = {2, {"offcpu", "lock"}, 999, 100000, MINUTE};
	struct ap_control c = control(true);

	assert_own(&c);
	assert_true(ap_control_take(&c, 5, &s, NOW));
	assert_int_equal(c.wanted.modes, AP_MODE_OFFCPU | AP_MODE_LOCK);
	assert_int_equal(c.wanted.frequency_hz, 999);
	assert_int_equal(c.wanted.wait_threshold_ns, 100000);
	assert_int_equal(ap_control_remaining(&c, NOW + 10 * S), 50 * S);
	assert_false(ap_control_expire(&c, NOW + MINUTE - 1));
	assert_true(ap_control_expire(&c, NOW + MINUTE));
	assert_own(&c);
	assert_false(ap_control_expire(&c, NOW + MINUTE + 1));
	assert_int_equal(c.version, 5);
}

static void what_is_left_out_is_its_own(void **state)
{
	const struct ap_settings s = {.frequency_hz = 500, .remaining_ns = MINUTE};
	struct ap_control c = control(true);

	assert_true(ap_control_take(&c, 1, &s, NOW));
	assert_int_equal(c.wanted.modes, AP_MODE_CPU);
	assert_int_equal(c.wanted.frequency_hz, 500);
	assert_int_equal(c.wanted.wait_threshold_ns, AP_NSEC_PER_MSEC);
}

/* Answers to batches that were made before may come later. */
static void a_version_is_followed_once(void **state)
{
	const struct ap_settings s = {.frequency_hz = 500, .remaining_ns = MINUTE}, reset = {0};
	struct ap_control c = control(true);

	assert_true(ap_control_take(&c, 7, &s, NOW));
	assert_false(ap_control_take(&c, 7, &s, NOW + S));
	assert_int_equal(ap_control_remaining(&c, NOW), MINUTE);
	assert_false(ap_control_take(&c, 6, &reset, NOW + S));
	assert_true(ap_control_take(&c, 8, &reset, NOW + S));
	assert_own(&c);
	assert_false(ap_control_take(&c, 7, &s, NOW + S));
	assert_false(ap_control_take(&c, 9, &reset, NOW + S));
	assert_own(&c);
	assert_int_equal(c.version, 9);
}

static void limits_are_the_agents_own(void **state)
{
	static const struct {
		struct ap_settings s;
		const char *says;
	} cases[] = {
		{{.frequency_hz = OWN_MAX + 1, .remaining_ns = MINUTE}, "--remote-max-frequency"},
		{{.frequency_hz = 500, .remaining_ns = 60 * MINUTE + 1}, "--remote-max-time"},
		{{.frequency_hz = 500, .remaining_ns = UINT64_MAX}, "--remote-max-time"},
		{{.wait_threshold_ns = 9999, .remaining_ns = MINUTE}, "threshold"},
		{{.n_modes = 1, .modes = {"exec"}, .remaining_ns = MINUTE}, "no mode 'exec'"},
	};
	const struct ap_settings good = {.frequency_hz = 500, .remaining_ns = MINUTE};

	for (size_t i = 0; i < AP_ARRAY_SIZE(cases); i++) {
		struct ap_control c = control(true);

		assert_true(ap_control_take(&c, 1, &good, NOW));
		assert_false(ap_control_take(&c, 2, &cases[i].s, NOW));
		assert_non_null(strstr(c.error.msg, cases[i].says));
		/* What was in force stays, and the refusal is heard. */
		assert_int_equal(c.wanted.frequency_hz, 500);
		assert_int_equal(c.version, 2);
		assert_true(ap_control_take(&c, 3, &good, NOW));
		assert_int_equal(c.error.code, 0);
	}
}

static void none_are_followed_where_that_is_off(void **state)
{
	const struct ap_settings s = {.frequency_hz = 100, .remaining_ns = MINUTE};
	struct ap_control c = control(false);

	assert_false(ap_control_take(&c, 1, &s, NOW));
	assert_non_null(strstr(c.error.msg, "--remote-control"));
	assert_own(&c);
}

static void what_cannot_be_had_returns_to_its_own(void **state)
{
	const struct ap_settings s = {1, {"lock"}, 0, 0, MINUTE};
	struct ap_control c = control(true);
	struct ap_error why = {0};

	assert_true(ap_control_take(&c, 1, &s, NOW));
	ap_error_set(&why, -ENOTSUP, "not on this kernel");
	ap_control_fail(&c, &why);
	assert_own(&c);
	assert_string_equal(c.error.msg, "not on this kernel");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_are_followed_for_their_time),
		cmocka_unit_test(what_is_left_out_is_its_own),
		cmocka_unit_test(a_version_is_followed_once),
		cmocka_unit_test(limits_are_the_agents_own),
		cmocka_unit_test(none_are_followed_where_that_is_off),
		cmocka_unit_test(what_cannot_be_had_returns_to_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
