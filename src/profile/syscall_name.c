/* SPDX-License-Identifier: Apache-2.0 */
/* Names of calls and errors, from the headers of the kernel at build time (tools/syscall_names.py). */
#include "profile/syscall.h"

#include <stdio.h>

#include "syscall_names.h"

static const struct {
	const char *name;
	const char *const *calls;
	size_t n;
} abis[AP_SYSCALL_ABI_MAX] = {
	[AP_SYSCALL_NATIVE] = {AP_SYSCALL_NATIVE_TEXT, syscalls_native,
			       AP_ARRAY_SIZE(syscalls_native)},
	[AP_SYSCALL_COMPAT] = {AP_SYSCALL_COMPAT_TEXT, syscalls_compat,
			       AP_ARRAY_SIZE(syscalls_compat)},
	[AP_SYSCALL_X32] = {AP_SYSCALL_X32_TEXT, syscalls_x32, AP_ARRAY_SIZE(syscalls_x32)},
};

const char *ap_syscall_name(enum ap_syscall_abi abi, uint32_t number)
{
	if (abi >= AP_SYSCALL_ABI_MAX || number >= abis[abi].n)
		return NULL;
	return abis[abi].calls[number];
}

void ap_syscall_text(enum ap_syscall_abi abi, uint32_t number, char ret[AP_SYSCALL_NAME_BYTES])
{
	const char *name = ap_syscall_name(abi, number);

	if (name)
		snprintf(ret, AP_SYSCALL_NAME_BYTES, "%s", name);
	else
		snprintf(ret, AP_SYSCALL_NAME_BYTES, "syscall_%u", number);
}

const char *ap_syscall_abi_name(enum ap_syscall_abi abi)
{
	return abi < AP_SYSCALL_ABI_MAX ? abis[abi].name : "unknown";
}

const char *ap_errno_name(uint32_t number)
{
	return number < AP_ARRAY_SIZE(errors) ? errors[number] : NULL;
}
