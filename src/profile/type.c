/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/profile.h"

const struct ap_profile_type ap_profile_types[] = {
	{"cpu:nanoseconds", "nanoseconds", "CPU time", AP_EVENT_BIT(AP_EVENT_CPU), true},
	{"cpu:samples", "samples", "CPU samples", AP_EVENT_BIT(AP_EVENT_CPU), false},
	{"offcpu:nanoseconds", "nanoseconds", "Off-CPU time", AP_EVENT_BIT(AP_EVENT_OFFCPU), true},
	{"offcpu:count", "count", "Off-CPU waits", AP_EVENT_BIT(AP_EVENT_OFFCPU), false},
	{"wall:nanoseconds", "nanoseconds", "Wall time: on and off the CPU",
	 AP_EVENT_BIT(AP_EVENT_CPU) | AP_EVENT_BIT(AP_EVENT_OFFCPU), true},
	{"lock:nanoseconds", "nanoseconds", "Lock wait time", AP_EVENT_BIT(AP_EVENT_LOCK), true},
	{"lock:count", "count", "Contended lock waits", AP_EVENT_BIT(AP_EVENT_LOCK), false},
	{"waker:nanoseconds", "nanoseconds", "Lock wait time by who ended it",
	 AP_EVENT_BIT(AP_EVENT_WAKER), true},
	{"waker:count", "count", "Lock waits by who ended them", AP_EVENT_BIT(AP_EVENT_WAKER),
	 false},
	{"syscall:nanoseconds", "nanoseconds", "Time in slow and failing system calls",
	 AP_EVENT_BIT(AP_EVENT_SYSCALL), true},
	{"syscall:count", "count", "Slow and failing system calls", AP_EVENT_BIT(AP_EVENT_SYSCALL),
	 false},
};
const size_t ap_profile_type_count = AP_ARRAY_SIZE(ap_profile_types);

const struct ap_profile_type *ap_profile_type_find(struct ap_str name)
{
	for (size_t i = 0; i < ap_profile_type_count; i++)
		if (ap_str_is(name, ap_profile_types[i].name))
			return &ap_profile_types[i];
	return NULL;
}
