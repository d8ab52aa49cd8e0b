/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that drops days older than the retention from the store: at the start, then every
 * hour. A day goes as a whole, once its last second is too old; dropping a partition is cheap and
 * works on every version of the engine. Symbols go when the last frame of their module has. */
#ifndef AP_AGGREGATOR_RETENTION_H
#define AP_AGGREGATOR_RETENTION_H

#include "aggregator/store/store.h"

struct ap_retention;

/* `store` is borrowed. -ENOMEM, -EAGAIN (no thread). */
int ap_retention_start(struct ap_store *store, uint64_t retention_ns, struct ap_retention **ret,
		       struct ap_error *err);
void ap_retention_stop(struct ap_retention *r); /* NULL is fine */
/* Copies why the last round failed; "" and false if it did not. */
bool ap_retention_error(struct ap_retention *r, char *buf, size_t cap);

/* One round, with `now_s` as the time (Unix seconds): 0, or the first error after trying all. */
int ap_retention_apply(struct ap_store *store, uint64_t retention_ns, int64_t now_s,
		       struct ap_error *err);

#endif
