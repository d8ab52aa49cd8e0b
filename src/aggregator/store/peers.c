/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/peers.h"

#include "aggregator/store/facts.h"
#include "base/clock.h"
#include "base/vec.h"

/* Longer than anybody is sure, by what a question takes that has just made sure. */
#define WAIT_NS	 (AP_PEERS_SURE_NS + AP_NSEC_PER_SEC)
#define AGAIN_NS (AP_PEERS_SURE_NS / 2)

/* Facts on their way. */
struct look {
	struct ap_store *store;
	uint64_t own;	 /* this writer's turn */
	uint64_t others; /* the sum of theirs: it grows with whatever they do */
	uint64_t present;
	AP_VEC(uint64_t) told, known; /* writers that say whether they store, and all */
};

static bool has(const uint64_t *p, size_t n, uint64_t writer)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] == writer)
			return true;
	return false;
}

static int take_fact(struct look *l, uint64_t kind, uint64_t writer, uint64_t value)
{
	if (kind != AP_FACT_TURN && kind >= AP_FACT_WHOLE)
		return 0;
	if (writer == l->store->segment_base) {
		if (kind == AP_FACT_TURN)
			l->own = value;
		return 0;
	}
	if (kind == AP_FACT_TURN) {
		l->others += value;
		l->present += value & 1;
		return ap_vec_push(&l->told, writer);
	}
	return has(l->known.p, l->known.n, writer) ? 0 : ap_vec_push(&l->known, writer);
}

static int take_facts(void *ctx, const struct ap_native_view *v)
{
	struct look *l = ctx;
	int r = 0;

	if (v->n_columns != 3)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows && r == 0; row++)
		r = take_fact(l, ap_native_uint(&v->columns[0], row),
			      ap_native_uint(&v->columns[1], row),
			      ap_native_uint(&v->columns[2], row));
	return r;
}

/* Reads the facts and remembers what they say of others. */
static int look(struct ap_store *s, const struct ap_store_limits *limits, struct look *ret,
		struct ap_error *err)
{
	uint64_t now = ap_clock_mono_ns();
	int r;

	*ret = (struct look){.store = s};
	r = ap_facts_read(s, limits, take_facts, ret, err);
	for (size_t i = 0; r == 0 && i < ret->known.n; i++)
		ret->present += !has(ret->told.p, ret->told.n, ret->known.p[i]);
	ap_vec_free(&ret->told);
	ap_vec_free(&ret->known);
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->peers.lock);
	if (now >= s->peers.looked) {
		/* What somebody has said may be lost with a server that does not sync it, until he says it again. */
		bool lost = ret->others < s->peers.turn;

		s->peers.looked = now;
		s->peers.present = AP_MAX(ret->present, (uint64_t)lost);
		s->peers.turn = AP_MAX(ret->others, s->peers.turn);
	}
	pthread_mutex_unlock(&s->peers.lock);
	return 0;
}

static bool is_shared(const struct ap_store *s)
{
	return !s->driver->in_process && !s->cluster;
}

/* What this writer has said may be lost with a server that does not sync it, so it is looked up whenever the
 * store was away. */
static bool has_entered(const struct ap_store *s)
{
	return s->peers.entered && atomic_load(&s->ready) &&
	       atomic_load(&s->connects) == s->peers.connects;
}

/* Says that this process stores segments, unless that is known. */
static int enter(struct ap_store *s, struct ap_error *err)
{
	struct ap_peers *p = &s->peers;
	struct look l;
	int r = look(s, NULL, &l, err);

	if (r == 0 && !(l.own & 1)) {
		r = ap_facts_note(s, AP_FACT_TURN, s->segment_base, l.own + 1, err);
		/* Who came meanwhile may not have seen it, and is seen. */
		if (r == 0)
			r = look(s, NULL, &l, err);
		if (r == 0 && l.present)
			p->free_at = ap_clock_mono_ns() + WAIT_NS;
	}
	p->connects = atomic_load(&s->connects);
	p->entered = r == 0;
	return r;
}

int ap_peers_enter(struct ap_store *s, struct ap_error *err)
{
	struct timespec until;
	int r;

	if (!is_shared(s))
		return 0;
	r = has_entered(s) ? 0 : enter(s, err);
	until = ap_clock_timespec(s->peers.free_at);
	if (r == 0)
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
			;
	return r;
}

int ap_peers_leave(struct ap_store *s, struct ap_error *err)
{
	struct look l;
	int r;

	if (!is_shared(s) || !s->peers.entered)
		return 0;
	r = ap_store_settled(s, err);
	if (r == 0)
		r = look(s, NULL, &l, err);
	if (r == 0 && l.own & 1)
		r = ap_facts_note(s, AP_FACT_TURN, s->segment_base, l.own + 1, err);
	s->peers.entered = r < 0;
	return r;
}

bool ap_peers_none(struct ap_store *s, uint64_t *ret_turn)
{
	/* Nobody would be sure of what comes later. */
	const struct ap_store_limits limits = {.timeout_ns = AGAIN_NS};
	struct ap_peers *p = &s->peers;
	struct look l;
	uint64_t now;
	bool due, none;

	*ret_turn = 0;
	if (!is_shared(s))
		return !s->cluster;
	pthread_mutex_lock(&p->lock);
	due = !p->looked || ap_clock_mono_ns() >= p->looked + AGAIN_NS;
	pthread_mutex_unlock(&p->lock);
	if (due && look(s, &limits, &l, NULL) < 0)
		return false;
	pthread_mutex_lock(&p->lock);
	now = ap_clock_mono_ns();
	none = p->present == 0 && now < p->looked + AP_PEERS_SURE_NS;
	*ret_turn = p->turn;
	pthread_mutex_unlock(&p->lock);
	return none;
}

uint64_t ap_peers_known(struct ap_store *s)
{
	uint64_t n;

	pthread_mutex_lock(&s->peers.lock);
	n = s->peers.present;
	pthread_mutex_unlock(&s->peers.lock);
	return n;
}
