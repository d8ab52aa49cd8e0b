/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/ingest/limits.h"

#include <pthread.h>
#include <stdio.h>
#include <xxhash.h>

#include "aggregator/ingest/agents.h"
#include "base/clock.h"
#include "base/idmap.h"

#define HASH_NONFATAL_OOM	 1
#define uthash_nonfatal_oom(obj) ((obj)->lost = true)
#include <uthash.h>

#define HOUR_NS	       (3600 * (int64_t)AP_NSEC_PER_SEC)
#define VALUES_DEFAULT 50000
#define LABELS_DEFAULT 64
#define VALUES_MAX     (2u << 20) /* of all agents: about 64 MiB */

/* What is known of one agent in this hour. */
struct limited {
	char id[AP_AGENT_ID_LEN + 1];
	struct ap_idmap values; /* hashes of label and value */
	struct ap_idmap labels; /* hashes of labels, each with the number of its values */
	uint64_t free_ns;	/* when all that was pushed is paid for, CLOCK_MONOTONIC */
	bool lost;		/* the table had no memory for it */
	UT_hash_handle hh;
};

struct ap_limits {
	struct ap_limits_config config;
	pthread_mutex_t lock; /* guards all below */
	struct limited *table;
	int64_t hour;
	struct ap_limits_stats stats;
};

int ap_limits_new(const struct ap_limits_config *c, struct ap_limits **ret)
{
	struct ap_limits *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->config = *c;
	if (!c->values_per_label)
		l->config.values_per_label = VALUES_DEFAULT;
	if (!c->labels)
		l->config.labels = LABELS_DEFAULT;
	pthread_mutex_init(&l->lock, NULL);
	*ret = l;
	return 0;
}

static void clear(struct ap_limits *l)
{
	struct limited *a, *next;

	HASH_ITER(hh, l->table, a, next) {
		HASH_DEL(l->table, a);
		ap_idmap_free(&a->values);
		ap_idmap_free(&a->labels);
		free(a);
	}
	l->stats.values = 0;
}

void ap_limits_free(struct ap_limits *l)
{
	if (!l)
		return;
	clear(l);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* NULL: out of memory, or there are too many agents. With the lock held. */
static struct limited *find(struct ap_limits *l, const char *agent)
{
	struct limited *a;

	HASH_FIND_STR(l->table, agent, a);
	if (a || HASH_COUNT(l->table) >= AP_AGENTS_MAX)
		return a;
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	snprintf(a->id, sizeof(a->id), "%s", agent);
	HASH_ADD_STR(l->table, id, a);
	if (!a->lost)
		return a;
	free(a);
	return NULL;
}

uint32_t ap_limits_charge(struct ap_limits *l, const char *agent, uint64_t bytes, uint64_t mono_ns)
{
	uint64_t rate = l->config.bytes_per_second, wait = 0;
	struct limited *a;

	if (!rate)
		return 0;
	pthread_mutex_lock(&l->lock);
	a = find(l, agent);
	if (a) {
		uint64_t from = AP_MAX(a->free_ns, mono_ns);

		/* A second's worth may be ahead of the clock. */
		wait = from - mono_ns > AP_NSEC_PER_SEC ? from - mono_ns - AP_NSEC_PER_SEC : 0;
		if (!wait)
			a->free_ns = from + (uint64_t)((double)bytes / (double)rate * 1e9);
	}
	l->stats.rate_limited += wait != 0;
	pthread_mutex_unlock(&l->lock);
	return (uint32_t)AP_MIN((wait + AP_NSEC_PER_MSEC - 1) / AP_NSEC_PER_MSEC, UINT32_MAX);
}

/* ---- Labels. ---- */

/* A batch that is brought within the limits. */
struct fit {
	struct ap_limits *l;
	struct limited *agent; /* NULL: none of its values are known, nor will be */
	struct ap_profile *p;
	uint32_t *
		seen; /* by a value's string: 2 × its label's + whether it is one too many; 0: not asked */
	uint32_t *sets;		    /* by label set: what it has become */
	uint32_t *folded, *dropped; /* by label set: how many of its labels */
	struct ap_label labels[AP_LABELS_MAX];
};

/* Whether a value is one too many of its label. */
static int is_beyond(struct fit *f, struct ap_str key, struct ap_str value, bool *ret)
{
	uint64_t k = XXH3_64bits(key.p, key.n);
	uint64_t v = XXH3_64bits_withSeed(value.p, value.n, k);
	uint32_t *count;
	int r;

	*ret = false;
	if (f->agent && ap_idmap_find(&f->agent->values, v))
		return 0;
	*ret = true;
	if (!f->agent || f->l->stats.values >= VALUES_MAX)
		return 0;
	r = ap_idmap_add(&f->agent->labels, k, 0);
	if (r < 0)
		return r;
	count = ap_idmap_find(&f->agent->labels, k);
	if (*count >= f->l->config.values_per_label)
		return 0;
	r = ap_idmap_add(&f->agent->values, v, 0);
	if (r < 0)
		return r;
	(*count)++;
	f->l->stats.values++;
	*ret = false;
	return 0;
}

/* Those that Aperture gives, which have columns of their own (store/schema.c) and are never left out. */
static bool is_own(struct ap_str key)
{
	static const char *const names[] = {
		"service",   "host",	  "agent", "pid",  "comm",  "thread",
		"container", "namespace", "pod",   "unit", "build", "version",
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(names); i++)
		if (ap_str_is(key, names[i]))
			return true;
	return false;
}

/* The same of a label of the batch, most of whose values come in many label sets. */
static int is_one_too_many(struct fit *f, const struct ap_label *label, bool *ret)
{
	uint32_t seen = f->seen[label->value];
	int r = 0;

	if (seen >> 1 == label->key && seen) {
		*ret = seen & 1;
		return 0;
	}
	r = is_beyond(f, ap_profile_str(f->p, label->key), ap_profile_str(f->p, label->value), ret);
	if (r == 0 && label->key <= UINT32_MAX / 2)
		f->seen[label->value] = label->key << 1 | *ret;
	return r;
}

static int fit_set(struct fit *f, uint32_t id)
{
	struct ap_label_set s = ap_profile_get_labels(f->p, id);
	uint32_t surplus = s.n > f->l->config.labels ? s.n - f->l->config.labels : 0, n = 0;
	int r = 0;

	/* From the end, so that the last ones by name go. */
	for (uint32_t i = s.n; i-- > 0 && r == 0;) {
		struct ap_label label = s.labels[i];
		bool beyond;

		if (f->dropped[id] < surplus && !is_own(ap_profile_str(f->p, label.key))) {
			f->dropped[id]++;
			continue;
		}
		r = is_one_too_many(f, &label, &beyond);
		if (r == 0 && beyond) {
			r = ap_profile_string(f->p, AP_STR(AP_LABEL_OTHER), &label.value);
			f->folded[id]++;
		}
		f->labels[n++] = label;
	}
	f->sets[id] = id;
	if (r == 0 && (f->folded[id] || f->dropped[id]))
		r = ap_profile_labels(f->p, f->labels, n, &f->sets[id]);
	return r;
}

static int fit_all(struct fit *f, uint32_t n)
{
	int r = 0;

	f->seen = calloc(ap_intern_count(f->p->strings), sizeof(*f->seen));
	f->sets = calloc(n, sizeof(*f->sets));
	f->folded = calloc(n, sizeof(*f->folded));
	f->dropped = calloc(n, sizeof(*f->dropped));
	if (!f->seen || !f->sets || !f->folded || !f->dropped)
		r = -ENOMEM;
	for (uint32_t i = 1; i < n && r == 0; i++)
		r = fit_set(f, i);
	return r;
}

/* Gives the rows what their label sets have become. */
static void replace(struct fit *f, bool again)
{
	struct ap_limits_stats *stats = &f->l->stats;

	AP_VEC_FOREACH(&f->p->samples, s) {
		stats->values_folded += again ? 0 : f->folded[s->labels];
		stats->labels_dropped += again ? 0 : f->dropped[s->labels];
		s->labels = f->sets[s->labels];
	}
	AP_VEC_FOREACH(&f->p->syscalls, s) {
		stats->values_folded += again ? 0 : f->folded[s->labels];
		stats->labels_dropped += again ? 0 : f->dropped[s->labels];
		s->labels = f->sets[s->labels];
	}
}

int ap_limits_apply(struct ap_limits *l, struct ap_profile *p, const char *agent, int64_t unix_ns,
		    bool again)
{
	uint32_t n = ap_intern_count(p->label_sets);
	struct fit f = {.l = l, .p = p};
	int r;

	pthread_mutex_lock(&l->lock);
	if (unix_ns / HOUR_NS != l->hour)
		clear(l);
	l->hour = unix_ns / HOUR_NS;
	f.agent = find(l, agent);
	r = fit_all(&f, n);
	if (r == 0)
		replace(&f, again);
	pthread_mutex_unlock(&l->lock);
	free(f.seen);
	free(f.sets);
	free(f.folded);
	free(f.dropped);
	return r;
}

void ap_limits_get_stats(struct ap_limits *l, struct ap_limits_stats *ret)
{
	pthread_mutex_lock(&l->lock);
	*ret = l->stats;
	pthread_mutex_unlock(&l->lock);
	ret->config = l->config;
}
