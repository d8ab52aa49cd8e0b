/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/retention.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "base/clock.h"

#define TICK_NS	    (60 * AP_NSEC_PER_SEC)
#define SHARE_WHOLE 100000u /* thousandths of a percent */
#define LATE_S	    120	    /* what comes late by no more is part of its hour's range */
enum { HOUR_S = 3600, DAY_S = 86400 };

/* Whose symbols one statement drops. */
enum { MODULES_AT_ONCE = 1000 };

struct ap_retention {
	struct ap_retention_options o;
	uint64_t tick_ns;
	int64_t built[AP_ROLLUP_LEVELS]; /* the last interval that was; -1: none yet */
	int64_t symbols_hour;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool stopping;
	struct ap_error last; /* of the last round; code 0: it went well */
	struct ap_retention_stats stats;
	char notice[400]; /* "": none since the last one was taken */
};

/* What there is room for. */
static void read_limits(const struct ap_retention_options *o, uint64_t bytes,
			struct ap_retention_usage *u)
{
	struct ap_keep_limits *l = &u->limits;
	struct statvfs fs;

	for (int level = 0; level < AP_ROLLUP_LEVELS; level++) {
		l->retention_s[level] = o->retention_ns[level] / AP_NSEC_PER_SEC;
		if (level)
			l->retention_s[level] =
				AP_MAX(l->retention_s[level], l->retention_s[level - 1]);
	}
	u->bytes = bytes;
	l->max_bytes = o->budget_bytes ?: UINT64_MAX;
	if (!o->data_dir || statvfs(o->data_dir, &fs) < 0)
		return;
	u->disk_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
	u->disk_free = (uint64_t)fs.f_bavail * fs.f_frsize;
	u->keep_free = u->disk_bytes / SHARE_WHOLE * o->free_share;
	if (!o->budget_bytes && o->budget_share)
		l->max_bytes = u->disk_bytes / SHARE_WHOLE * o->budget_share;
}

static uint64_t sum_bytes(const struct ap_store_days *days)
{
	uint64_t bytes = 0;

	AP_VEC_FOREACH(&days->v, d)
		bytes += d->bytes;
	return bytes;
}

int ap_retention_get_usage(struct ap_retention *r, struct ap_retention_usage *ret,
			   struct ap_error *err)
{
	struct ap_retention_usage u = {0};
	uint64_t room = UINT64_MAX, spare = UINT64_MAX;
	int m = ap_store_read_days(r->o.store, &u.days, err);

	if (m < 0)
		return m;
	read_limits(&r->o, sum_bytes(&u.days), &u);
	if (u.limits.max_bytes != UINT64_MAX)
		room = u.limits.max_bytes - AP_MIN(u.bytes, u.limits.max_bytes);
	if (u.disk_bytes && r->o.free_share)
		spare = u.disk_free - AP_MIN(u.disk_free, u.keep_free);
	ap_keep_forecast(&u.days, &u.limits, ap_clock_unix_ns() / (int64_t)AP_NSEC_PER_SEC, room,
			 spare, &u.forecast);
	*ret = u;
	return 0;
}

void ap_retention_usage_free(struct ap_retention_usage *u)
{
	ap_store_days_free(&u->days);
}

static void count_dropped(struct ap_retention *r, unsigned int level, bool for_room,
			  const struct ap_store_day *d)
{
	char name[16];

	ap_store_day_name(d->day, name);
	pthread_mutex_lock(&r->lock);
	r->stats.days[level][for_room]++;
	r->stats.bytes[level][for_room] += d->bytes;
	r->stats.rows[level][for_room] += d->rows;
	if (for_room)
		snprintf(r->notice, sizeof(r->notice),
			 "%s rows of %s have been dropped before their time: there is no room for "
			 "them within the disk budget",
			 ap_keep_level_names[level], name);
	pthread_mutex_unlock(&r->lock);
}

/* Rows that no rollup has, of days before that one: of any writer. */
static int is_summed_up(struct ap_retention *r, enum ap_rollup_level level, int32_t before,
			bool *ret, struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf sql = {0};
	struct ap_rollup_view view;
	uint64_t rows = 0;
	int m = ap_rollup_get_view(r->o.rollup, &view, err);

	if (m < 0)
		return m;
	ap_buf_printf(&sql, "SELECT count() FROM %s WHERE time < %llu AND NOT ",
		      ap_rollup_table(AP_ROLLUP_SAMPLES, level)->name,
		      (unsigned long long)before * DAY_S);
	ap_rollup_done_sql(&view, level + 1, &sql);
	ap_rollup_view_free(&view);
	ap_buf_byte(&sql, '\0');
	m = ap_buf_error(&sql) ? ap_error_set(err, -ENOMEM, "out of memory")
			       : ap_store_query_uint(r->o.store, (char *)sql.p, &rows, err);
	*ret = rows == 0;
	return m;
}

/* The last day of a level that is there and goes; -1: none. */
static int32_t last_to_go(const struct ap_store_days *days, unsigned int level, int32_t before)
{
	int32_t last = -1;

	AP_VEC_FOREACH(&days->v, d)
		if (d->day < before && ap_keep_level(d->table) == level)
			last = AP_MAX(last, d->day);
	return last;
}

static int drop_days(struct ap_retention *r, const struct ap_store_days *days, unsigned int level,
		     const struct ap_keep_plan *p, struct ap_error *err)
{
	int m = 0;

	AP_VEC_FOREACH(&days->v, d) {
		char name[16];

		if (m < 0 || d->day >= p->before[level] || ap_keep_level(d->table) != level)
			continue;
		ap_store_day_name(d->day, name);
		m = ap_store_alter(r->o.store, err, d->table, "DROP PARTITION '%s'", name);
		if (m == 0)
			count_dropped(r, level, d->day >= p->due[level], d);
	}
	return m;
}

static int drop_level(struct ap_retention *r, const struct ap_store_days *days, unsigned int level,
		      struct ap_keep_plan *p, struct ap_error *err)
{
	int32_t last = last_to_go(days, level, p->before[level]);
	bool summed_up = true;
	int m = 0;

	if (last < 0)
		return 0;
	/* What is due is waited for for a day, should its rollup not be there. */
	if (level < AP_ROLLUP_DAY)
		m = is_summed_up(r, (enum ap_rollup_level)level, p->before[level], &summed_up, err);
	if (m == 0 && !summed_up && p->before[level] == p->due[level]) {
		p->before[level]--;
		last = last_to_go(days, level, p->before[level]);
	}
	if (m < 0 || last < 0)
		return m;
	/* From now on nobody takes that day for whole. */
	if (level < AP_ROLLUP_LEVELS)
		m = ap_rollup_note_dropped(r->o.rollup, (enum ap_rollup_level)level,
					   ((uint32_t)last + 1) * DAY_S, err);
	return m < 0 ? m : drop_days(r, days, level, p, err);
}

/* Appends what is selected as literals of a list. */
static int take_literals(void *ctx, const struct ap_native_view *v)
{
	struct ap_buf *list = ctx;

	for (size_t row = 0; v->n_columns && row < v->rows; row++) {
		ap_buf_puts(list, list->n ? ", " : "");
		ap_sql_quote(list, ap_native_str(&v->columns[0], row));
	}
	return ap_buf_error(list);
}

/* Symbols of modules that no frame is of any more. A day's grace, for those whose samples are still
 * on their way to the store. A mutation rewrites the table, so it is asked for only where it does
 * something; it names the modules, so that it means the same on each server that comes to it. */
static int drop_symbols(struct ap_store *store, int64_t now_s, struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf modules = {0};
	char where[64], sql[256];
	int r;

	snprintf(where, sizeof(where), "version < %lld",
		 (long long)(now_s - DAY_S) * (long long)AP_NSEC_PER_SEC);
	snprintf(sql, sizeof(sql),
		 "SELECT DISTINCT build_id FROM %s WHERE %s AND build_id NOT IN (SELECT build_id "
		 "FROM frames) LIMIT %d",
		 ap_schema_symbols.name, where, MODULES_AT_ONCE);
	r = ap_store_query(store, ap_str_of(sql), NULL, take_literals, &modules, err);
	if (r < 0 || modules.n == 0)
		return r;
	return ap_store_alter(store, err, ap_schema_symbols.name,
			      "DELETE WHERE %s AND build_id IN (%.*s)", where,
			      AP_STR_ARG(ap_buf_view(&modules)));
}

/* Of the days that are in both tables. */
static void compare_rows(struct ap_rollup *rollup, enum ap_rollup_family f,
			 const struct ap_store_days *days)
{
	const char *table = ap_rollup_table(f, AP_ROLLUP_RAW)->name;
	const char *by_hour = ap_rollup_table(f, AP_ROLLUP_HOUR)->name;
	uint64_t raw = 0, hours = 0;

	AP_VEC_FOREACH(&days->v, d) {
		if (strcmp(d->table, table) != 0)
			continue;
		AP_VEC_FOREACH(&days->v, other) {
			if (other->day != d->day || strcmp(other->table, by_hour) != 0)
				continue;
			raw += d->rows;
			hours += other->rows;
		}
	}
	ap_rollup_set_rows(rollup, f, raw, hours);
}

static uint64_t most_parts(const struct ap_store_days *days)
{
	uint64_t most = 0;

	AP_VEC_FOREACH(&days->v, d)
		most = AP_MAX(most, d->parts);
	return most;
}

static int drop(struct ap_retention *r, int64_t now_s, struct ap_error *err)
{
	struct ap_retention_usage u = {0};
	struct ap_keep_plan plan;
	int first = ap_store_read_days(r->o.store, &u.days, err);

	if (first < 0)
		return first;
	for (int f = 0; f < AP_ROLLUP_FAMILIES; f++)
		compare_rows(r->o.rollup, (enum ap_rollup_family)f, &u.days);
	read_limits(&r->o, sum_bytes(&u.days), &u);
	if (u.keep_free > u.disk_free)
		u.limits.must_free = u.keep_free - u.disk_free;
	ap_keep_plan(&u.days, &u.limits, now_s, &plan);
	for (unsigned int level = 0; level < AP_KEEP_LEVELS; level++) {
		int m = drop_level(r, &u.days, level, &plan, err);

		if (m < 0 && first == 0)
			first = m;
	}
	pthread_mutex_lock(&r->lock);
	r->stats.short_of = plan.short_of;
	r->stats.parts = most_parts(&u.days);
	pthread_mutex_unlock(&r->lock);
	ap_store_days_free(&u.days);
	return first;
}

/* After an hour's end, until what came of it is on the store's disk, and for days its sums by hour are. */
static int64_t late_s(const struct ap_retention *r, enum ap_rollup_level level)
{
	return LATE_S + (int64_t)(2 * r->o.hold_ns / AP_NSEC_PER_SEC) * level;
}

/* Each level once an interval; the first time at once. */
static int roll_up(struct ap_retention *r, int64_t now_s, struct ap_error *err)
{
	uint64_t interval = AP_MAX(r->o.rollup_interval_ns / AP_NSEC_PER_SEC, (uint64_t)1);
	int m = ap_rollup_confirm(r->o.rollup, err);

	for (enum ap_rollup_level level = AP_ROLLUP_HOUR; level < AP_ROLLUP_LEVELS && m == 0;
	     level++) {
		int64_t now = interval < HOUR_S ? now_s : now_s - late_s(r, level);
		int64_t which = now / (int64_t)(interval * (level == AP_ROLLUP_DAY ? 24 : 1));
		bool due = which != r->built[level];

		if (!due && !ap_rollup_waits(r->o.rollup, level))
			continue;
		m = ap_rollup_run(r->o.rollup, level, due ? ap_buffer_settled(r->o.buffer) : 0,
				  err);
		if (m == 0)
			r->built[level] = which;
	}
	return m;
}

int ap_retention_round(struct ap_retention *r, int64_t now_s, struct ap_error *err)
{
	int first = roll_up(r, now_s, err);
	struct ap_error second = {0};
	int m = drop(r, now_s, &second);

	if (m == 0 && now_s / HOUR_S != r->symbols_hour) {
		m = drop_symbols(r->o.store, now_s, &second);
		if (m == 0)
			r->symbols_hour = now_s / HOUR_S;
	}
	if (first == 0 && m < 0 && err)
		*err = second;
	return first ?: m;
}

static void *retention_main(void *arg)
{
	struct ap_retention *r = arg;

	pthread_mutex_lock(&r->lock);
	while (!r->stopping) {
		struct ap_error err = {0};
		struct timespec ts;
		uint64_t until;

		pthread_mutex_unlock(&r->lock);
		ap_retention_round(r, ap_clock_unix_ns() / (int64_t)AP_NSEC_PER_SEC, &err);
		until = ap_clock_mono_ns() + r->tick_ns;
		ts = (struct timespec){(time_t)(until / AP_NSEC_PER_SEC),
				       (long)(until % AP_NSEC_PER_SEC)};
		pthread_mutex_lock(&r->lock);
		r->last = err;
		while (!r->stopping &&
		       pthread_cond_timedwait(&r->changed, &r->lock, &ts) != ETIMEDOUT)
			;
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

bool ap_retention_error(struct ap_retention *r, char *buf, size_t cap)
{
	bool failed;

	pthread_mutex_lock(&r->lock);
	failed = r->last.code != 0;
	snprintf(buf, cap, "%s", failed ? r->last.msg : "");
	if (!failed && r->stats.short_of) {
		snprintf(
			buf, cap,
			"the store is %llu MiB over its disk budget, and today's rows are all that "
			"is left to drop: make room, or give it more (--disk-budget)",
			(unsigned long long)(r->stats.short_of >> 20));
		failed = true;
	}
	pthread_mutex_unlock(&r->lock);
	return failed;
}

bool ap_retention_notice(struct ap_retention *r, char *buf, size_t cap)
{
	pthread_mutex_lock(&r->lock);
	snprintf(buf, cap, "%s", r->notice);
	r->notice[0] = '\0';
	pthread_mutex_unlock(&r->lock);
	return buf[0] != '\0';
}

void ap_retention_get_stats(struct ap_retention *r, struct ap_retention_stats *ret)
{
	pthread_mutex_lock(&r->lock);
	*ret = r->stats;
	pthread_mutex_unlock(&r->lock);
}

int ap_retention_new(const struct ap_retention_options *o, struct ap_retention **ret)
{
	struct ap_retention *r = calloc(1, sizeof(*r));
	pthread_condattr_t attr;

	if (!r)
		return -ENOMEM;
	r->o = *o;
	r->tick_ns = AP_MIN(TICK_NS, o->rollup_interval_ns ?: TICK_NS);
	for (int level = 0; level < AP_ROLLUP_LEVELS; level++)
		r->built[level] = -1;
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &attr);
	pthread_condattr_destroy(&attr);
	*ret = r;
	return 0;
}

int ap_retention_start(const struct ap_retention_options *o, struct ap_retention **ret,
		       struct ap_error *err)
{
	struct ap_retention *r;

	if (ap_retention_new(o, &r) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	if (pthread_create(&r->thread, NULL, retention_main, r) != 0) {
		ap_retention_stop(r);
		return ap_error_set(err, -EAGAIN, "cannot start a thread: too many are running");
	}
	r->has_thread = true;
	*ret = r;
	return 0;
}

void ap_retention_stop(struct ap_retention *r)
{
	if (!r)
		return;
	if (r->has_thread) {
		pthread_mutex_lock(&r->lock);
		r->stopping = true;
		pthread_cond_signal(&r->changed);
		pthread_mutex_unlock(&r->lock);
		pthread_join(r->thread, NULL);
	}
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->changed);
	free(r);
}
