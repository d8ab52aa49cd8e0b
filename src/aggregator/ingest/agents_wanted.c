/* SPDX-License-Identifier: Apache-2.0 */
/* What agents are asked to do for a time. */
#include "aggregator/ingest/agents_internal.h"
#include "aggregator/ingest/wanted.h"

#define KEEP_MAX_NS (24 * FORGET_NS) /* no agent follows settings for longer */

int ap_agents_keep_wanted(struct ap_agents *a, const char *path, struct ap_error *err)
{
	return ap_database_open(path, &a->db, err);
}

static struct agent *find(struct ap_agents *a, const char *id)
{
	return strlen(id) == AP_AGENT_ID_LEN ? agents_find(a, id) : NULL;
}

static void load(void *ctx, const char *id, const struct ap_wanted *w)
{
	struct ap_agents *a = ctx;
	struct agent *g;

	pthread_mutex_lock(&a->lock);
	g = find(a, id);
	if (g && g->info.wanted.version < w->version)
		g->info.wanted = *w;
	pthread_mutex_unlock(&a->lock);
}

int ap_agents_load_wanted(struct ap_agents *a, int64_t now_ns, struct ap_error *err)
{
	int r;

	pthread_mutex_lock(&a->turn);
	r = ap_wanted_load(a->db, now_ns, load, a, err);
	pthread_mutex_unlock(&a->turn);
	return r;
}

/* With the lock held. */
static struct ap_wanted wanted_of(const struct agent *g, const struct ap_settings *s,
				  int64_t now_ns)
{
	const struct ap_settings_status *said = &g->info.meta.status.settings;
	uint64_t last = AP_MAX(g->info.wanted.version, said->version);
	/* The word to return is kept for as long as there may be anything to return from. */
	uint64_t keep = s->remaining_ns ? s->remaining_ns
					: AP_MAX(said->max_duration_ns, (uint64_t)FORGET_NS);

	return (struct ap_wanted){
		.version = AP_MAX(last + 1, (uint64_t)now_ns / 1000),
		.settings = *s,
		.until_ns = now_ns + (int64_t)AP_MIN(keep, (uint64_t)KEEP_MAX_NS),
	};
}

int ap_agents_want(struct ap_agents *a, const char *id, const struct ap_settings *s, int64_t now_ns,
		   struct ap_error *err)
{
	struct ap_wanted w = {0};
	struct agent *g;
	int r = 0;

	pthread_mutex_lock(&a->turn);
	pthread_mutex_lock(&a->lock);
	g = find(a, id);
	if (g)
		w = wanted_of(g, s, now_ns);
	pthread_mutex_unlock(&a->lock);
	if (g && a->db)
		r = ap_wanted_put(a->db, id, &w, err);
	if (r == 0) {
		pthread_mutex_lock(&a->lock);
		g = find(a, id);
		if (g)
			g->info.wanted = w;
		else
			r = -ENOENT;
		pthread_mutex_unlock(&a->lock);
	}
	pthread_mutex_unlock(&a->turn);
	return r;
}

static void answer_wanted(struct ap_wanted *w, const struct ap_batch_meta *meta, int64_t now_ns,
			  struct ap_push_result *result)
{
	bool heard = meta->status.settings.version == w->version;

	if (now_ns >= w->until_ns || (heard && !w->settings.remaining_ns)) {
		*w = (struct ap_wanted){0};
		return;
	}
	result->config_version = w->version;
	if (heard)
		return;
	result->has_settings = true;
	result->settings = w->settings;
	if (w->settings.remaining_ns)
		result->settings.remaining_ns = (uint64_t)(w->until_ns - now_ns);
}

void ap_agents_answer(struct ap_agents *a, const struct ap_batch_meta *meta, int64_t now_ns,
		      struct ap_push_result *result)
{
	struct agent *g;
	struct ap_wanted *w;

	pthread_mutex_lock(&a->lock);
	g = agents_find(a, meta->agent_id);
	w = g ? &g->info.wanted : NULL;
	if (w && w->version)
		answer_wanted(w, meta, now_ns, result);
	pthread_mutex_unlock(&a->lock);
}
