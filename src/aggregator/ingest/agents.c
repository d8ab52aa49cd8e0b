/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/ingest/agents_internal.h"

#define DEFAULT_STALE_NS 30000000000ull

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
	pthread_mutex_init(&a->turn, NULL);
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
	ap_vec_free(&a->claims);
	ap_database_close(a->db);
	pthread_mutex_destroy(&a->turn);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

struct agent *agents_find(struct ap_agents *a, const char *id)
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

int agents_add(struct ap_agents *a, const struct ap_batch_meta *meta, int64_t now_ns,
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

struct epoch *agents_epoch(struct agent *g, uint64_t number)
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

/* Marks a batch as accepted. With the lock held. */
static int mark(struct ap_agents *a, const struct ap_batch_meta *meta, int64_t now_ns)
{
	struct agent *g = agents_find(a, meta->agent_id);
	struct epoch *e;
	int r;

	if (!g) {
		r = agents_add(a, meta, now_ns, &g);
		if (r < 0)
			return r;
	}
	e = agents_epoch(g, meta->epoch);
	return e ? ap_sequence_add(&e->seen, meta->sequence) : -ESTALE;
}

/* The claim on that batch; NULL: there is none. */
static struct claim *claim_of(struct ap_agents *a, const struct ap_batch_meta *meta)
{
	AP_VEC_FOREACH(&a->claims, c)
		if (c->sequence == meta->sequence && c->epoch == meta->epoch &&
		    strcmp(c->agent_id, meta->agent_id) == 0)
			return c;
	return NULL;
}

int ap_agents_claim(struct ap_agents *a, const struct ap_batch_meta *meta, int64_t now_ns)
{
	struct claim c = {.epoch = meta->epoch, .sequence = meta->sequence};
	int r;

	memcpy(c.agent_id, meta->agent_id, sizeof(c.agent_id));
	pthread_mutex_lock(&a->lock);
	r = ap_vec_reserve(&a->claims, (size_t)1);
	if (r == 0)
		r = mark(a, meta, now_ns);
	if (r == 0)
		a->claims.p[a->claims.n++] = c;
	else if (r == -EEXIST && claim_of(a, meta))
		r = -EINPROGRESS;
	pthread_mutex_unlock(&a->lock);
	return r;
}

static bool is_later(const struct ap_batch_meta *m, const struct ap_batch_meta *than)
{
	return m->epoch != than->epoch ? m->epoch > than->epoch : m->sequence > than->sequence;
}

int ap_agents_remember(struct ap_agents *a, const struct ap_batch_meta *meta, int64_t received_ns)
{
	struct agent *g;
	int r;

	pthread_mutex_lock(&a->lock);
	r = mark(a, meta, received_ns);
	g = r == 0 ? agents_find(a, meta->agent_id) : NULL;
	if (g) {
		g->info.last_seen_ns = AP_MAX(g->info.last_seen_ns, received_ns);
		if (is_later(meta, &g->info.meta))
			g->info.meta = *meta;
	}
	pthread_mutex_unlock(&a->lock);
	return r;
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

/* Counts an accepted batch. With the lock held. */
static void accept_batch(struct ap_agents *a, const struct ap_batch_meta *meta, uint64_t periods,
			 int64_t now_ns)
{
	struct agent *g = agents_find(a, meta->agent_id);

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

/* The batch may come again. With the lock held. */
static void unmark(struct ap_agents *a, const struct ap_batch_meta *meta)
{
	struct agent *g = agents_find(a, meta->agent_id);
	struct epoch *e = g ? agents_epoch(g, meta->epoch) : NULL;
	size_t ranges = 0;

	if (!e)
		return;
	ap_sequence_remove(&e->seen, meta->sequence);
	for (uint32_t i = 0; i < g->n_epochs; i++)
		ranges += g->epochs[i].seen.ranges.n;
	if (g->info.batches == 0 && ranges == 0) { /* known only by the batch that was not taken */
		HASH_DEL(a->table, g);
		agent_free(g);
	}
}

void ap_agents_settle(struct ap_agents *a, const struct ap_batch_meta *meta, bool accepted,
		      uint64_t periods, int64_t now_ns)
{
	struct claim *c;

	pthread_mutex_lock(&a->lock);
	c = claim_of(a, meta);
	if (c)
		*c = a->claims.p[--a->claims.n];
	if (accepted)
		accept_batch(a, meta, periods, now_ns);
	else
		unmark(a, meta);
	pthread_mutex_unlock(&a->lock);
}

int ap_agents_restore(struct ap_agents *a, const struct ap_agent_info *info)
{
	struct ap_agent_info sums = *info;
	struct agent *g;
	int r = 0;

	pthread_mutex_lock(&a->lock);
	g = agents_find(a, info->meta.agent_id);
	if (g) { /* known from batches that were not counted */
		sums.meta = g->info.meta;
		sums.last_seen_ns = AP_MAX(info->last_seen_ns, g->info.last_seen_ns);
	} else {
		r = agents_add(a, &info->meta, info->last_seen_ns, &g);
	}
	if (r == 0 && g->info.batches == 0) {
		sums.cpu_share = -1;
		sums.batches = AP_MAX(info->batches, 1);
		g->info = sums;
	}
	pthread_mutex_unlock(&a->lock);
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

	pthread_mutex_lock(&a->lock);
	list = calloc(HASH_COUNT(a->table) + 1, sizeof(*list));
	if (list) {
		HASH_ITER(hh, a->table, g, next) {
			list[n] = g->info;
			list[n++].state = state_of(a, &g->info, now_ns);
		}
	}
	pthread_mutex_unlock(&a->lock);
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

	pthread_mutex_lock(&a->lock);
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
	pthread_mutex_unlock(&a->lock);
	*ret_reporting = reporting;
	*ret_expected = expected;
}
