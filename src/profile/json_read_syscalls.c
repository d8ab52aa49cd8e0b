/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls of a profile file: rows, each with its stretch of two flat columns of numbered counts. */
#include "profile/json_columns.h"

/* One of the flat columns, and how far it has been read. */
struct flat {
	enum ap_json_column length, number, count;
	uint64_t min, max; /* of a number */
	size_t at;
};

/* The next entries of a column, as many as row `i` has. */
static int read_counts(const struct ap_json_table *t, struct flat *f, size_t i,
		       struct ap_syscall_counts *ret)
{
	uint64_t n = 0, least = f->min;
	int rc = ap_json_number_at(t, f->length, i, t->columns[f->number].n - f->at, &n);

	for (; rc == 0 && n > 0; n--, f->at++) {
		uint64_t number = 0, count = 0;

		rc = ap_json_number_at(t, f->number, f->at, f->max, &number);
		if (rc == 0 && number < least)
			rc = ap_json_bad_entry(t, f->number, f->at);
		if (rc == 0)
			rc = ap_json_number_at(t, f->count, f->at, UINT64_MAX, &count);
		if (rc == 0 && count == 0)
			rc = ap_json_bad_entry(t, f->count, f->at);
		if (rc == 0)
			rc = ap_syscall_counts_add(ret, (uint32_t)number, count);
		least = number + 1;
	}
	return rc;
}

static int read_row(const struct ap_json_table *t, size_t i, struct ap_syscall *row,
		    struct ap_syscall_stat *stat)
{
	const struct {
		enum ap_json_column column;
		uint64_t *to;
	} numbers[] = {
		{AP_JSON_SYSCALL_COUNT, &stat->count},
		{AP_JSON_SYSCALL_SUM, &stat->sum_ns},
		{AP_JSON_SYSCALL_MAX, &stat->max_ns},
		{AP_JSON_SYSCALL_OLDEST, &row->oldest_ns},
	};
	int rc = 0;

	for (size_t k = 0; k < AP_ARRAY_SIZE(numbers) && rc == 0; k++)
		rc = ap_json_number_at(t, numbers[k].column, i, UINT64_MAX, numbers[k].to);
	return rc == 0 ? ap_json_u32_at(t, AP_JSON_SYSCALL_IN_FLIGHT, i, &row->in_flight) : rc;
}

int ap_json_read_syscalls(const struct ap_json_table *t, const struct ap_id_map *strings,
			  const struct ap_id_map *label_sets, struct ap_profile *p)
{
	struct flat buckets = {AP_JSON_SYSCALL_BUCKETS,	     AP_JSON_SYSCALL_BUCKET,
			       AP_JSON_SYSCALL_BUCKET_COUNT, 0,
			       AP_LATENCY_BUCKETS - 1,	     0};
	struct flat errors = {AP_JSON_SYSCALL_ERRORS,	   AP_JSON_SYSCALL_ERROR,
			      AP_JSON_SYSCALL_ERROR_COUNT, 1,
			      AP_SYSCALL_ERRNO_MAX,	   0};
	struct ap_syscall_stat stat = {0};
	int rc = 0;

	for (size_t i = 0; i < t->columns[AP_JSON_SYSCALL_TIME].n && rc == 0; i++) {
		struct ap_syscall row = {.time_ns = (int64_t)t->columns[AP_JSON_SYSCALL_TIME].p[i]};

		ap_syscall_stat_clear(&stat);
		rc = read_row(t, i, &row, &stat);
		if (rc == 0)
			rc = ap_json_id_at(t, AP_JSON_SYSCALL_LABELS, i, label_sets, &row.labels);
		if (rc == 0)
			rc = ap_json_id_at(t, AP_JSON_SYSCALL_NAME, i, strings, &row.name);
		if (rc == 0)
			rc = ap_json_id_at(t, AP_JSON_SYSCALL_ABI, i, strings, &row.abi);
		if (rc == 0)
			rc = read_counts(t, &buckets, i, &stat.buckets);
		if (rc == 0)
			rc = read_counts(t, &errors, i, &stat.errors);
		if (rc == 0)
			rc = ap_profile_add_syscall(p, &row, &stat);
	}
	ap_syscall_stat_free(&stat);
	return rc;
}
