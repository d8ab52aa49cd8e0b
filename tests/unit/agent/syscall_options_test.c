/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "agent/syscall_options.h"

#include <errno.h>
#include <sys/syscall.h>

#include "profile/syscall.h"

static struct ap_strings list_of(const char **p)
{
	struct ap_strings list = {0};

	while (p[list.n])
		list.n++;
	memcpy(&list.p, &(void *){p}, sizeof(list.p));
	return list;
}

#define LIST(...) list_of((const char *[]){__VA_ARGS__, NULL})

static int parse(struct ap_strings calls, struct ap_strings errors, struct ap_syscalls_options *ret,
		 struct ap_error *err)
{
	*err = (struct ap_error){0};
	return ap_syscall_options_parse(&calls, &errors, 0, 0, ret, err);
}

static bool has(const struct ap_syscalls_options *o, uint32_t abi, uint32_t number)
{
	return o->chosen.calls[abi][number / 64] >> number % 64 & 1;
}

static bool has_error(const struct ap_syscalls_options *o, uint32_t number)
{
	return o->failed.numbers[number / 64] >> number % 64 & 1;
}

static void names_are_of_all_abis(void **state)
{
	struct ap_syscalls_options o;
	struct ap_error err;

	assert_int_equal(parse(LIST("openat", "read"), LIST(NULL), &o, &err), 0);
	assert_true(o.choosing && !o.chosen.others && !o.failing);
	assert_true(!ap_syscall_stacks_asked(&o));
	for (uint32_t abi = 0; abi < AP_SYSCALL_ABI_MAX; abi++) {
		for (uint32_t n = 0; n < AP_SYSCALL_SET_BITS; n++) {
			const char *name = ap_syscall_name(abi, n);
			bool wanted =
				name && (strcmp(name, "openat") == 0 || strcmp(name, "read") == 0);

			assert_int_equal(has(&o, abi, n), wanted);
		}
	}
	assert_true(has(&o, AP_SYSCALL_NATIVE, SYS_openat));
}

static void what_is_taken_out_is_out_whatever_the_order(void **state)
{
	struct ap_syscalls_options o;
	struct ap_error err;

	assert_int_equal(parse(LIST("!futex"), LIST(NULL), &o, &err), 0);
	assert_true(o.chosen.others && has(&o, AP_SYSCALL_NATIVE, SYS_read));
	assert_false(has(&o, AP_SYSCALL_NATIVE, SYS_futex));
	assert_int_equal(parse(LIST("!read", "read", "write"), LIST(NULL), &o, &err), 0);
	assert_false(o.chosen.others || has(&o, AP_SYSCALL_NATIVE, SYS_read));
	assert_true(has(&o, AP_SYSCALL_NATIVE, SYS_write));
	assert_int_equal(parse(LIST(NULL), LIST(NULL), &o, &err), 0);
	assert_false(o.choosing);
}

static void errors_are_named_or_any(void **state)
{
	struct ap_syscalls_options o;
	struct ap_error err;

	assert_int_equal(parse(LIST(NULL), LIST("ENOENT", "EACCES"), &o, &err), 0);
	assert_true(o.failing && ap_syscall_stacks_asked(&o));
	assert_true(has_error(&o, ENOENT) && has_error(&o, EACCES));
	assert_false(has_error(&o, EBADF));
	assert_int_equal(parse(LIST(NULL), LIST("any"), &o, &err), 0);
	for (uint32_t n = 1; n <= AP_SYSCALL_ERRNO_MAX; n++)
		assert_true(has_error(&o, n));
}

static void a_wrong_name_is_told_with_the_nearest(void **state)
{
	struct ap_syscalls_options o;
	struct ap_error err;

	assert_int_equal(parse(LIST("openta"), LIST(NULL), &o, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "'openta'; did you mean openat?"));
	assert_int_equal(parse(LIST("!raed"), LIST(NULL), &o, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "'raed'; did you mean read?"));
	assert_int_equal(parse(LIST("!"), LIST(NULL), &o, &err), -EINVAL);
	assert_int_equal(parse(LIST(NULL), LIST("ENOENTT"), &o, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "did you mean ENOENT?"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_of_all_abis),
		cmocka_unit_test(what_is_taken_out_is_out_whatever_the_order),
		cmocka_unit_test(errors_are_named_or_any),
		cmocka_unit_test(a_wrong_name_is_told_with_the_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
