/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/ingest/segments.h"

#include <string.h>

void segments_free(struct segments *s)
{
	ap_vec_free(&s->list);
}

int segments_reserve(struct segments *s, size_t n)
{
	return ap_vec_reserve(&s->list, n);
}

uint64_t segments_join(struct segments *s, int32_t day, size_t rows, size_t max_rows)
{
	AP_VEC_FOREACH(&s->list, g) {
		if (!g->gathers || g->day != day)
			continue;
		if (g->rows + rows > max_rows && g->parts + g->unsettled > 0) {
			g->gathers = false;
			continue;
		}
		g->rows += rows;
		g->unsettled++;
		return s->watermark + 1 + (uint64_t)(g - s->list.p);
	}
	s->list.p[s->list.n++] = (struct segment){.gathers = true,
						  .day = day,
						  .unsettled = 1,
						  .rows = rows,
						  .timed = true,
						  .min_ns = INT64_MAX,
						  .max_ns = INT64_MIN};
	return s->watermark + s->list.n;
}

struct segment *segments_get(struct segments *s, uint64_t number)
{
	if (number <= s->watermark || number - s->watermark > s->list.n)
		return NULL;
	return &s->list.p[number - s->watermark - 1];
}

int segments_extend(struct segments *s, uint64_t number)
{
	uint64_t need = number > s->watermark ? number - s->watermark : 0;

	if (need > SIZE_MAX || (need > s->list.n && segments_reserve(s, need - s->list.n) < 0))
		return -ENOMEM;
	while (s->list.n < need)
		s->list.p[s->list.n++] = (struct segment){0};
	return 0;
}

uint64_t segments_cut(struct segments *s)
{
	struct segment *found = NULL;

	AP_VEC_FOREACH(&s->list, g)
		if (!found && g->state == SEGMENT_RETRY)
			found = g;
	AP_VEC_FOREACH(&s->list, g) {
		if (found || g->state != SEGMENT_WAITING || !g->parts)
			continue;
		if (g->unsettled)
			g->gathers = false; /* so that there is an end to it */
		else
			found = g;
	}
	if (!found)
		return 0;
	found->state = SEGMENT_OUT;
	found->gathers = false;
	return s->watermark + 1 + (uint64_t)(found - s->list.p);
}

/* One may hold nothing, since its parts turned out not to be in. */
static bool is_done(const struct segment *g)
{
	return g->state == SEGMENT_STORED ||
	       (g->state == SEGMENT_WAITING && !g->parts && !g->unsettled);
}

void segment_covers(struct segment *g, int64_t min_ns, int64_t max_ns)
{
	g->min_ns = AP_MIN(g->min_ns, min_ns);
	g->max_ns = AP_MAX(g->max_ns, max_ns);
}

bool segments_times(const struct segments *s, uint64_t after, uint64_t upto, int64_t *ret_min_ns,
		    int64_t *ret_max_ns)
{
	*ret_min_ns = INT64_MAX;
	*ret_max_ns = INT64_MIN;
	if (upto > s->watermark || upto < after || upto - after > SEGMENTS_PASSED)
		return false;
	for (uint64_t n = after + 1; n <= upto; n++) {
		const struct segment_times *t = &s->passed[n % SEGMENTS_PASSED];

		if (t->number != n)
			return false;
		*ret_min_ns = AP_MIN(*ret_min_ns, t->min_ns);
		*ret_max_ns = AP_MAX(*ret_max_ns, t->max_ns);
	}
	return true;
}

static void remember(struct segments *s, uint64_t number, const struct segment *g)
{
	s->passed[number % SEGMENTS_PASSED] =
		(struct segment_times){g->timed ? number : 0, g->min_ns, g->max_ns};
}

bool segments_advance(struct segments *s)
{
	size_t n = 0;

	while (n < s->list.n && is_done(&s->list.p[n]))
		n++;
	if (n == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		remember(s, s->watermark + 1 + i, &s->list.p[i]);
	s->list.n -= n;
	memmove(s->list.p, s->list.p + n, s->list.n * sizeof(*s->list.p));
	s->watermark += n;
	return true;
}
