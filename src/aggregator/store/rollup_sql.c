/* SPDX-License-Identifier: Apache-2.0 */
/* What is summed up of each table, and how. */
#include "aggregator/store/rollup_sql.h"

#define LABELS "service, host, agent, comm, container, namespace, pod, unit, build, version"
/* The address of a lock differs with each start of its program: all that is kept is that it is one. */
#define USER_LABELS                                                                              \
	"arrayFilter(k -> k != 'waker' AND k != 'waiter', label_keys) AS keys, "                 \
	"arrayFilter((v, k) -> k != 'waker' AND k != 'waiter', arrayMap((k, v) -> if(k = 'lock'" \
	" AND substring(v, 1, 2) = '0x', '0x', v), label_keys, label_values), label_keys) AS "   \
	"texts"
#define SAME_USER_LABELS "label_keys AS keys, label_values AS texts"

#define SAMPLES_SUMS "stack, sum(count), sum(value)"
#define SYSCALLS_SUMS                                          \
	"syscall, abi, sum(count), sum(sum_ns), max(max_ns), " \
	"tupleElement(sumMap(buckets, bucket_counts), 1), "    \
	"tupleElement(sumMap(buckets, bucket_counts), 2), "    \
	"tupleElement(sumMap(errors, error_counts), 1), "      \
	"tupleElement(sumMap(errors, error_counts), 2)"

const uint32_t ap_rollup_seconds[AP_ROLLUP_LEVELS] = {1, 3600, 86400};

/* Columns without the first, time, and the last, segment. */
static const struct {
	const struct ap_schema_table *tables[AP_ROLLUP_LEVELS];
	const char *columns;
	const char *of_raw, *of_rollup; /* the same columns, of what is summed up */
	const char *by;
} families[AP_ROLLUP_FAMILIES] = {
	[AP_ROLLUP_SAMPLES] =
		{
			{&ap_schema_samples, &ap_schema_samples_1h, &ap_schema_samples_1d},
			"event, " LABELS ", label_keys, label_values, stack, count, value",
			"event, " LABELS ", " USER_LABELS ", " SAMPLES_SUMS,
			"event, " LABELS ", " SAME_USER_LABELS ", " SAMPLES_SUMS,
			"event, " LABELS ", keys, texts, stack",
		},
	[AP_ROLLUP_SYSCALLS] =
		{
			{&ap_schema_syscalls, &ap_schema_syscalls_1h, &ap_schema_syscalls_1d},
			LABELS ", label_keys, label_values, syscall, abi, count, sum_ns, max_ns, "
			       "buckets, bucket_counts, errors, error_counts",
			LABELS ", " USER_LABELS ", " SYSCALLS_SUMS,
			LABELS ", " SAME_USER_LABELS ", " SYSCALLS_SUMS,
			LABELS ", keys, texts, syscall, abi",
		},
	[AP_ROLLUP_LEDGER] =
		{
			{&ap_schema_ledger, &ap_schema_ledger_1h},
			"until, agent, host, kind, id, count",
			"max(until), agent, host, kind, id, sum(count)",
			NULL,
			"agent, host, kind, id",
		},
};

const struct ap_schema_table *ap_rollup_table(enum ap_rollup_family f, enum ap_rollup_level l)
{
	return families[f].tables[l];
}

bool ap_rollup_keeps_label(struct ap_str label)
{
	static const char *const dropped[] = {"pid", "thread", "lock", "waker", "waiter"};

	for (size_t i = 0; i < AP_ARRAY_SIZE(dropped); i++)
		if (ap_str_is(label, dropped[i]))
			return false;
	return true;
}

void ap_rollup_sql(enum ap_rollup_family f, enum ap_rollup_level level,
		   const struct ap_rollup_range *range, uint32_t day, bool ordered,
		   struct ap_buf *sql)
{
	uint32_t length = ap_rollup_seconds[level];

	ap_buf_printf(sql,
		      "INSERT INTO %s (time, %s, segment) SELECT toDateTime(intDiv(toUInt32(time), "
		      "%u) * %u) AS bucket, %s, toUInt64(%llu) FROM %s WHERE segment > %llu AND "
		      "segment <= %llu AND time >= %u AND time < %u GROUP BY bucket, %s",
		      families[f].tables[level]->name, families[f].columns, length, length,
		      level == AP_ROLLUP_HOUR ? families[f].of_raw : families[f].of_rollup,
		      (unsigned long long)range->to, families[f].tables[level - 1]->name,
		      (unsigned long long)range->after, (unsigned long long)range->to, day,
		      day + ap_rollup_seconds[AP_ROLLUP_DAY], families[f].by);
	if (ordered)
		ap_buf_printf(sql, " ORDER BY bucket, %s", families[f].by);
}
