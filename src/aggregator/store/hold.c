/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/hold.h"

#include "aggregator/ingest/part.h"
#include "base/clock.h"

#define DAY_S 86400ll

const char *const ap_hold_tables[AP_HOLD_TABLES] = {"samples", "syscalls", "ledger"};

static void held_free(struct ap_held *held)
{
	ap_batch_list_free(&held->parts);
}

void ap_hold_free(struct ap_hold *h)
{
	AP_VEC_FOREACH(&h->list, held)
		held_free(held);
	ap_vec_free(&h->list);
}

/* Where the segment is, or belongs. */
static size_t position(const struct ap_hold *h, uint64_t segment)
{
	return ap_first(h->list.p, h->list.n, held, held->segment >= segment);
}

int ap_hold_add(struct ap_hold *h, uint64_t segment, const struct ap_batch_list *parts,
		const uint64_t rows[AP_HOLD_TABLES])
{
	struct ap_held held = {.segment = segment, .since = ap_clock_mono_ns()};
	size_t at = position(h, segment);

	if (ap_vec_reserve(&h->list, 1) < 0 || ap_vec_reserve(&held.parts, parts->n) < 0)
		goto no_memory;
	for (size_t i = 0; i < parts->n; i++) {
		struct ap_batch *b = ap_part_in_journal(parts->p[i]);

		if (!b)
			goto no_memory;
		held.parts.p[held.parts.n++] = b;
		held.day = b->day;
	}
	memcpy(held.rows, rows, sizeof(held.rows));
	memmove(h->list.p + at + 1, h->list.p + at, (h->list.n - at) * sizeof(*h->list.p));
	h->list.p[at] = held;
	h->list.n++;
	return 0;
no_memory:
	held_free(&held);
	return -ENOMEM;
}

bool ap_hold_is_due(const struct ap_hold *h, uint64_t before, uint64_t hold_ns)
{
	AP_VEC_FOREACH(&h->list, held)
		if (held->since + hold_ns / 4 < before)
			return true;
	return false;
}

struct counting {
	struct ap_hold *hold;
	size_t table;
};

static int take_counts(void *ctx, const struct ap_native_view *v)
{
	const struct counting *c = ctx;

	if (v->n_columns != 2)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows; row++) {
		uint64_t segment = ap_native_uint(&v->columns[0], row);
		size_t at = position(c->hold, segment);

		if (at < c->hold->list.n && c->hold->list.p[at].segment == segment)
			c->hold->list.p[at].found[c->table] = ap_native_uint(&v->columns[1], row);
	}
	return 0;
}

int ap_hold_count(struct ap_hold *h, struct ap_store *s, uint64_t before, struct ap_error *err)
{
	uint64_t first = UINT64_MAX, last = 0;
	int32_t from = INT32_MAX, to = INT32_MIN;
	int r = 0;

	AP_VEC_FOREACH(&h->list, held) {
		if (held->since >= before)
			continue;
		memset(held->found, 0, sizeof(held->found));
		first = AP_MIN(first, held->segment);
		last = AP_MAX(last, held->segment);
		from = AP_MIN(from, held->day);
		to = AP_MAX(to, held->day);
	}
	for (size_t i = 0; i < AP_HOLD_TABLES && first <= last && r == 0; i++) {
		struct counting c = {h, i};
		_cleanup_buf_ struct ap_buf sql = {0};

		ap_buf_printf(&sql,
			      "SELECT segment, count() FROM %s WHERE segment >= %llu AND "
			      "segment <= %llu AND time >= %lld AND time < %lld GROUP BY segment",
			      ap_hold_tables[i], (unsigned long long)first,
			      (unsigned long long)last, from * DAY_S, (to + 1) * DAY_S);
		r = ap_buf_error(&sql);
		if (r == 0)
			r = ap_store_query(s, ap_buf_view(&sql), NULL, take_counts, &c, err);
	}
	return r;
}

bool ap_held_is_whole(const struct ap_held *held)
{
	for (size_t i = 0; i < AP_HOLD_TABLES; i++)
		if (held->found[i] < held->rows[i])
			return false;
	return true;
}

void ap_hold_release(struct ap_hold *h, uint64_t before)
{
	size_t kept = 0;

	for (size_t i = 0; i < h->list.n; i++) {
		if (h->list.p[i].since < before)
			held_free(&h->list.p[i]);
		else
			h->list.p[kept++] = h->list.p[i];
	}
	h->list.n = kept;
}
