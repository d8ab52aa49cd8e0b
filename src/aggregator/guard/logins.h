/* SPDX-License-Identifier: Apache-2.0 */
/* Failed logins by address: so many at once, then one in so much time. The addresses that failed last are
 * remembered; a form that is slow for one of them is not slow for others. Not thread-safe. */
#ifndef AP_AGGREGATOR_GUARD_LOGINS_H
#define AP_AGGREGATOR_GUARD_LOGINS_H

#include "base/macro.h"

#define AP_LOGINS_ADDRESSES 1024
#define AP_LOGINS_BURST	    5
#define AP_LOGINS_REFILL_NS (12ull * 1000000000) /* time after which a failure is forgiven */

struct ap_logins {
	struct ap_login_failures {
		char from[64];	  /* "" : free */
		uint64_t full_ns; /* when all of them are forgiven, CLOCK_MONOTONIC */
	} p[AP_LOGINS_ADDRESSES];
};

/* How long an address has to wait before it may try again; 0: it may. */
uint64_t ap_logins_wait_ns(const struct ap_logins *l, const char *from, uint64_t now_ns);
void ap_logins_failed(struct ap_logins *l, const char *from, uint64_t now_ns);

#endif
