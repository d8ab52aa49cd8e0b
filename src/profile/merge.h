/* SPDX-License-Identifier: Apache-2.0 */
/* Putting one profile's rows into another. */
#ifndef AP_PROFILE_MERGE_H
#define AP_PROFILE_MERGE_H

#include "profile/profile.h"

/* Adds all rows of `from` to `into`, with what they refer to; rows are kept as they are. The times
 * covered become the span of both, the period stays only where both have the same. On failure
 * (-ENOMEM, -EOVERFLOW) `into` holds none of the rows. */
int ap_profile_merge(struct ap_profile *into, const struct ap_profile *from);

#endif
