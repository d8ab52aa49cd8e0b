/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/parts.h"

#include <stdio.h>
#include <time.h>

#define DAY_S 86400

void ap_store_days_free(struct ap_store_days *d)
{
	ap_vec_free(&d->v);
}

void ap_store_day_name(int32_t day, char buf[16])
{
	time_t t = (time_t)day * DAY_S;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(buf, 16, "%Y-%m-%d", &tm);
}

/* A partition's name is its day's, in tables that have days. */
static int32_t day_of(struct ap_str name)
{
	struct tm tm = {0};
	char text[16], *end;

	if (name.n >= sizeof(text))
		return AP_STORE_NO_DAY;
	snprintf(text, sizeof(text), "%.*s", AP_STR_ARG(name));
	end = strptime(text, "%Y-%m-%d", &tm);
	return end && !*end ? (int32_t)(timegm(&tm) / DAY_S) : AP_STORE_NO_DAY;
}

static int take_days(void *ctx, const struct ap_native_view *v)
{
	struct ap_store_days *d = ctx;

	if (v->n_columns != 5)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows; row++) {
		struct ap_str table = ap_native_str(&v->columns[0], row);
		struct ap_store_day day = {
			.day = day_of(ap_native_str(&v->columns[1], row)),
			.rows = ap_native_uint(&v->columns[2], row),
			.bytes = ap_native_uint(&v->columns[3], row),
			.parts = ap_native_uint(&v->columns[4], row),
		};

		snprintf(day.table, sizeof(day.table), "%.*s", AP_STR_ARG(table));
		if (ap_vec_push(&d->v, day) < 0)
			return -ENOMEM;
	}
	return 0;
}

int ap_store_read_days(struct ap_store *s, struct ap_store_days *ret, struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf sql = {0};
	struct ap_store_days d = {0};
	int r;

	ap_buf_puts(&sql, "SELECT table, partition, sum(rows), sum(bytes_on_disk), count() FROM ");
	ap_store_put_parts(s, &sql);
	ap_buf_puts(&sql, " GROUP BY table, partition ORDER BY table, partition");
	if (ap_buf_error(&sql) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r = ap_store_query(s, ap_buf_view(&sql), NULL, take_days, &d, err);

	if (r < 0)
		ap_store_days_free(&d);
	else
		*ret = d;
	return r;
}
