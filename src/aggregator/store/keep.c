/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/keep.h"

enum { DAY_S = 86400, RECENT_DAYS = 7 };

const char *const ap_keep_level_names[AP_KEEP_LEVELS] = {"raw", "hourly", "daily", "shared"};
const char *const ap_keep_limit_names[] = {"retention", "budget", "free"};

unsigned int ap_keep_level(const char *table)
{
	static const struct ap_schema_table *const shared[] = {&ap_schema_stacks, &ap_schema_frames,
							       &ap_schema_ledger_1h};

	for (size_t i = 0; i < AP_ARRAY_SIZE(shared); i++)
		if (strcmp(shared[i]->name, table) == 0)
			return AP_KEEP_SHARED;
	for (unsigned int level = 0; level < AP_ROLLUP_LEVELS; level++)
		for (int f = 0; f < AP_ROLLUP_FAMILIES; f++) {
			const struct ap_schema_table *t = ap_rollup_table(
				(enum ap_rollup_family)f, (enum ap_rollup_level)level);

			if (t && strcmp(t->name, table) == 0)
				return level;
		}
	return AP_KEEP_LEVELS;
}

static bool is_of(const struct ap_store_day *d, unsigned int level)
{
	return d->day != AP_STORE_NO_DAY && ap_keep_level(d->table) == level;
}

/* The first day of a level from `from` on: INT32_MAX where there is none. */
static int32_t first_day(const struct ap_store_days *days, unsigned int level, int32_t from)
{
	int32_t first = INT32_MAX;

	AP_VEC_FOREACH(&days->v, d)
		if (d->day >= from && is_of(d, level))
			first = AP_MIN(first, d->day);
	return first;
}

static uint64_t bytes_of(const struct ap_store_days *days, unsigned int level, int32_t from,
			 int32_t to)
{
	uint64_t bytes = 0;

	AP_VEC_FOREACH(&days->v, d)
		if (d->day >= from && d->day < to && is_of(d, level))
			bytes += d->bytes;
	return bytes;
}

static uint64_t all_bytes(const struct ap_store_days *days)
{
	uint64_t bytes = 0;

	AP_VEC_FOREACH(&days->v, d)
		bytes += d->bytes;
	return bytes;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Lets the oldest days of a level go until `need` is met or only today is left. */
static void make_room(const struct ap_store_days *days, unsigned int level, int32_t today,
		      struct ap_keep_plan *p, uint64_t *need)
{
	while (*need) {
		int32_t day = first_day(days, level, p->before[level]);

		if (day >= today)
			return;
		*need = less(*need, bytes_of(days, level, day, day + 1));
		p->before[level] = day + 1;
		if (level != AP_ROLLUP_DAY)
			continue;
		/* No level has that day any more. */
		*need = less(*need,
			     bytes_of(days, AP_KEEP_SHARED, p->before[AP_KEEP_SHARED], day + 1));
		p->before[AP_KEEP_SHARED] = AP_MAX(p->before[AP_KEEP_SHARED], day + 1);
	}
}

void ap_keep_plan(const struct ap_store_days *days, const struct ap_keep_limits *l, int64_t now_s,
		  struct ap_keep_plan *ret)
{
	int32_t today = (int32_t)(now_s / DAY_S);
	uint64_t bytes = all_bytes(days), freed = 0, need;
	struct ap_keep_plan p = {0};

	for (unsigned int level = 0; level < AP_KEEP_LEVELS; level++) {
		uint64_t kept = l->retention_s[AP_MIN(level, (unsigned int)AP_ROLLUP_DAY)];

		p.due[level] = (int32_t)(less((uint64_t)now_s, kept) / DAY_S);
		p.before[level] = p.due[level];
		freed += bytes_of(days, level, 0, p.before[level]);
	}
	need = AP_MAX(less(less(bytes, freed), l->max_bytes), less(l->must_free, freed));
	for (unsigned int level = 0; level < AP_ROLLUP_LEVELS; level++)
		make_room(days, level, today, &p, &need);
	p.short_of = need;
	*ret = p;
}

uint64_t ap_keep_bytes_per_day(const struct ap_store_days *days, const char *table, int64_t now_s)
{
	int32_t today = (int32_t)(now_s / DAY_S), first = today;
	uint64_t bytes = 0;

	AP_VEC_FOREACH(&days->v, d) {
		if (strcmp(d->table, table) != 0 || d->day >= today || d->day < today - RECENT_DAYS)
			continue;
		bytes += d->bytes;
		first = AP_MIN(first, d->day);
	}
	return first < today ? bytes / (uint64_t)(today - first) : 0;
}

void ap_keep_forecast(const struct ap_store_days *days, const struct ap_keep_limits *l,
		      int64_t now_s, uint64_t room, uint64_t spare, struct ap_keep_forecast *ret)
{
	uint64_t left = AP_MIN(room, spare), bytes = all_bytes(days);
	struct ap_keep_forecast f = {.days_left = -1};
	const char *before = "";

	AP_VEC_FOREACH(&days->v, d) {
		unsigned int level = ap_keep_level(d->table);
		uint64_t rate;

		if (level == AP_KEEP_LEVELS || strcmp(before, d->table) == 0)
			continue;
		before = d->table;
		rate = ap_keep_bytes_per_day(days, d->table, now_s);
		f.bytes_per_day += rate;
		f.bytes_full +=
			rate * (l->retention_s[AP_MIN(level, (unsigned int)AP_ROLLUP_DAY)] / DAY_S);
	}
	if (f.bytes_per_day && left != UINT64_MAX && less(f.bytes_full, bytes) > left) {
		f.days_left = (double)left / (double)f.bytes_per_day;
		f.acts_first = room <= spare ? AP_KEEP_BY_BUDGET : AP_KEEP_BY_FREE;
	}
	*ret = f;
}
