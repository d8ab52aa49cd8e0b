/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind/space.h"

#include <string.h>

int ap_space_init(struct ap_space *s, uint32_t begin, uint32_t end)
{
	*s = (struct ap_space){.n_free = end - begin, .top = begin};
	return ap_vec_push(&s->runs, ((struct ap_run){begin, end - begin}));
}

void ap_space_free(struct ap_space *s)
{
	ap_vec_free(&s->runs);
}

static void remove_run(struct ap_space *s, size_t i)
{
	memmove(s->runs.p + i, s->runs.p + i + 1, (s->runs.n - i - 1) * sizeof(*s->runs.p));
	s->runs.n--;
}

uint32_t ap_space_take(struct ap_space *s, uint32_t n)
{
	/* Room for the most runs that giving back can lead to: one between any two taken ones. */
	size_t most = (size_t)s->n_taken + 2;

	if (most > s->runs.n && ap_vec_reserve(&s->runs, most - s->runs.n) < 0)
		return 0;
	for (size_t i = 0; i < s->runs.n; i++) {
		struct ap_run *r = &s->runs.p[i];
		uint32_t at = r->at;

		if (r->n < n)
			continue;
		r->at += n;
		r->n -= n;
		if (r->n == 0)
			remove_run(s, i);
		s->n_free -= n;
		s->n_taken++;
		s->top = AP_MAX(s->top, at + n);
		return at;
	}
	return 0;
}

/* Index of the first run after `at`. */
static size_t first_after(const struct ap_space *s, uint32_t at)
{
	return ap_first(s->runs.p, s->runs.n, run, run->at > at);
}

void ap_space_give(struct ap_space *s, uint32_t at, uint32_t n)
{
	size_t i = first_after(s, at);
	struct ap_run *p = s->runs.p;
	bool before = i > 0 && p[i - 1].at + p[i - 1].n == at;
	bool after = i < s->runs.n && at + n == p[i].at;

	s->n_free += n;
	s->n_taken--;
	if (before && after) {
		p[i - 1].n += n + p[i].n;
		remove_run(s, i);
	} else if (before) {
		p[i - 1].n += n;
	} else if (after) {
		p[i].at = at;
		p[i].n += n;
	} else {
		memmove(p + i + 1, p + i, (s->runs.n - i) * sizeof(*p));
		p[i] = (struct ap_run){at, n};
		s->runs.n++;
	}
}
