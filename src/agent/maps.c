/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/maps.h"

void ap_maps_clear(struct ap_maps *m)
{
	AP_VEC_FOREACH(&m->ranges, r)
		ap_file_unref(r->file);
	ap_vec_free(&m->ranges);
}

/* Index of the first range that ends after `address`. */
static size_t first_after(const struct ap_maps *m, uint64_t address)
{
	return ap_first(m->ranges.p, m->ranges.n, r, r->end > address);
}

const struct ap_map_range *ap_maps_find(const struct ap_maps *m, uint64_t address)
{
	size_t i = first_after(m, address);

	return i < m->ranges.n && m->ranges.p[i].start <= address ? &m->ranges.p[i] : NULL;
}

static void insert_at(struct ap_maps *m, size_t i, const struct ap_map_range *range)
{
	struct ap_map_range *p = m->ranges.p;

	memmove(p + i + 1, p + i, (m->ranges.n - i) * sizeof(*p));
	p[i] = *range;
	ap_file_ref(range->file);
	m->ranges.n++;
}

/* Frees [start, end) for a new range and returns where it belongs. There is room for one more
 * range, which a hole in the middle of an older one needs. */
static size_t cut_out(struct ap_maps *m, uint64_t start, uint64_t end)
{
	size_t i = first_after(m, start), gone;
	struct ap_map_range *r = m->ranges.p + i;

	if (i < m->ranges.n && r->start < start) {
		if (r->end > end) {
			struct ap_map_range rest = *r;

			rest.pgoff += end - rest.start;
			rest.start = end;
			insert_at(m, i + 1, &rest);
		}
		m->ranges.p[i].end = start;
		i++;
	}
	for (gone = i; gone < m->ranges.n && m->ranges.p[gone].end <= end; gone++)
		ap_file_unref(m->ranges.p[gone].file);
	memmove(m->ranges.p + i, m->ranges.p + gone, (m->ranges.n - gone) * sizeof(*r));
	m->ranges.n -= gone - i;
	r = m->ranges.p + i;
	if (i < m->ranges.n && r->start < end) {
		r->pgoff += end - r->start;
		r->start = end;
	}
	return i;
}

int ap_maps_add(struct ap_maps *m, const struct ap_map_range *range)
{
	if (range->start >= range->end)
		return -EINVAL;
	if (m->ranges.n + 2 > AP_MAPS_MAX)
		return -E2BIG;
	if (ap_vec_reserve(&m->ranges, (size_t)2) < 0)
		return -ENOMEM;
	insert_at(m, cut_out(m, range->start, range->end), range);
	return 0;
}

int ap_maps_copy(struct ap_maps *to, const struct ap_maps *from)
{
	struct ap_maps copy = {0};

	if (from->ranges.n && ap_vec_reserve(&copy.ranges, from->ranges.n) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < from->ranges.n; i++) {
		copy.ranges.p[i] = from->ranges.p[i];
		ap_file_ref(copy.ranges.p[i].file);
	}
	copy.ranges.n = from->ranges.n;
	ap_maps_clear(to);
	*to = copy;
	return 0;
}
