/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/syscall.h"

void ap_syscall_stat_free(struct ap_syscall_stat *s)
{
	ap_vec_free(&s->buckets.v);
	ap_vec_free(&s->errors.v);
	*s = (struct ap_syscall_stat){0};
}

void ap_syscall_stat_clear(struct ap_syscall_stat *s)
{
	s->count = s->sum_ns = s->max_ns = 0;
	s->buckets.v.n = s->errors.v.n = 0;
}

int ap_syscall_counts_add(struct ap_syscall_counts *c, uint32_t number, uint64_t n)
{
	const struct ap_syscall_count entry = {.count = n, .number = number};
	size_t low = 0, high = c->v.n;

	if (n == 0)
		return 0;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (c->v.p[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < c->v.n && c->v.p[low].number == number) {
		c->v.p[low].count += n;
		return 0;
	}
	if (ap_vec_reserve(&c->v, (size_t)1) < 0)
		return -ENOMEM;
	memmove(c->v.p + low + 1, c->v.p + low, (c->v.n - low) * sizeof(entry));
	c->v.p[low] = entry;
	c->v.n++;
	return 0;
}

static int add_counts(struct ap_syscall_counts *c, const struct ap_syscall_counts *from)
{
	int r = 0;

	AP_VEC_FOREACH(&from->v, e) {
		r = ap_syscall_counts_add(c, e->number, e->count);
		if (r < 0)
			break;
	}
	return r;
}

int ap_syscall_stat_add(struct ap_syscall_stat *s, const struct ap_syscall_stat *from)
{
	int r = add_counts(&s->buckets, &from->buckets);

	s->count += from->count;
	s->sum_ns += from->sum_ns;
	s->max_ns = AP_MAX(s->max_ns, from->max_ns);
	return r < 0 ? r : add_counts(&s->errors, &from->errors);
}

uint64_t ap_syscall_counts_sum(const struct ap_syscall_counts *c)
{
	uint64_t sum = 0;

	AP_VEC_FOREACH(&c->v, e)
		sum += e->count;
	return sum;
}

/* Buckets below 16 ns hold one value each. */
static double middle_of(uint32_t bucket)
{
	uint64_t from = ap_latency_from(bucket), to = ap_latency_from(bucket + 1);

	return to - from > 1 ? (double)from + (double)(to - from) / 2 : (double)from;
}

double ap_syscall_quantile(const struct ap_syscall_stat *s, double q)
{
	uint64_t all = ap_syscall_counts_sum(&s->buckets), seen = 0;

	if (all == 0)
		return -1;
	AP_VEC_FOREACH(&s->buckets.v, b) {
		seen += b->count;
		if ((double)seen >= q * (double)all) {
			double v = middle_of(b->number);

			return s->max_ns ? AP_MIN(v, (double)s->max_ns) : v;
		}
	}
	return (double)s->max_ns;
}
