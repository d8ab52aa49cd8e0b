/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/retention.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "aggregator/store/schema.h"
#include "base/clock.h"
#include "base/vec.h"

#define PERIOD_NS    (3600 * AP_NSEC_PER_SEC)
#define DAY_S	     86400
#define DAYS_AT_ONCE 4096

struct ap_retention {
	struct ap_store *store;
	uint64_t retention_ns;
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool stopping;
	struct ap_error last; /* of the last round; code 0: it went well */
};

static const struct ap_schema_table *const tables[] = {
	&ap_schema_samples, &ap_schema_syscalls, &ap_schema_ledger,
	&ap_schema_stacks,  &ap_schema_frames,
};

/* Days as ISO dates: "2026-11-23". */
struct days {
	AP_VEC(char *) list;
};

static int take_days(void *ctx, const struct ap_native_view *block)
{
	struct days *days = ctx;

	if (block->n_columns == 0)
		return 0;
	for (size_t i = 0; i < block->rows && days->list.n < DAYS_AT_ONCE; i++) {
		char *day = ap_str_dup(ap_native_str(&block->columns[0], i));

		if (!day || ap_vec_push(&days->list, day) < 0) {
			free(day);
			return -ENOMEM;
		}
	}
	return 0;
}

static void free_days(struct days *days)
{
	AP_VEC_FOREACH(&days->list, day)
		free(*day);
	ap_vec_free(&days->list);
}

/* `table` is "database.name". */
static int drop_old(struct ap_store *store, const char *table, const char *before,
		    struct ap_error *err)
{
	_cleanup_(free_days) struct days days = {0};
	_cleanup_buf_ struct ap_buf sql = {0};
	struct ap_str name = ap_str_of(table);
	struct ap_str database = ap_str_cut(&name, '.');
	int r;

	ap_buf_puts(&sql,
		    "SELECT DISTINCT partition FROM system.parts WHERE active AND database = ");
	ap_sql_quote(&sql, database);
	ap_buf_puts(&sql, " AND table = ");
	ap_sql_quote(&sql, name);
	ap_buf_puts(&sql, " AND partition < ");
	ap_sql_quote(&sql, ap_str_of(before));
	r = ap_buf_error(&sql);
	if (r == 0)
		r = ap_store_query(store, ap_buf_view(&sql), NULL, take_days, &days, err);
	AP_VEC_FOREACH(&days.list, day) {
		if (r < 0)
			break;
		ap_buf_clear(&sql);
		ap_sql_quote(&sql, ap_str_of(*day));
		r = ap_store_exec(store, err, "ALTER TABLE %s DROP PARTITION %.*s", table,
				  AP_STR_ARG(ap_buf_view(&sql)));
	}
	return r;
}

/* Symbols of modules that no frame is of any more. A day's grace, for those whose samples are still
 * on their way to the store. A mutation rewrites the table, so it is asked for only where it does
 * something. */
static int drop_symbols(struct ap_store *store, int64_t now_s, struct ap_error *err)
{
	char where[160], sql[256];
	uint64_t n = 0;
	int r;

	snprintf(where, sizeof(where),
		 "version < %lld AND build_id NOT IN (SELECT build_id FROM aperture.frames)",
		 (long long)(now_s - DAY_S) * (long long)AP_NSEC_PER_SEC);
	snprintf(sql, sizeof(sql), "SELECT count() FROM %s WHERE %s", ap_schema_symbols.name,
		 where);
	r = ap_store_query_uint(store, sql, &n, err);
	if (r < 0 || n == 0)
		return r;
	return ap_store_exec(store, err, "ALTER TABLE %s DELETE WHERE %s", ap_schema_symbols.name,
			     where);
}

int ap_retention_apply(struct ap_store *store, uint64_t retention_ns, int64_t now_s,
		       struct ap_error *err)
{
	int64_t keep_from = now_s - (int64_t)(retention_ns / AP_NSEC_PER_SEC);
	time_t day = (time_t)(keep_from - keep_from % DAY_S);
	struct tm tm;
	char before[16];
	int first = 0;

	if (keep_from <= 0)
		return 0;
	gmtime_r(&day, &tm);
	strftime(before, sizeof(before), "%Y-%m-%d", &tm);
	for (size_t i = 0; i < AP_ARRAY_SIZE(tables); i++) {
		int r = drop_old(store, tables[i]->name, before, err);

		if (r < 0 && first == 0)
			first = r;
	}
	return first < 0 ? first : drop_symbols(store, now_s, err);
}

static void *retention_main(void *arg)
{
	struct ap_retention *r = arg;

	pthread_mutex_lock(&r->lock);
	while (!r->stopping) {
		uint64_t until = ap_clock_mono_ns() + PERIOD_NS;
		struct timespec ts = {(time_t)(until / AP_NSEC_PER_SEC),
				      (long)(until % AP_NSEC_PER_SEC)};
		struct ap_error err = {0};

		pthread_mutex_unlock(&r->lock);
		/* What could not be dropped is tried again in an hour. */
		ap_retention_apply(r->store, r->retention_ns,
				   ap_clock_unix_ns() / (int64_t)AP_NSEC_PER_SEC, &err);
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
	pthread_mutex_unlock(&r->lock);
	return failed;
}

int ap_retention_start(struct ap_store *store, uint64_t retention_ns, struct ap_retention **ret,
		       struct ap_error *err)
{
	struct ap_retention *r = calloc(1, sizeof(*r));
	pthread_condattr_t attr;

	if (!r)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r->store = store;
	r->retention_ns = retention_ns;
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&r->thread, NULL, retention_main, r) != 0) {
		free(r);
		return ap_error_set(err, -EAGAIN, "cannot start a thread: too many are running");
	}
	*ret = r;
	return 0;
}

void ap_retention_stop(struct ap_retention *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->changed);
	free(r);
}
