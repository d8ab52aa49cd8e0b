/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/ingest/sequence.h"

#include <string.h>

void ap_sequence_free(struct ap_sequence_set *s)
{
	ap_vec_free(&s->ranges);
}

/* The first range that ends at or after `n`. */
static size_t find(const struct ap_sequence_set *s, uint64_t n)
{
	return ap_first(s->ranges.p, s->ranges.n, r, r->last >= n);
}

bool ap_sequence_has(const struct ap_sequence_set *s, uint64_t n)
{
	size_t i = find(s, n);

	return i < s->ranges.n && s->ranges.p[i].first <= n;
}

static void erase(struct ap_sequence_set *s, size_t i)
{
	s->ranges.n--;
	memmove(&s->ranges.p[i], &s->ranges.p[i + 1],
		(s->ranges.n - i) * sizeof(struct ap_sequence_range));
}

static int insert(struct ap_sequence_set *s, size_t i, uint64_t first, uint64_t last)
{
	/* One more than needed, so that taking the number out again finds room. */
	if (ap_vec_reserve(&s->ranges, (size_t)2) < 0)
		return -ENOMEM;
	memmove(&s->ranges.p[i + 1], &s->ranges.p[i],
		(s->ranges.n - i) * sizeof(struct ap_sequence_range));
	s->ranges.p[i] = (struct ap_sequence_range){first, last};
	s->ranges.n++;
	return 0;
}

static void close_oldest_gap(struct ap_sequence_set *s)
{
	if (s->ranges.n <= AP_SEQUENCE_RANGES_MAX)
		return;
	s->ranges.p[1].first = s->ranges.p[0].first;
	erase(s, 0);
}

int ap_sequence_add(struct ap_sequence_set *s, uint64_t n)
{
	size_t i = find(s, n);
	struct ap_sequence_range *before = i > 0 ? &s->ranges.p[i - 1] : NULL;
	struct ap_sequence_range *after = i < s->ranges.n ? &s->ranges.p[i] : NULL;

	if (after && after->first <= n)
		return -EEXIST;
	if (before && before->last == n - 1) {
		before->last = n;
		if (after && after->first == n + 1) {
			before->last = after->last;
			erase(s, i);
		}
		return 0;
	}
	if (after && after->first == n + 1) {
		after->first = n;
		return 0;
	}
	if (insert(s, i, n, n) < 0)
		return -ENOMEM;
	close_oldest_gap(s);
	return 0;
}

int ap_sequence_add_range(struct ap_sequence_set *s, uint64_t first, uint64_t last)
{
	size_t i = find(s, first ? first - 1 : 0);

	if (first > last)
		return -EINVAL;
	/* What it touches becomes part of it. */
	while (i < s->ranges.n && s->ranges.p[i].first <= (last == UINT64_MAX ? last : last + 1)) {
		first = AP_MIN(first, s->ranges.p[i].first);
		last = AP_MAX(last, s->ranges.p[i].last);
		erase(s, i);
	}
	if (insert(s, i, first, last) < 0)
		return -ENOMEM;
	close_oldest_gap(s);
	return 0;
}

void ap_sequence_remove(struct ap_sequence_set *s, uint64_t n)
{
	size_t i = find(s, n);
	struct ap_sequence_range *r = i < s->ranges.n ? &s->ranges.p[i] : NULL;

	if (!r || r->first > n)
		return;
	if (r->first == n && r->last == n) {
		erase(s, i);
	} else if (r->first == n) {
		r->first++;
	} else if (r->last == n) {
		r->last--;
	} else if (insert(s, i, r->first, n - 1) == 0) {
		s->ranges.p[i + 1].first = n + 1;
	}
}
