/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/identity.h"
#include "aggregator/store/rows_internal.h"
#include "aggregator/store/schema.h"

int ap_user_labels_of(const struct ap_profile *p, uint32_t set, struct ap_user_labels *ret)
{
	struct ap_label_set l = ap_profile_get_labels(p, set);

	ret->keys.n = ret->values.n = 0;
	for (uint32_t i = 0; i < l.n; i++) {
		struct ap_str key = ap_profile_str(p, l.labels[i].key);
		struct ap_str value = ap_profile_str(p, l.labels[i].value);

		if (value.n == 0 || ap_schema_label_find(key) >= 0)
			continue;
		if (ap_vec_push(&ret->keys, key) < 0 || ap_vec_push(&ret->values, value) < 0)
			return -ENOMEM;
	}
	return 0;
}

void ap_user_labels_put(const struct ap_user_labels *l, struct ap_native_block *b,
			uint32_t keys_column, uint32_t values_column)
{
	ap_native_put_strs(b, keys_column, l->keys.p, (uint32_t)l->keys.n);
	ap_native_put_strs(b, values_column, l->values.p, (uint32_t)l->values.n);
}

void ap_user_labels_free(struct ap_user_labels *l)
{
	ap_vec_free(&l->keys);
	ap_vec_free(&l->values);
}

/* Room for a row's numbered counts as two arrays. */
struct arrays {
	AP_VEC(uint64_t) numbers, counts;
};

static int put_counts(struct ap_native_block *b, uint32_t column, struct arrays *a,
		      const struct ap_syscall_count *c, uint32_t n)
{
	a->numbers.n = a->counts.n = 0;
	for (uint32_t i = 0; i < n; i++)
		if (ap_vec_push(&a->numbers, c[i].number) < 0 ||
		    ap_vec_push(&a->counts, c[i].count) < 0)
			return -ENOMEM;
	ap_native_put_uints(b, column, a->numbers.p, n);
	ap_native_put_uints(b, column + 1, a->counts.p, n);
	return 0;
}

static int put_row(struct ap_native_block *block, const struct ap_batch *b,
		   const struct ap_syscall *s, struct arrays *a)
{
	const struct ap_syscall_count *c = b->profile->syscall_counts.p + s->first;
	int r;

	ap_native_put_uint(block, AP_SYSCALLS_TIME, ap_store_second(s->time_ns));
	for (uint32_t i = 0; i < AP_LABEL_COLUMNS; i++)
		ap_native_put_str(block, AP_SYSCALLS_LABEL + i,
				  ap_batch_label(b, s->labels, ap_str_of(ap_schema_labels[i])));
	ap_native_put_str(block, AP_SYSCALLS_SYSCALL, ap_profile_str(b->profile, s->name));
	ap_native_put_str(block, AP_SYSCALLS_ABI, ap_profile_str(b->profile, s->abi));
	ap_native_put_uint(block, AP_SYSCALLS_COUNT, s->count);
	ap_native_put_uint(block, AP_SYSCALLS_SUM, s->sum_ns);
	ap_native_put_uint(block, AP_SYSCALLS_MAX, s->max_ns);
	r = put_counts(block, AP_SYSCALLS_BUCKETS, a, c, s->n_buckets);
	if (r == 0)
		r = put_counts(block, AP_SYSCALLS_ERRORS, a, c + s->n_buckets, s->n_errors);
	ap_native_put_uint(block, AP_SYSCALLS_IN_FLIGHT, s->in_flight);
	ap_native_put_uint(block, AP_SYSCALLS_OLDEST, s->oldest_ns);
	ap_native_put_uint(block, AP_SYSCALLS_BATCH, ap_store_batch_order(b->meta));
	return r;
}

int ap_rows_add_syscalls(struct ap_rows *rows, const struct ap_batch *b, uint64_t segment)
{
	struct ap_user_labels labels = {0};
	struct arrays arrays = {0};
	int r = 0;

	for (size_t i = 0; i < b->n_calls && r == 0; i++) {
		const struct ap_syscall *s = &b->profile->syscalls.p[b->first_call + i];

		r = ap_user_labels_of(b->profile, s->labels, &labels);
		if (r == 0)
			r = put_row(rows->syscalls, b, s, &arrays);
		if (r < 0)
			break;
		ap_user_labels_put(&labels, rows->syscalls, AP_SYSCALLS_LABEL_KEYS,
				   AP_SYSCALLS_LABEL_VALUES);
		ap_native_put_uint(rows->syscalls, AP_SYSCALLS_SEGMENT, segment);
	}
	ap_user_labels_free(&labels);
	ap_vec_free(&arrays.numbers);
	ap_vec_free(&arrays.counts);
	return r;
}
