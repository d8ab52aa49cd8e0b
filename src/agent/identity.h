/* SPDX-License-Identifier: Apache-2.0 */
/* Who an agent is: a UUID that it keeps for life and an epoch that counts its starts, in the file
 * "identity" of its state folder. With them the aggregator knows each batch, so an epoch must never
 * be used twice: the file is durable before the epoch is. */
#ifndef AP_AGENT_IDENTITY_H
#define AP_AGENT_IDENTITY_H

#include "base/error.h"

struct ap_identity {
	char id[37];	/* a random UUID (RFC 9562, version 4), lower case */
	uint64_t epoch; /* of this start, ≥ 1 */
	int lock_fd;	/* holds the folder's lock until ap_identity_close() */
};

/* Makes the folder if it is missing, locks it, and begins a new epoch. -EBUSY: another agent uses
 * the folder; -EINVAL: the file is not an identity; -EACCES, -ENOSPC, … with `err`. */
int ap_identity_open(const char *state_dir, struct ap_identity *ret, struct ap_error *err);
void ap_identity_close(struct ap_identity *i);

#endif
