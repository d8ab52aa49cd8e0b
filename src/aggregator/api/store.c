/* SPDX-License-Identifier: Apache-2.0 */
/* What the store holds, for how long, and for how long that can go on. */
#include <stdio.h>

#include "aggregator/api/answer.h"
#include "base/clock.h"

enum { DAY_S = 86400 };

static void answer_day(struct ap_buf *b, const char *key, int32_t day)
{
	char name[16];

	if (day == AP_STORE_NO_DAY) {
		ap_answer_null(b, key);
		return;
	}
	ap_store_day_name(day, name);
	ap_answer_str(b, key, ap_str_of(name));
}

/* A table's days together: from `first` on, which is one of it. Returns the day after them. */
static const struct ap_store_day *answer_table(struct ap_buf *b, const struct ap_retention_usage *u,
					       const struct ap_store_day *first)
{
	const struct ap_store_day *end = u->days.v.p + u->days.v.n, *d = first;
	unsigned int level = ap_keep_level(first->table);
	int64_t now_s = ap_clock_unix_ns() / (int64_t)AP_NSEC_PER_SEC;
	uint64_t rows = 0, bytes = 0;
	int32_t oldest = AP_STORE_NO_DAY;

	for (; d < end && strcmp(d->table, first->table) == 0; d++) {
		rows += d->rows;
		bytes += d->bytes;
		oldest = AP_MIN(oldest, d->day);
	}
	ap_answer_element(b);
	ap_answer_str(b, "table", ap_str_of(first->table));
	ap_answer_u64(b, "rows", rows);
	ap_answer_u64(b, "bytes", bytes);
	answer_day(b, "oldest_day", oldest);
	if (level < AP_KEEP_LEVELS) {
		ap_answer_str(b, "level", ap_str_of(ap_keep_level_names[level]));
		ap_answer_u64(b, "retention_s",
			      u->limits.retention_s[AP_MIN(level, (unsigned int)AP_ROLLUP_DAY)]);
		ap_answer_u64(b, "bytes_per_day",
			      ap_keep_bytes_per_day(&u->days, first->table, now_s));
	} else {
		ap_answer_null(b, "level");
		ap_answer_null(b, "retention_s");
		ap_answer_null(b, "bytes_per_day");
	}
	ap_buf_byte(b, '}');
	return d;
}

/* A number, null where it is not known or there is no bound. */
static void answer_bytes(struct ap_buf *b, const char *key, uint64_t bytes, bool known)
{
	if (known)
		ap_answer_u64(b, key, bytes);
	else
		ap_answer_null(b, key);
}

static void answer_limits(struct ap_buf *b, const struct ap_retention_usage *u)
{
	const struct ap_keep_forecast *f = &u->forecast;
	bool disk = u->disk_bytes != 0;

	ap_answer_object(b, "disk");
	answer_bytes(b, "budget_bytes", u->limits.max_bytes, u->limits.max_bytes != UINT64_MAX);
	answer_bytes(b, "bytes", u->disk_bytes, disk);
	answer_bytes(b, "free_bytes", u->disk_free, disk);
	answer_bytes(b, "keep_free_bytes", u->keep_free, disk);
	answer_bytes(b, "bytes_per_day", f->bytes_per_day, f->bytes_per_day != 0);
	answer_bytes(b, "bytes_full", f->bytes_full, f->bytes_per_day != 0);
	ap_answer_share(b, "days_left", f->days_left);
	if (f->bytes_per_day)
		ap_answer_str(b, "acts_first", ap_str_of(ap_keep_limit_names[f->acts_first]));
	else
		ap_answer_null(b, "acts_first");
	ap_buf_byte(b, '}');
}

/* The first day that has samples in any resolution. */
static int32_t oldest_day(const struct ap_retention_usage *u)
{
	int32_t oldest = AP_STORE_NO_DAY;

	AP_VEC_FOREACH(&u->days.v, d)
		if (ap_keep_level(d->table) < AP_ROLLUP_LEVELS)
			oldest = AP_MIN(oldest, d->day);
	return oldest;
}

static void answer(struct ap_http_request *req, const struct ap_api *api,
		   const struct ap_retention_usage *u)
{
	const struct ap_store_day *d = u->days.v.p, *end = d ? d + u->days.v.n : NULL;
	_cleanup_buf_ struct ap_buf b = {0};

	ap_buf_byte(&b, '{');
	ap_answer_str(&b, "driver", ap_str_of(api->store->driver->name));
	ap_answer_str(&b, "version", ap_str_of(api->store->version));
	ap_answer_str(&b, "folder", ap_str_of(api->data_dir));
	ap_answer_u64(&b, "retention_s", u->limits.retention_s[AP_ROLLUP_RAW]);
	answer_day(&b, "oldest_day", oldest_day(u));
	ap_answer_u64(&b, "bytes", u->bytes);
	answer_limits(&b, u);
	ap_answer_array(&b, "tables");
	while (d < end)
		d = answer_table(&b, u, d);
	ap_buf_puts(&b, "]}");
	ap_http_reply_json(req, 200, &b);
}

void ap_api_store(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {NULL};
	const struct ap_api *api = ctx;
	struct ap_retention_usage u;
	struct ap_error err = {0};
	struct ap_params p;
	int r;

	if (!ap_params_query(req, names, &p))
		return;
	r = ap_retention_get_usage(api->retention, &u, &err);
	if (r < 0) {
		ap_answer_query_error(req, r, &err);
		return;
	}
	answer(req, api, &u);
	ap_retention_usage_free(&u);
}
