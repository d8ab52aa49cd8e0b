/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/syscall_options.h"

#include "profile/syscall.h"

static void put(struct ap_syscall_set *set, uint32_t abi, uint32_t number, bool in)
{
	uint64_t bit = 1ull << number % 64, *word = &set->calls[abi][number / 64];

	*word = in ? *word | bit : *word & ~bit;
}

static void choose_all(struct ap_syscalls_options *o)
{
	memset(&o->chosen, 0xff, sizeof(o->chosen));
	o->chosen.others = 1;
}

/* How many ABIs have a call of that name. */
static uint32_t choose(struct ap_syscalls_options *o, const char *name, bool in)
{
	uint32_t found = 0;

	for (uint32_t abi = 0; abi < AP_SYSCALL_ABI_MAX; abi++) {
		for (uint32_t n = 0; n < AP_SYSCALL_SET_BITS; n++) {
			const char *has = ap_syscall_name(abi, n);

			if (!has || strcmp(has, name) != 0)
				continue;
			put(&o->chosen, abi, n, in);
			found++;
		}
	}
	return found;
}

static int unknown_call(const char *name, struct ap_error *err)
{
	_cleanup_free_ const char **names =
		calloc(AP_SYSCALL_ABI_MAX * AP_SYSCALL_SET_BITS + 1, sizeof(*names));
	const char *near;
	size_t k = 0;

	if (!names)
		return ap_error_set(err, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < AP_SYSCALL_ABI_MAX * AP_SYSCALL_SET_BITS; i++) {
		names[k] = ap_syscall_name(i / AP_SYSCALL_SET_BITS, i % AP_SYSCALL_SET_BITS);
		k += names[k] != NULL;
	}
	near = ap_nearest_name(ap_str_of(name), names);
	return ap_error_set(err, -EINVAL, "--syscalls: there is no system call '%.64s'%s%s%s", name,
			    near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static int parse_calls(const struct ap_strings *list, struct ap_syscalls_options *o,
		       struct ap_error *err)
{
	bool any_in = false;

	for (size_t i = 0; i < list->n; i++)
		any_in |= list->p[i][0] != '!';
	o->choosing = list->n > 0;
	if (o->choosing && !any_in)
		choose_all(o);
	/* What is taken out is so whatever the order. */
	for (int in = 1; in >= 0; in--) {
		for (size_t i = 0; i < list->n; i++) {
			bool out = list->p[i][0] == '!';

			if (out != in && !choose(o, list->p[i] + out, in))
				return unknown_call(list->p[i] + out, err);
		}
	}
	return 0;
}

static int unknown_error(const char *name, struct ap_error *err)
{
	const char *names[AP_SYSCALL_ERRNO_MAX + 2], *near;
	size_t k = 0;

	for (uint32_t n = 0; n <= AP_SYSCALL_ERRNO_MAX; n++) {
		names[k] = ap_errno_name(n);
		k += names[k] != NULL;
	}
	names[k] = NULL;
	near = ap_nearest_name(ap_str_of(name), names);
	return ap_error_set(err, -EINVAL,
			    "--syscall-errors: there is no error '%.64s'%s%s%s (any: all of them)",
			    name, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static int parse_errors(const struct ap_strings *list, struct ap_syscalls_options *o,
			struct ap_error *err)
{
	o->failing = list->n > 0;
	for (size_t i = 0; i < list->n; i++) {
		bool any = strcmp(list->p[i], "any") == 0, found = any;

		if (any)
			memset(&o->failed, 0xff, sizeof(o->failed));
		for (uint32_t n = 1; n <= AP_SYSCALL_ERRNO_MAX && !any; n++) {
			const char *has = ap_errno_name(n);

			if (!has || strcmp(has, list->p[i]) != 0)
				continue;
			o->failed.numbers[n / 64] |= 1ull << n % 64;
			found = true;
		}
		if (!found)
			return unknown_error(list->p[i], err);
	}
	return 0;
}

int ap_syscall_options_parse(const struct ap_strings *calls, const struct ap_strings *errors,
			     uint64_t slow_ns, uint64_t rate, struct ap_syscalls_options *ret,
			     struct ap_error *err)
{
	struct ap_syscalls_options o = {.slow_ns = slow_ns, .stack_rate = (uint32_t)rate};
	int r = parse_calls(calls, &o, err);

	if (r == 0)
		r = parse_errors(errors, &o, err);
	if (r == 0)
		*ret = o;
	return r;
}
