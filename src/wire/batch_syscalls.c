/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls of a batch: rows, each with its stretch of two flat columns of numbered counts. */
#include "wire/batch_internal.h"

#define INVALID(d, ...) ap_decode_fail(d, AP_PUSH_CODE_INVALID_ARGUMENT, __VA_ARGS__)

typedef Aperture__Aggregator__V1__Syscalls Syscalls;

/* One of the flat columns, and how far it has been read. */
struct column {
	const char *name;
	const uint32_t *numbers;
	const uint64_t *counts;
	size_t n, at;
	uint32_t min, max; /* of a number */
};

static int check_columns(struct ap_decoder *d, const Syscalls *s)
{
	const struct {
		const char *name;
		size_t n;
	} columns[] = {
		{"syscalls.label_set", s->n_label_set},
		{"syscalls.name", s->n_name},
		{"syscalls.abi", s->n_abi},
		{"syscalls.count", s->n_count},
		{"syscalls.sum_ns", s->n_sum_ns},
		{"syscalls.max_ns", s->n_max_ns},
		{"syscalls.in_flight", s->n_in_flight},
		{"syscalls.oldest_ns", s->n_oldest_ns},
		{"syscalls.buckets", s->n_buckets},
		{"syscalls.errors", s->n_errors},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < AP_ARRAY_SIZE(columns); i++)
		r = ap_decode_same_length(d, columns[i].name, columns[i].n,
					  "syscalls.time_delta_ns", s->n_time_delta_ns);
	if (r == 0)
		r = ap_decode_same_length(d, "syscalls.bucket_count", s->n_bucket_count,
					  "syscalls.bucket", s->n_bucket);
	if (r == 0)
		r = ap_decode_same_length(d, "syscalls.error_count", s->n_error_count,
					  "syscalls.error", s->n_error);
	return r;
}

/* The next `n` entries of a column, which add up to at most `most`. */
static int decode_counts(struct ap_decoder *d, struct column *c, size_t row, uint32_t n,
			 uint64_t most)
{
	uint64_t sum = 0;

	if (!ap_range_ok(c->at, n, c->n))
		return INVALID(d, "syscalls.%ss[%zu] is %u but only %zu entries are left", c->name,
			       row, n, c->n - c->at);
	for (size_t i = c->at; i < c->at + n; i++) {
		const struct ap_syscall_count entry = {.count = c->counts[i],
						       .number = c->numbers[i]};

		if (entry.number < c->min || entry.number > c->max)
			return INVALID(d, "syscalls.%s[%zu] is %u, not within %u to %u", c->name, i,
				       entry.number, c->min, c->max);
		if (i > c->at && entry.number <= c->numbers[i - 1])
			return INVALID(d, "syscalls.%s[%zu] is %u, not above the one before",
				       c->name, i, entry.number);
		if (entry.count == 0 || entry.count > most - sum)
			return INVALID(
				d, "syscalls.%s_count[%zu] is 0, or the row's sum is out of range",
				c->name, i);
		sum += entry.count;
		if (ap_vec_push(&d->profile->syscall_counts, entry) < 0)
			return ap_decode_no_memory(d);
	}
	c->at += n;
	return 0;
}

static int decode_row(struct ap_decoder *d, const Syscalls *s, size_t i, int64_t *time,
		      struct ap_syscall *row)
{
	int r;

	if (__builtin_add_overflow(*time, s->time_delta_ns[i], time) ||
	    *time < d->batch->start_time_ns - AP_DECODE_TIME_SLACK_NS ||
	    *time - AP_DECODE_TIME_SLACK_NS >= d->batch->end_time_ns)
		return INVALID(d,
			       "syscalls.time_delta_ns[%zu]: the row's time is more than a minute "
			       "outside start_time_ns to end_time_ns",
			       i);
	*row = (struct ap_syscall){
		.time_ns = *time,
		.count = s->count[i],
		.sum_ns = s->sum_ns[i],
		.max_ns = s->max_ns[i],
		.oldest_ns = s->oldest_ns[i],
		.in_flight = s->in_flight[i],
		.first = (uint32_t)d->profile->syscall_counts.n,
		.n_buckets = s->buckets[i],
		.n_errors = s->errors[i],
	};
	r = ap_decode_resolve(d, "syscalls.label_set", i, "label sets", &d->label_sets,
			      s->label_set[i], &row->labels);
	if (r == 0)
		r = ap_decode_resolve(d, "syscalls.name", i, "strings", &d->strings, s->name[i],
				      &row->name);
	if (r == 0)
		r = ap_decode_resolve(d, "syscalls.abi", i, "strings", &d->strings, s->abi[i],
				      &row->abi);
	if (r == 0 && row->name == 0)
		r = INVALID(d, "syscalls.name[%zu] is the empty string", i);
	return r;
}

static int decode_rows(struct ap_decoder *d, const Syscalls *s)
{
	struct column buckets = {"bucket", s->bucket, s->bucket_count,	     s->n_bucket,
				 0,	   0,	      AP_LATENCY_BUCKETS - 1};
	struct column errors = {"error", s->error, s->error_count,	s->n_error,
				0,	 1,	   AP_SYSCALL_ERRNO_MAX};
	uint64_t counts = 0, sums = 0;
	int64_t time = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n_time_delta_ns; i++) {
		struct ap_syscall *row = &d->profile->syscalls.p[i];

		r = decode_row(d, s, i, &time, row);
		if (r == 0 &&
		    (row->count > AP_DECODE_SUM_MAX - counts ||
		     row->sum_ns > AP_DECODE_SUM_MAX - sums || row->max_ns > AP_DECODE_SUM_MAX ||
		     row->oldest_ns > AP_DECODE_SUM_MAX))
			r = INVALID(d, "syscalls[%zu]: a number or the batch's sum is out of range",
				    i);
		if (r == 0)
			r = decode_counts(d, &buckets, i, row->n_buckets, row->count);
		if (r == 0)
			r = decode_counts(d, &errors, i, row->n_errors, AP_DECODE_SUM_MAX);
		counts += row->count;
		sums += row->sum_ns;
	}
	if (r == 0 && (buckets.at != buckets.n || errors.at != errors.n))
		r = INVALID(d, "syscalls.%s has more entries than the rows take",
			    buckets.at != buckets.n ? "bucket" : "error");
	return r;
}

int ap_decode_syscalls(struct ap_decoder *d)
{
	const Syscalls *s = d->batch->syscalls;
	int r;

	if (!s)
		return 0;
	r = check_columns(d, s);
	if (r < 0)
		return r;
	if (s->n_bucket + s->n_error > UINT32_MAX ||
	    ap_vec_reserve(&d->profile->syscalls, s->n_time_delta_ns) < 0)
		return ap_decode_no_memory(d);
	r = decode_rows(d, s);
	if (r == 0)
		d->profile->syscalls.n = s->n_time_delta_ns;
	return r;
}
