/* SPDX-License-Identifier: Apache-2.0 */
/* Which batches have been accepted, as bytes: numbers are little-endian varints.
 *
 *	agents { id[36], host, first seen, last seen, epochs { number, ranges { gap, length } } }
 *
 * A range is how far its first number is from the end of the one before, and how many more it has. */
#include "aggregator/ingest/agents_internal.h"

/* Ranges of one epoch that are written, the latest: the first of them begins with the first of all. */
static const uint32_t ranges_kept[] = {AP_SEQUENCE_RANGES_MAX, 64, 4, 1};

static void save_epoch(struct ap_agents *a, const struct agent *g, const struct epoch *e,
		       uint32_t most, struct ap_buf *out)
{
	_cleanup_(ap_sequence_free) struct ap_sequence_set set = {0};
	uint64_t at = 0;
	size_t skip;

	AP_VEC_FOREACH(&e->seen.ranges, r)
		if (ap_sequence_add_range(&set, r->first, r->last) < 0)
			out->err = -ENOMEM;
	AP_VEC_FOREACH(&a->claims, c)
		if (c->epoch == e->number && strcmp(c->agent_id, g->info.meta.agent_id) == 0)
			ap_sequence_remove(&set, c->sequence);
	skip = set.ranges.n > most ? set.ranges.n - most : 0;
	if (skip)
		set.ranges.p[skip].first = set.ranges.p[0].first;
	ap_buf_varint(out, e->number);
	ap_buf_varint(out, set.ranges.n - skip);
	for (size_t i = skip; i < set.ranges.n; i++) {
		const struct ap_sequence_range *r = &set.ranges.p[i];

		ap_buf_varint(out, r->first - at);
		ap_buf_varint(out, r->last - r->first);
		at = r->last;
	}
}

static void save_agent(struct ap_agents *a, const struct agent *g, uint32_t most,
		       struct ap_buf *out)
{
	const struct ap_batch_meta *m = &g->info.meta;

	ap_buf_append(out, m->agent_id, AP_AGENT_ID_LEN);
	ap_buf_varint(out, strlen(m->host));
	ap_buf_puts(out, m->host);
	ap_buf_varint(out, (uint64_t)g->info.first_seen_ns);
	ap_buf_varint(out, (uint64_t)g->info.last_seen_ns);
	ap_buf_varint(out, g->n_epochs);
	for (uint32_t i = 0; i < g->n_epochs; i++)
		save_epoch(a, g, &g->epochs[i], most, out);
}

int ap_agents_save(struct ap_agents *a, size_t max, struct ap_buf *out)
{
	size_t begin = out->n;
	struct agent *g, *next;
	int r = -EFBIG;

	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < AP_ARRAY_SIZE(ranges_kept) && r == -EFBIG; i++) {
		out->n = begin;
		ap_buf_varint(out, HASH_COUNT(a->table));
		HASH_ITER(hh, a->table, g, next)
			save_agent(a, g, ranges_kept[i], out);
		r = ap_buf_error(out);
		if (r == 0 && out->n - begin > max)
			r = -EFBIG;
	}
	pthread_mutex_unlock(&a->lock);
	return r;
}

/* Reads from the front of `s`; false: there is no whole number. */
static bool take_number(struct ap_str *s, uint64_t *ret)
{
	uint64_t v = 0;

	for (uint32_t shift = 0; s->n && shift < 64; shift += 7) {
		uint8_t byte = (uint8_t)*s->p;

		s->p++;
		s->n--;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

static bool take_text(struct ap_str *s, size_t n, char *ret, size_t size)
{
	if (n > s->n || n >= size)
		return false;
	memcpy(ret, s->p, n);
	ret[n] = '\0';
	s->p += n;
	s->n -= n;
	return true;
}

static int load_epoch(struct agent *g, struct ap_str *s)
{
	uint64_t number, n, gap, more, at = 0;
	struct epoch *e;

	if (!take_number(s, &number) || !take_number(s, &n))
		return -EBADMSG;
	e = agents_epoch(g, number);
	for (; n; n--) {
		uint64_t first, last;

		if (!take_number(s, &gap) || !take_number(s, &more) ||
		    __builtin_add_overflow(at, gap, &first) ||
		    __builtin_add_overflow(first, more, &last))
			return -EBADMSG;
		if (e && ap_sequence_add_range(&e->seen, first, last) < 0)
			return -ENOMEM;
		at = last;
	}
	return 0;
}

static int load_agent(struct ap_agents *a, struct ap_str *s)
{
	uint64_t n, first, last, epochs;
	struct ap_batch_meta meta = {0};
	struct agent *g;
	int r = 0;

	if (!take_text(s, AP_AGENT_ID_LEN, meta.agent_id, sizeof(meta.agent_id)) ||
	    !take_number(s, &n) || !take_text(s, n, meta.host, sizeof(meta.host)) ||
	    !take_number(s, &first) || !take_number(s, &last) || !take_number(s, &epochs) ||
	    epochs > AP_EPOCHS_MAX)
		return -EBADMSG;
	g = agents_find(a, meta.agent_id);
	if (!g) {
		r = agents_add(a, &meta, (int64_t)last, &g);
		if (r == 0)
			g->info.first_seen_ns = (int64_t)first;
	}
	for (uint64_t i = 0; i < epochs && r == 0; i++)
		r = load_epoch(g, s);
	return r;
}

int ap_agents_load(struct ap_agents *a, struct ap_str saved)
{
	uint64_t n;
	int r = 0;

	if (!take_number(&saved, &n))
		return -EBADMSG;
	pthread_mutex_lock(&a->lock);
	for (; n && r == 0; n--)
		r = load_agent(a, &saved);
	pthread_mutex_unlock(&a->lock);
	return r;
}
