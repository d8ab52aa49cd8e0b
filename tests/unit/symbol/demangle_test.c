/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/demangle.h"

#include <pthread.h>
#include <signal.h>

#include "../test.h"

static void d_names_are_readable(void **state)
{
	static const struct {
		const char *mangled, *want;
	} names[] = {
		{"_Dmain", "D main"},
		{"_D4main3fooFiZi", "main.foo(int)"},
		{"_D4work5weighFkZm", "work.weigh(uint)"},
		{"_D4work__T4CartTkZQi5totalMFDFkZmZm",
		 "work.Cart!(uint).Cart.total(ulong(uint) delegate)"},
		{"_D4work4mainFAAyaZ9__lambda3MFkZm",
		 "work.main(immutable(char)[][]).__lambda3(uint)"},
		{"_D3std5range10primitives__T5emptyTAyaZQlFNaNbNdNiNfMQsZb",
		 "std.range.primitives.empty!(immutable(char)[]).empty(scope immutable(char)[])"},
		{"_D4core6thread8osthread6Thread6__dtorMFNbNiZv",
		 "core.thread.osthread.Thread.~this()"},
		{"_D4work12__ModuleInfoZ", "ModuleInfo for work"},
		{"_DTi16_D4main3Box3fooMFiZi", "thunk to main.Box.foo(int)"},
		{"_D4main3fooFiZi.part.0", "main.foo(int) [clone .part.0]"},
		{"_D4main3fooFiZi.constprop.0.isra.1", "main.foo(int) [clone .constprop.0.isra.1]"},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *text = NULL;

		assert_int_equal(ap_demangle_d(names[i].mangled, &text), 0);
		assert_string_equal(text, names[i].want);
	}
}

static void other_names_are_none(void **state)
{
	static const char *const names[] = {
		"",
		"main",
		"_D",
		"_DYNAMIC",
		"_DTi16_",
		"_DTi16_foo",
		"_DT",
		"_Dl_relocate",
		"_D4main3fooFiZ",
		"_D4main3fooFiZi!",
		"_D4main3fo",
		"_D99999999999999999999a",
		"_ZN4shop4Cart3addEii",
		"_RNvCskwGfYPst2Cb_3foo16example_function",
		"_D4main3fooFQZi",
	};
	char longest[AP_DEMANGLE_NAME_MAX + 2];
	char *text = NULL;

	for (size_t i = 0; i < AP_ARRAY_SIZE(names); i++)
		assert_int_equal(ap_demangle_d(names[i], &text), -ENOENT);
	snprintf(longest, sizeof(longest), "_D%u", AP_DEMANGLE_NAME_MAX - 6);
	memset(longest + 6, 'a', sizeof(longest) - 6);
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(ap_demangle_d(longest, &text), -ENOENT);
	assert_null(text);
}

/* "_D" and `unit`, again and again, up to a length that would keep libiberty busy for ever. */
static void repeat(char *name, const char *unit, size_t n)
{
	size_t at = 2, bytes = strlen(unit);

	memcpy(name, "_D", 2);
	for (; at + bytes <= n; at += bytes)
		memcpy(name + at, unit, bytes);
	name[at] = 0;
}

/* Associative arrays of which each has the one before it twice. */
static void double_up(char *name, size_t n)
{
	size_t at = (size_t)sprintf(name, "_D1fFAi"), before = at - 2;

	while (at + 16 < n) {
		size_t here = at;

		name[at++] = 'H';
		for (int k = 0; k < 2; k++) {
			size_t back = at - before;

			name[at++] = 'Q';
			name[at++] = (char)('a' + back);
		}
		before = here;
	}
	strcpy(name + at, "Zv");
}

static void hostile_names_end(void **state)
{
	char name[AP_DEMANGLE_NAME_MAX + 1], *text = NULL;

	for (size_t n = 120; n < sizeof(name); n = n * 3 / 2) {
		repeat(name, "1aFC", n);
		assert_int_equal(ap_demangle_d(name, &text), -ETIME);
		repeat(name, "1a__T1aS41a", n);
		assert_int_not_equal(ap_demangle_d(name, &text), 0);
		double_up(name, n);
		assert_int_equal(ap_demangle_d(name, &text), -ETIME);
	}
	assert_null(text);
	assert_int_equal(ap_demangle_d("_D4main3fooFiZi", &text), 0);
	free(text);
}

static void deeply_nested_types_are_survived(void **state)
{
	static const char *const units[] = {"P",   "F",	    "DF", "A",	   "H",
					    "FNk", "C1aMF", "B1", "__T1aT"};
	char name[AP_DEMANGLE_NAME_MAX + 1];

	for (size_t i = 0; i < AP_ARRAY_SIZE(units); i++) {
		_cleanup_free_ char *text = NULL;
		size_t n;

		repeat(name, units[i], sizeof(name) - 1);
		n = strlen(name);
		memmove(name + 4, name + 2, n - 4);
		memcpy(name + 2, "1a", 2);
		ap_demangle_d(name, &text);
	}
}

static void *end_one(void *arg)
{
	char name[201], *text = NULL;

	repeat(name, "1aFC", 200);
	*(int *)arg = ap_demangle_d(name, &text);
	return NULL;
}

/* Whoever started the profiler may have blocked the signal of its timers. */
static void blocked_signals_do_not_matter(void **state)
{
	pthread_t threads[4];
	int results[4] = {0};
	sigset_t all, before, after;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (size_t i = 0; i < AP_ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, end_one, &results[i]), 0);
	end_one(&results[0]);
	pthread_sigmask(SIG_SETMASK, &before, &after);
	for (size_t i = 0; i < AP_ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(results[i], -ETIME);
	}
	assert_true(sigismember(&after, SIGVTALRM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(d_names_are_readable),
		cmocka_unit_test(other_names_are_none),
		cmocka_unit_test(hostile_names_end),
		cmocka_unit_test(deeply_nested_types_are_survived),
		cmocka_unit_test(blocked_signals_do_not_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
