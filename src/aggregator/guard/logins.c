/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/guard/logins.h"

#include <stdio.h>
#include <string.h>

static const struct ap_login_failures *find(const struct ap_logins *l, const char *from)
{
	for (size_t i = 0; i < AP_LOGINS_ADDRESSES; i++)
		if (strcmp(l->p[i].from, from) == 0)
			return &l->p[i];
	return NULL;
}

uint64_t ap_logins_wait_ns(const struct ap_logins *l, const char *from, uint64_t now_ns)
{
	const struct ap_login_failures *f = find(l, from);
	uint64_t allowed = (AP_LOGINS_BURST - 1) * AP_LOGINS_REFILL_NS;

	return f && f->full_ns > now_ns + allowed ? f->full_ns - now_ns - allowed : 0;
}

void ap_logins_failed(struct ap_logins *l, const char *from, uint64_t now_ns)
{
	struct ap_login_failures *f = (struct ap_login_failures *)find(l, from);

	if (!f) { /* in the place of the one that will be forgiven first */
		f = &l->p[0];
		for (size_t i = 1; i < AP_LOGINS_ADDRESSES; i++)
			if (l->p[i].full_ns < f->full_ns)
				f = &l->p[i];
		*f = (struct ap_login_failures){0};
		snprintf(f->from, sizeof(f->from), "%s", from);
	}
	f->full_ns = AP_MAX(f->full_ns, now_ns) + AP_LOGINS_REFILL_NS;
}
