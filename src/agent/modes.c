/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/profiler.h"

static const struct {
	const char *name;
	uint32_t modes;
} names[] = {
	{"cpu", AP_MODE_CPU},
	{"offcpu", AP_MODE_OFFCPU},
	{"lock", AP_MODE_LOCK},
	{"syscall", AP_MODE_SYSCALL},
	{"wall", AP_MODE_CPU | AP_MODE_OFFCPU},
};

int ap_modes_parse(const struct ap_strings *list, uint32_t *ret, struct ap_error *err)
{
	uint32_t modes = 0;

	for (size_t i = 0; i < list->n; i++) {
		uint32_t found = 0;

		for (size_t k = 0; k < AP_ARRAY_SIZE(names); k++)
			if (strcmp(list->p[i], names[k].name) == 0)
				found = names[k].modes;
		if (!found)
			return ap_error_set(
				err, -EINVAL,
				"there is no mode '%s': choose among cpu, offcpu, lock, syscall and "
				"wall (cpu and offcpu)",
				list->p[i]);
		modes |= found;
	}
	*ret = modes ? modes : AP_MODE_CPU;
	return 0;
}

const char *ap_mode_name(uint32_t mode)
{
	for (size_t i = 0; i < AP_ARRAY_SIZE(names); i++)
		if (names[i].modes == mode && (mode & (mode - 1)) == 0)
			return names[i].name;
	return NULL;
}
