/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/ingest/part.h"

#include "base/clock.h"

#define NSEC_PER_DAY (86400ll * 1000000000ll)

struct ap_batch *ap_batch_ref(struct ap_batch *b)
{
	__atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

static void data_unref(struct ap_batch_data *d)
{
	if (__atomic_fetch_sub(&d->refs, 1, __ATOMIC_ACQ_REL) > 1)
		return;
	ap_profile_free(d->profile);
	free(d->meta);
	free(d);
}

void ap_batch_unref(struct ap_batch *b)
{
	if (!b || __atomic_fetch_sub(&b->refs, 1, __ATOMIC_ACQ_REL) > 1)
		return;
	data_unref(b->data);
	free(b);
}

void ap_batch_list_free(struct ap_batch_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		ap_batch_unref(l->p[i]);
	ap_vec_free(l);
}

static int32_t day_of(int64_t time_ns)
{
	return (int32_t)((time_ns - (time_ns < 0 ? NSEC_PER_DAY - 1 : 0)) / NSEC_PER_DAY);
}

/* Rows that begin with their time. */
struct timed {
	char *rows;
	size_t n, size;
};
_Static_assert(offsetof(struct ap_sample, time_ns) == 0, "a sample begins with its time");
_Static_assert(offsetof(struct ap_syscall, time_ns) == 0, "a system call begins with its time");

static struct timed samples_of(const struct ap_profile *p)
{
	return (struct timed){(char *)p->samples.p, p->samples.n, sizeof(*p->samples.p)};
}

static struct timed calls_of(const struct ap_profile *p)
{
	return (struct timed){(char *)p->syscalls.p, p->syscalls.n, sizeof(*p->syscalls.p)};
}

static int64_t time_at(const struct timed *t, size_t i)
{
	int64_t time_ns;

	memcpy(&time_ns, t->rows + i * t->size, sizeof(time_ns));
	return time_ns;
}

/* How many rows from `first` on are of `day`. */
static size_t day_run(const struct timed *t, size_t first, int32_t day)
{
	int64_t begin_ns = day * NSEC_PER_DAY;
	size_t i = first;

	while (i < t->n && time_at(t, i) >= begin_ns && time_at(t, i) < begin_ns + NSEC_PER_DAY)
		i++;
	return i - first;
}

static bool days_ascend(const struct timed *t)
{
	int32_t day = INT32_MIN, next;

	for (size_t at = 0; at < t->n; at += day_run(t, at, day)) {
		next = day_of(time_at(t, at));
		if (next < day)
			return false;
		day = next;
	}
	return true;
}

/* Reorders the rows so that days ascend, keeping the order within each. */
static int sort_by_day(const struct timed *t)
{
	_cleanup_free_ char *sorted = NULL;
	int32_t day = INT32_MIN, next;
	size_t n = 0;

	if (days_ascend(t))
		return 0;
	sorted = malloc(t->n * t->size);
	if (!sorted)
		return -ENOMEM;
	/* One pass a day: a batch spans a midnight or two. */
	while (n < t->n) {
		next = INT32_MAX;
		for (size_t i = 0; i < t->n; i++)
			if (day_of(time_at(t, i)) > day)
				next = AP_MIN(next, day_of(time_at(t, i)));
		day = next;
		for (size_t i = 0; i < t->n; i++)
			if (day_of(time_at(t, i)) == day)
				memcpy(sorted + n++ * t->size, t->rows + i * t->size, t->size);
	}
	memcpy(t->rows, sorted, n * t->size);
	return 0;
}

int ap_part_sort(struct ap_profile *profile)
{
	const struct timed samples = samples_of(profile), calls = calls_of(profile);
	int r = sort_by_day(&samples);

	return r < 0 ? r : sort_by_day(&calls);
}

/* A part of one day: of the samples from `row` on, AP_PART_ROWS at most, and of the system calls from
 * `call` on, what is of that day. */
static struct ap_batch *part_new(struct ap_batch_data *d, int32_t day, size_t row, size_t call)
{
	const struct timed calls = calls_of(d->profile);
	struct timed samples = samples_of(d->profile);
	size_t total = ap_profile_bytes(d->profile) + sizeof(*d) + sizeof(*d->meta);
	size_t rows = samples.n + calls.n;
	struct ap_batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->refs = 1;
	b->data = d;
	b->profile = d->profile;
	b->meta = d->meta;
	b->day = day;
	b->first_row = row;
	samples.n = AP_MIN(samples.n, row + AP_PART_ROWS);
	b->n_rows = day_run(&samples, row, day);
	b->first_call = call;
	b->n_calls = day_run(&calls, call, day);
	b->min_time_ns = b->n_rows ? time_at(&samples, row) : d->meta->start_ns;
	b->max_time_ns = b->n_rows ? b->min_time_ns : d->meta->end_ns - 1;
	for (size_t i = row; i < row + b->n_rows; i++) {
		b->min_time_ns = AP_MIN(b->min_time_ns, time_at(&samples, i));
		b->max_time_ns = AP_MAX(b->max_time_ns, time_at(&samples, i));
		b->periods += d->profile->samples.p[i].count;
	}
	b->first_ns = AP_MIN(b->min_time_ns, d->meta->start_ns);
	b->last_ns = AP_MAX(b->max_time_ns, d->meta->end_ns);
	for (size_t i = call; i < call + b->n_calls; i++) {
		b->first_ns = AP_MIN(b->first_ns, time_at(&calls, i));
		b->last_ns = AP_MAX(b->last_ns, time_at(&calls, i));
	}
	b->bytes = rows ? (size_t)((__uint128_t)total * (b->n_rows + b->n_calls) / rows) : total;
	b->bytes += sizeof(*b);
	__atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
	return b;
}

/* All parts of a batch; the list is empty again on failure. The first is of the day that the batch
 * begins on, whether or not it has rows of that day: what the batch says of itself goes with it. */
static int split(struct ap_batch_data *d, struct ap_batch_list *ret)
{
	const struct timed samples = samples_of(d->profile), calls = calls_of(d->profile);
	int32_t day = day_of(d->meta->start_ns);
	int64_t now = ap_clock_unix_ns();
	size_t row = 0, call = 0;

	for (;;) {
		struct ap_batch *b = part_new(d, day, row, call);

		if (!b || ap_vec_push(ret, b) < 0) {
			ap_batch_unref(b);
			ap_batch_list_free(ret);
			return -ENOMEM;
		}
		b->part = (uint32_t)ret->n - 1;
		b->received_ns = now;
		row += b->n_rows;
		call += b->n_calls;
		if (row == samples.n && call == calls.n)
			break;
		day = INT32_MAX;
		if (row < samples.n)
			day = day_of(time_at(&samples, row));
		if (call < calls.n)
			day = AP_MIN(day, day_of(time_at(&calls, call)));
	}
	d->unstored = (uint32_t)ret->n;
	return 0;
}

int ap_part_split(struct ap_profile *profile, const struct ap_batch_meta *meta,
		  struct ap_batch_list *ret)
{
	struct ap_batch_data *d;
	int r = ap_part_sort(profile);

	if (r < 0)
		return r;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->refs = 1;
	d->profile = profile;
	d->meta = malloc(sizeof(*d->meta));
	r = d->meta ? 0 : -ENOMEM;
	if (r == 0) {
		*d->meta = *meta;
		r = split(d, ret);
	}
	if (r < 0)
		d->profile = NULL; /* stays the caller's */
	data_unref(d);
	return r;
}

struct ap_profile *ap_part_join(struct ap_batch_list *list)
{
	struct ap_profile *p = AP_TAKE_PTR(list->p[0]->data->profile);

	ap_batch_list_free(list);
	return p;
}

void ap_part_spill(struct ap_batch_list *list)
{
	struct ap_batch_data *d = list->p[0]->data;

	ap_profile_free(AP_TAKE_PTR(d->profile));
	free(AP_TAKE_PTR(d->meta));
	for (size_t i = 0; i < list->n; i++) {
		list->p[i]->profile = NULL;
		list->p[i]->meta = NULL;
		list->p[i]->bytes = sizeof(**list->p);
	}
}

struct ap_batch *ap_part_in_journal(const struct ap_batch *b)
{
	struct ap_batch *copy = malloc(sizeof(*copy));
	struct ap_batch_data *d = calloc(1, sizeof(*d));

	if (!copy || !d) {
		free(copy);
		free(d);
		return NULL;
	}
	*d = (struct ap_batch_data){.refs = 1, .at = b->data->at};
	*copy = *b;
	copy->refs = 1;
	copy->profile = NULL;
	copy->meta = NULL;
	copy->data = d;
	return copy;
}
