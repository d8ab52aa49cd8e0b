/* SPDX-License-Identifier: Apache-2.0 */
/* What the labels of a wait for a lock say of it. */
#ifndef AP_AGENT_LOCK_LABELS_H
#define AP_AGENT_LOCK_LABELS_H

#include "agent/rows.h"
#include "profile/profile.h"
#include "symbol/symbolizer.h"

/* Strings of the profile; 0: there is nothing to say. */
struct ap_lock_labels {
	uint32_t domain; /* "kernel": a lock of the kernel's own; else of a program */
	uint32_t
		lock; /* its address in its process; of the kernel's a symbol, or what kind of memory
			    it lies in: no address leaves the agent */
	uint32_t kind;	 /* "mutex", "rwsem write", … */
	uint32_t caller; /* which function of the kernel asks for it */
};

/* Asks for all names of the kernel's data that `rows` speak of, which costs as much as for one. 0 or -ENOMEM. */
int ap_lock_labels_expect(struct ap_symbolizer *s, const struct ap_rows *rows);

/* Of a row of AP_EVENT_LOCK or _WAKER whose stack in `p` is `stack`. `s` may be NULL. 0 or -ENOMEM. */
int ap_lock_labels_find(struct ap_profile *p, struct ap_symbolizer *s, const struct ap_row *row,
			uint32_t stack, struct ap_lock_labels *ret);

#endif
