/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/ingest/agents.h"

#include <pthread.h>

#include "aggregator/ingest/sequence.h"

#define HASH_NONFATAL_OOM	 1
#define uthash_nonfatal_oom(obj) ((obj)->lost = true)
#include <uthash.h>

#define DEFAULT_STALE_NS 30000000000ull
/* An agent silent for longer is no longer expected, and may make way for a new one. */
#define FORGET_NS 3600000000000ll

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

struct ap_agents {
	pthread_mutex_t lock; /* guards all below */
	struct agent *table;  /* by agent id */
	uint64_t stale_ns;
};

const char *ap_agent_state_name(enum ap_agent_state s)
{
	static const char *const names[] = {"ok", "stale", "left"};

	return names[s];
}

int ap_agents_new(uint64_t stale_ns, struct ap_agents **ret)
{
	struct ap_agents *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->stale_ns = stale_ns ? stale_ns : DEFAULT_STALE_NS;
	pthread_mutex_init(&a->lock, NULL);
	*ret = a;
	return 0;
}

static void agent_free(struct agent *g)
{
	for (uint32_t i = 0; i < g->n_epochs; i++)
		ap_sequence_free(&g->epochs[i].seen);
	free(g);
}

void ap_agents_free(struct ap_agents *a)
{
	struct agent *g, *next;

	if (!a)
		return;
	HASH_ITER(hh, a->table, g, next) {
		HASH_DEL(a->table, g);
		agent_free(g);
	}
	pthread_mutex_destroy(&a->lock);
	free(a);
}

void ap_agents_lock(struct ap_agents *a)
{
	pthread_mutex_lock(&a->lock);
}

void ap_agents_unlock(struct ap_agents *a)
{
	pthread_mutex_unlock(&a->lock);
}

static struct agent *find(struct ap_agents *a, const char *id)
{
	struct agent *g = NULL;

	HASH_FIND(hh, a->table, id, AP_AGENT_ID_LEN, g);
	return g;
}

/* Makes room for one more agent by forgetting the one that has been silent for longest. */
static int make_room(struct ap_agents *a, int64_t now_ns)
{
	struct agent *g, *next, *oldest = NULL;

	if (HASH_COUNT(a->table) < AP_AGENTS_MAX)
		return 0;
	HASH_ITER(hh, a->table, g, next)
		if (!oldest || g->info.last_seen_ns < oldest->info.last_seen_ns)
			oldest = g;
	if (oldest->info.last_seen_ns > now_ns - FORGET_NS)
		return -ENOSPC;
	HASH_DEL(a->table, oldest);
	agent_free(oldest);
	return 0;
}

static int agent_new(struct ap_agents *a, const struct ap_batch_meta *meta, int64_t now_ns,
		     struct agent **ret)
{
	struct agent *g;
	int r = make_room(a, now_ns);

	if (r < 0)
		return r;
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->info.meta = *meta;
	g->info.first_seen_ns = g->info.last_seen_ns = now_ns;
	g->info.cpu_share = -1;
	HASH_ADD(hh, a->table, info.meta.agent_id, AP_AGENT_ID_LEN, g);
	if (g->lost) {
		free(g);
		return -ENOMEM;
	}
	*ret = g;
	return 0;
}

/* The agent's epoch of that number, made if it is new; NULL where it is older than all kept. */
static struct epoch *epoch_of(struct agent *g, uint64_t number)
{
	uint32_t i = g->n_epochs;

	while (i > 0 && g->epochs[i - 1].number > number)
		i--;
	if (i > 0 && g->epochs[i - 1].number == number)
		return &g->epochs[i - 1];
	if (g->n_epochs == AP_EPOCHS_MAX) {
		if (i == 0)
			return NULL;
		ap_sequence_free(&g->epochs[0].seen);
		i--;
		memmove(&g->epochs[0], &g->epochs[1], i * sizeof(g->epochs[0]));
	} else {
		memmove(&g->epochs[i + 1], &g->epochs[i], (g->n_epochs - i) * sizeof(g->epochs[0]));
		g->n_epochs++;
	}
	g->epochs[i] = (struct epoch){.number = number};
	return &g->epochs[i];
}

int ap_agents_claim(struct ap_agents *a, const struct ap_batch_meta *meta, int64_t now_ns)
{
	struct agent *g = find(a, meta->agent_id);
	struct epoch *e;
	int r;

	if (!g) {
		r = agent_new(a, meta, now_ns, &g);
		if (r < 0)
			return r;
	}
	e = epoch_of(g, meta->epoch);
	return e ? ap_sequence_add(&e->seen, meta->sequence) : -ESTALE;
}

void ap_agents_unclaim(struct ap_agents *a, const struct ap_batch_meta *meta)
{
	struct agent *g = find(a, meta->agent_id);
	struct epoch *e = g ? epoch_of(g, meta->epoch) : NULL;

	if (e)
		ap_sequence_remove(&e->seen, meta->sequence);
	if (g && g->info.batches == 0) { /* known only by the batch that was not taken */
		HASH_DEL(a->table, g);
		agent_free(g);
	}
}

static bool is_later(const struct ap_batch_meta *m, const struct ap_batch_meta *than)
{
	return m->epoch != than->epoch ? m->epoch > than->epoch : m->sequence > than->sequence;
}

/* The agent's cost between two of its batches as a share of the host; -1 = cannot be told. */
static double cpu_share(const struct ap_batch_meta *from, const struct ap_batch_meta *to)
{
	uint64_t before = from->status.cpu_user_ns + from->status.cpu_bpf_ns;
	uint64_t after = to->status.cpu_user_ns + to->status.cpu_bpf_ns;

	if (from->epoch != to->epoch || to->cpus == 0 || after < before ||
	    to->end_ns <= from->end_ns)
		return -1;
	return (double)(after - before) / (double)(to->end_ns - from->end_ns) / to->cpus;
}

void ap_agents_accepted(struct ap_agents *a, const struct ap_batch_meta *meta, uint64_t periods,
			int64_t now_ns)
{
	struct agent *g = find(a, meta->agent_id);

	if (!g)
		return;
	if (g->info.batches == 0 || is_later(meta, &g->info.meta)) {
		if (g->info.batches > 0)
			g->info.cpu_share = cpu_share(&g->info.meta, meta);
		g->info.meta = *meta;
	}
	g->info.last_seen_ns = AP_MAX(g->info.last_seen_ns, now_ns);
	g->info.batches++;
	g->info.periods += periods;
	for (uint32_t i = 0; i < AP_LEDGER_MAX; i++)
		g->info.ledger.count[i] += meta->ledger.count[i];
	for (uint32_t i = 0; i < AP_REASONS_MAX; i++)
		g->info.ledger.stacks[i] += meta->ledger.stacks[i];
}

int ap_agents_restore(struct ap_agents *a, const struct ap_agent_info *info)
{
	struct agent *g;
	int r = 0;

	ap_agents_lock(a);
	g = find(a, info->meta.agent_id);
	if (!g) {
		r = agent_new(a, &info->meta, info->last_seen_ns, &g);
		if (r == 0) {
			g->info = *info;
			g->info.cpu_share = -1;
			g->info.batches = AP_MAX(info->batches, 1);
		}
	}
	ap_agents_unlock(a);
	return r;
}

static enum ap_agent_state state_of(const struct ap_agents *a, const struct ap_agent_info *info,
				    int64_t now_ns)
{
	if (info->meta.status.stopping)
		return AP_AGENT_LEFT;
	return now_ns - info->last_seen_ns > (int64_t)a->stale_ns ? AP_AGENT_STALE : AP_AGENT_OK;
}

static int by_host(const void *pa, const void *pb)
{
	const struct ap_agent_info *a = pa, *b = pb;
	int r = strcmp(a->meta.host, b->meta.host);

	return r ? r : strcmp(a->meta.agent_id, b->meta.agent_id);
}

int ap_agents_list(struct ap_agents *a, int64_t now_ns, struct ap_agent_info **ret, size_t *ret_n)
{
	struct ap_agent_info *list;
	struct agent *g, *next;
	size_t n = 0;

	ap_agents_lock(a);
	list = calloc(HASH_COUNT(a->table) + 1, sizeof(*list));
	if (list) {
		HASH_ITER(hh, a->table, g, next) {
			list[n] = g->info;
			list[n++].state = state_of(a, &g->info, now_ns);
		}
	}
	ap_agents_unlock(a);
	if (!list)
		return -ENOMEM;
	qsort(list, n, sizeof(*list), by_host);
	*ret = list;
	*ret_n = n;
	return 0;
}

void ap_agents_hosts(struct ap_agents *a, int64_t from_ns, int64_t to_ns, uint32_t *ret_reporting,
		     uint32_t *ret_expected)
{
	uint32_t reporting = 0, expected = 0;
	struct agent *g, *next;

	ap_agents_lock(a);
	HASH_ITER(hh, a->table, g, next) {
		const struct ap_agent_info *i = &g->info;

		if (i->first_seen_ns >= to_ns)
			continue;
		if (i->last_seen_ns >= from_ns) {
			reporting++;
			expected++;
		} else if (!i->meta.status.stopping && i->last_seen_ns >= from_ns - FORGET_NS) {
			expected++;
		}
	}
	ap_agents_unlock(a);
	*ret_reporting = reporting;
	*ret_expected = expected;
}
