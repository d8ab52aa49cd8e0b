/* SPDX-License-Identifier: Apache-2.0 */
/* The agents that push here: who they are, when they were last heard, what they lost, what they
 * cost; and which of their batches have been accepted, so that a repeated one counts once.
 *
 * Accepted sequences are kept per (agent, epoch) as sorted ranges; of an agent's epochs the latest
 * AP_EPOCHS_MAX are kept. Thread-safe. */
#ifndef AP_AGGREGATOR_INGEST_AGENTS_H
#define AP_AGGREGATOR_INGEST_AGENTS_H

#include "wire/batch.h"

#define AP_EPOCHS_MAX 8
#define AP_AGENTS_MAX 16384

enum ap_agent_state {
	AP_AGENT_OK,
	AP_AGENT_STALE, /* silent for longer than stale_ns */
	AP_AGENT_LEFT,	/* said that it stops */
};
const char *ap_agent_state_name(enum ap_agent_state s); /* "ok", "stale", "left" */

struct ap_agent_info {
	struct ap_batch_meta meta; /* of the latest batch; `ledger` holds that batch's deltas */
	enum ap_agent_state state;
	int64_t first_seen_ns, last_seen_ns; /* Unix, by the aggregator's clock */
	uint64_t batches;
	uint64_t periods;	 /* CPU sampling periods accepted */
	struct ap_ledger ledger; /* sums since the aggregator's start, `stacks` too */
	/* Its cost as a share of the whole host (process + BPF, over all CPUs) between its last two
	 * batches; -1 = not known yet. */
	double cpu_share;
};

struct ap_agents;

/* `stale_ns`: silence after which an agent counts as stale; 0 = 30 s. */
int ap_agents_new(uint64_t stale_ns, struct ap_agents **ret); /* 0, -ENOMEM */
void ap_agents_free(struct ap_agents *a);

/* Claims a batch: 0: new, and now marked as accepted; -EEXIST: accepted before; -ESTALE: of an epoch
 * older than the latest AP_EPOCHS_MAX; -ENOSPC: AP_AGENTS_MAX agents are known already and all of
 * them have been heard within the hour; -ENOMEM. A claim that the caller cannot honour is taken back
 * with ap_agents_unclaim() before another thread's claim can be answered: both run under
 * ap_agents_lock(). */
void ap_agents_lock(struct ap_agents *a);
void ap_agents_unlock(struct ap_agents *a);
int ap_agents_claim(struct ap_agents *a, const struct ap_batch_meta *meta, int64_t now_ns);
void ap_agents_unclaim(struct ap_agents *a, const struct ap_batch_meta *meta);
/* Counts an accepted batch; under the lock. */
void ap_agents_accepted(struct ap_agents *a, const struct ap_batch_meta *meta, uint64_t periods,
			int64_t now_ns);

/* Makes an agent known from what the store remembers, before the first push: it counts as heard at
 * `last_seen_ns`. Sums of `info` (batches, periods, ledger) are where counting goes on. An agent that
 * is known already is left as it is. 0, -ENOSPC, -ENOMEM. */
int ap_agents_restore(struct ap_agents *a, const struct ap_agent_info *info);

/* A copy of all agents at `now_ns`, sorted by host, then id; free() it. 0, -ENOMEM. Takes the lock.
 */
int ap_agents_list(struct ap_agents *a, int64_t now_ns, struct ap_agent_info **ret, size_t *ret_n);
/* How many were heard in [from, to), and how many should have been: those, and the ones heard within
 * the hour before it that did not say that they stop. */
void ap_agents_hosts(struct ap_agents *a, int64_t from_ns, int64_t to_ns, uint32_t *ret_reporting,
		     uint32_t *ret_expected);

#endif
