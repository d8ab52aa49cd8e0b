/* SPDX-License-Identifier: Apache-2.0 */
/* What targets that ask questions share: an aggregator without network and log, whose buffer has a batch. Its store takes
 * every statement and has no rows, so that questions are planned as they are in service. */
#ifndef AP_FUZZ_WORLD_H
#define AP_FUZZ_WORLD_H

#include "aggregator/ingest/agents.h"
#include "aggregator/ingest/ingest.h"
#include "aggregator/query/query.h"
#include "aggregator/store/rollup.h"
#include "aggregator/store/store.h"
#include "scratch.h"

#define WORLD_SECOND 1763900000ll /* when its batch begins: 2025-11-23 12:13:20 UTC */

struct world {
	struct ap_store store;
	struct ap_rollup *rollup;
	struct ap_buffer *buffer;
	struct ap_agents *agents;
	struct ap_ingest *ingest;
	struct ap_query_engine *query;
};

static int world_take(struct ap_store *s, struct ap_str sql, struct ap_error *err)
{
	return 0;
}

static int world_insert(struct ap_store *s, const char *table, const struct ap_native_block *block,
			const char *token, struct ap_error *err)
{
	return 0;
}

static int world_insert_select(struct ap_store *s, struct ap_str sql, const char *token,
			       struct ap_error *err)
{
	return 0;
}

static int world_query(struct ap_store *s, struct ap_str sql, const struct ap_store_limits *limits,
		       ap_store_block_fn fn, void *ctx, struct ap_error *err)
{
	return 0;
}

static const struct ap_store_driver world_driver = {
	.name = "none",
	.exec = world_take,
	.insert = world_insert,
	.insert_select = world_insert_select,
	.query = world_query,
};

static inline uint32_t world_labels(struct ap_profile *p)
{
	struct ap_label l[2];
	uint32_t id;

	ap_profile_string(p, AP_STR("service"), &l[0].key);
	ap_profile_string(p, AP_STR("web"), &l[0].value);
	ap_profile_string(p, AP_STR("lock"), &l[1].key);
	ap_profile_string(p, AP_STR("0x10"), &l[1].value);
	must(ap_profile_labels(p, l, 2, &id) == 0);
	return id;
}

/* main → f0 or f1, in /app. */
static inline uint32_t world_stack(struct ap_profile *p, unsigned int i)
{
	const char *const names[] = {"main", i ? "f1" : "f0"};
	uint32_t frames[2], id;

	for (size_t k = 0; k < 2; k++) {
		struct ap_function fn = {0};
		struct ap_mapping m = {0};
		struct ap_frame f = {0};

		ap_profile_string(p, ap_str_of(names[k]), &fn.name);
		ap_profile_string(p, AP_STR("/app"), &m.path);
		ap_profile_string(p, AP_STR("aa55"), &m.build_id);
		ap_profile_mapping(p, &m, &f.mapping);
		ap_profile_function(p, &fn, &f.function);
		must(ap_profile_frame(p, &f, &frames[k]) == 0);
	}
	must(ap_profile_stack(p, frames, 2, 0, &id) == 0);
	return id;
}

static inline void world_fill(struct world *w)
{
	static const enum ap_event events[] = {AP_EVENT_CPU, AP_EVENT_LOCK};
	struct ap_profile *p = ap_profile_new();
	struct ap_batch_meta m = {.epoch = 1,
				  .sequence = 1,
				  .start_ns = WORLD_SECOND * 1000000000,
				  .end_ns = (WORLD_SECOND + 10) * 1000000000,
				  .period_ns = 10000000};

	must(p != NULL);
	strcpy(m.agent_id, "00000000-0000-4000-8000-000000000001");
	strcpy(m.host, "web-1");
	for (unsigned int i = 0; i < 8; i++) {
		struct ap_sample s = {.time_ns = m.start_ns + i * 1000000000ll,
				      .count = i + 1,
				      .value = (i + 1) * 10000000,
				      .labels = world_labels(p),
				      .stack = world_stack(p, i % 2),
				      .event = events[i / 4]};

		must(ap_profile_add(p, &s) == 0);
	}
	p->start_ns = m.start_ns;
	p->end_ns = m.end_ns;
	must(ap_buffer_add(w->buffer, &p, &m) == 0);
}

static inline void world_begin(struct world *w)
{
	struct ap_buffer_config buffer = {.capacity_bytes = 4 << 20};
	struct ap_ingest_config ingest = {.retention_ns = 40ull * 366 * 86400 * 1000000000};
	struct ap_query_engine_options query = {0};

	memset(&w->store, 0, sizeof(w->store));
	ap_store_init(&w->store, &world_driver);
	atomic_store(&w->store.ready, true);
	/* Of what is older, sums by hour are said to be there. */
	must(ap_rollup_new(&(struct ap_rollup_options){.store = &w->store}, &w->rollup, NULL) == 0);
	must(ap_rollup_note_dropped(w->rollup, AP_ROLLUP_RAW,
				    (uint32_t)(WORLD_SECOND / 86400 * 86400), NULL) == 0);
	query.store = &w->store;
	query.rollup = w->rollup;
	must(ap_buffer_new(&buffer, &w->buffer) == 0 && ap_agents_new(0, &w->agents) == 0);
	ingest.buffer = query.buffer = w->buffer;
	ingest.agents = w->agents;
	must(ap_ingest_new(&ingest, &w->ingest) == 0);
	must(ap_query_engine_new(&query, &w->query) == 0);
	world_fill(w);
}

static inline void world_end(struct world *w)
{
	ap_query_engine_free(w->query);
	ap_rollup_free(w->rollup);
	pthread_mutex_destroy(&w->store.opening);
	ap_ingest_free(w->ingest);
	ap_agents_free(w->agents);
	ap_buffer_free(w->buffer);
}

#endif
