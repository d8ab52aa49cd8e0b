/* SPDX-License-Identifier: Apache-2.0 */
/* The agents that push here: who they are, when they were last heard, what they lost, what they
 * cost; and which of their batches have been accepted, so that a repeated one counts once.
 *
 * And what each is asked to profile for a time, which it hears in the answers to its batches. That is on disk as well:
 * agents return to their own configuration by themselves, but one that starts again within the time asks here.
 *
 * Accepted sequences are kept per (agent, epoch) as sorted ranges; of an agent's epochs the latest
 * AP_EPOCHS_MAX are kept. Thread-safe. */
#ifndef AP_AGGREGATOR_INGEST_AGENTS_H
#define AP_AGGREGATOR_INGEST_AGENTS_H

#include "base/buf.h"
#include "base/error.h"
#include "wire/batch.h"

#define AP_EPOCHS_MAX 32
#define AP_AGENTS_MAX 16384

enum ap_agent_state {
	AP_AGENT_OK,
	AP_AGENT_STALE, /* silent for longer than stale_ns */
	AP_AGENT_LEFT,	/* said that it stops */
};
const char *ap_agent_state_name(enum ap_agent_state s); /* "ok", "stale", "left" */

/* What an agent is asked to do. */
struct ap_wanted {
	uint64_t version;	     /* 0: nothing */
	struct ap_settings settings; /* remaining_ns: for how long at first, 0: back to its own */
	int64_t until_ns;	     /* Unix; nothing is wanted after it */
};

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
	struct ap_wanted wanted;
};

struct ap_agents;

/* `stale_ns`: silence after which an agent counts as stale; 0 = 30 s. */
int ap_agents_new(uint64_t stale_ns, struct ap_agents **ret); /* 0, -ENOMEM */
void ap_agents_free(struct ap_agents *a);
/* From now on what agents are asked is kept in that state.db. Errors of ap_database_open(). */
int ap_agents_keep_wanted(struct ap_agents *a, const char *path, struct ap_error *err);
/* Asks the agents that are known for what they were asked by an earlier run and has not ended at `now_ns`. */
int ap_agents_load_wanted(struct ap_agents *a, int64_t now_ns, struct ap_error *err);

/* Claims a batch: 0: new, and in hand until ap_agents_settle(); -EEXIST: accepted before; -EINPROGRESS: in
 * somebody's hand; -ESTALE: of an epoch older than the latest AP_EPOCHS_MAX; -ENOSPC: AP_AGENTS_MAX agents
 * are known already and all of them have been heard within the hour; -ENOMEM. */
int ap_agents_claim(struct ap_agents *a, const struct ap_batch_meta *meta, int64_t now_ns);
/* Ends a claim: the batch is accepted for good, and counted, or it may come again. */
void ap_agents_settle(struct ap_agents *a, const struct ap_batch_meta *meta, bool accepted,
		      uint64_t periods, int64_t now_ns);

/* Marks a batch as accepted that an earlier run took, without counting it. 0; -EEXIST, -ESTALE, -ENOSPC and
 * -ENOMEM as for a claim. */
int ap_agents_remember(struct ap_agents *a, const struct ap_batch_meta *meta, int64_t received_ns);
/* Appends which batches of whom have been accepted, without those that are in hand, in `max` bytes: gaps
 * of sequences, oldest first, count as accepted where it would take more. 0; -ENOMEM; -EFBIG. */
int ap_agents_save(struct ap_agents *a, size_t max, struct ap_buf *out);
/* Adds what was saved to what is known. 0; -EBADMSG: it is damaged; -ENOMEM. */
int ap_agents_load(struct ap_agents *a, struct ap_str saved);

/* Asks the agent of that id to follow the settings for their `remaining_ns` from now, in place of what it was
 * asked before; 0: to return to its own configuration. The version is greater than any that was used. 0; -ENOENT; an
 * error of ap_database_run(): it could not be written down, and nothing has changed. */
int ap_agents_want(struct ap_agents *a, const char *id, const struct ap_settings *s, int64_t now_ns,
		   struct ap_error *err);
/* Adds to the answer to a batch what its agent has not heard yet. */
void ap_agents_answer(struct ap_agents *a, const struct ap_batch_meta *meta, int64_t now_ns,
		      struct ap_push_result *result);

/* Makes an agent known from what the store remembers, before the first push: it counts as heard at
 * `last_seen_ns`. Sums of `info` (batches, periods, ledger) are where counting goes on. An agent of which
 * a batch was counted already is left as it is. 0, -ENOSPC, -ENOMEM. */
int ap_agents_restore(struct ap_agents *a, const struct ap_agent_info *info);

/* A copy of all agents at `now_ns`, sorted by host, then id; free() it. 0, -ENOMEM. Takes the lock.
 */
int ap_agents_list(struct ap_agents *a, int64_t now_ns, struct ap_agent_info **ret, size_t *ret_n);
/* How many were heard in [from, to), and how many should have been: those, and the ones heard within
 * the hour before it that did not say that they stop. */
void ap_agents_hosts(struct ap_agents *a, int64_t from_ns, int64_t to_ns, uint32_t *ret_reporting,
		     uint32_t *ret_expected);

#endif
