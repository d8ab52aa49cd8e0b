/* SPDX-License-Identifier: Apache-2.0 */
/* Whether others store segments where this process does. What is kept of a store's answers (query/memo.h) stays right
 * only where nobody else adds to them.
 *
 * Who is about to store says so in the store first, and then waits for as long as another may believe to be alone
 * there: whoever does has looked less than AP_PEERS_SURE_NS ago. Who has ended well says that he has left; one that
 * has not said whether he stores counts as one that does. The embedded store has one process. In a cluster, where a
 * server may be behind another, nobody is ever sure to be alone. */
#ifndef AP_AGGREGATOR_STORE_PEERS_H
#define AP_AGGREGATOR_STORE_PEERS_H

#include "aggregator/store/store.h"

#define AP_PEERS_SURE_NS (2 * AP_NSEC_PER_SEC)

/* Before a segment is stored, by one thread at a time: returns when it may be, at once but for the first time where there
 * are others, which takes 3 s. Errors of statements. */
int ap_peers_enter(struct ap_store *s, struct ap_error *err);
/* After the last segment; what an earlier insert may still bring about is waited for by nobody, so it is not said
 * then. Errors of statements, -EBUSY. */
int ap_peers_leave(struct ap_store *s, struct ap_error *err);

/* Whether nobody else stores segments now; thread-safe, asks the store once a second. What was stored while it is
 * true with an equal `ret_turn` is this process's alone. */
bool ap_peers_none(struct ap_store *s, uint64_t *ret_turn);
/* How many others there were when that was last looked at, 0 where it never was; thread-safe. */
uint64_t ap_peers_known(struct ap_store *s);

#endif
