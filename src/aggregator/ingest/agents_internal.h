/* SPDX-License-Identifier: Apache-2.0 */
/* The table of agents, shared by agents.c and agents_saved.c. */
#ifndef AP_AGGREGATOR_INGEST_AGENTS_INTERNAL_H
#define AP_AGGREGATOR_INGEST_AGENTS_INTERNAL_H

#include <pthread.h>

#include "aggregator/ingest/agents.h"
#include "aggregator/ingest/sequence.h"
#include "aggregator/state/database.h"

#define HASH_NONFATAL_OOM	 1
#define uthash_nonfatal_oom(obj) ((obj)->lost = true)
#include <uthash.h>

struct epoch {
	uint64_t number;
	struct ap_sequence_set seen;
};

struct agent {
	struct ap_agent_info info;
	struct epoch epochs[AP_EPOCHS_MAX]; /* ascending */
	uint32_t n_epochs;
	bool lost; /* the table had no memory for it */
	UT_hash_handle hh;
};

/* A batch that is claimed, and neither accepted nor given back yet. */
struct claim {
	char agent_id[AP_AGENT_ID_LEN + 1];
	uint64_t epoch, sequence;
};

/* An agent silent for longer is no longer expected, and may make way for a new one. */
#define FORGET_NS 3600000000000ll

struct ap_agents {
	pthread_mutex_t turn;	/* one ap_agents_want() at a time; taken before `lock` */
	struct ap_database *db; /* used under `turn`; NULL: what is wanted is in memory alone */
	pthread_mutex_t lock;	/* guards all below */
	struct agent *table;	/* by agent id */
	AP_VEC(struct claim) claims;
	uint64_t stale_ns;
};

/* All with the lock held. */
struct agent *agents_find(struct ap_agents *a, const char *id);
int agents_add(struct ap_agents *a, const struct ap_batch_meta *meta, int64_t now_ns,
	       struct agent **ret);
/* The agent's epoch of that number, made if it is new; NULL where it is older than all kept. */
struct epoch *agents_epoch(struct agent *g, uint64_t number);

#endif
