/* SPDX-License-Identifier: Apache-2.0 */
/* What the store holds, and for how long. */
#include "aggregator/api/answer.h"
#include "aggregator/store/schema.h"
#include "base/clock.h"

/* Sums over the tables, while their rows are written to `rows`. */
struct tables {
	struct ap_buf rows;
	uint64_t bytes;
	char oldest[16]; /* the first day that has samples, "" none */
};

/* "samples" of "aperture.samples" */
static struct ap_str table_name(const struct ap_schema_table *t)
{
	struct ap_str name = ap_str_of(t->name);

	ap_str_cut(&name, '.');
	return name;
}

/* Rows (table, rows, bytes, first partition). */
static int take_tables(void *ctx, const struct ap_native_view *v)
{
	struct tables *t = ctx;

	if (v->n_columns != 4)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows; row++) {
		struct ap_str name = ap_native_str(&v->columns[0], row);
		struct ap_str first = ap_native_str(&v->columns[3], row);
		uint64_t bytes = ap_native_uint(&v->columns[2], row);

		ap_buf_puts(&t->rows, t->rows.n ? ",{" : "{");
		ap_answer_str(&t->rows, "table", name);
		ap_answer_u64(&t->rows, "rows", ap_native_uint(&v->columns[1], row));
		ap_answer_u64(&t->rows, "bytes", bytes);
		ap_buf_byte(&t->rows, '}');
		t->bytes += bytes;
		if (ap_str_eq(name, table_name(&ap_schema_samples)) && first.n < sizeof(t->oldest))
			memcpy(t->oldest, first.p, first.n);
	}
	return ap_buf_error(&t->rows);
}

void ap_api_store(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {NULL};
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	struct tables t = {0};
	struct ap_error err = {0};
	struct ap_params p;
	int r;

	if (!ap_params_query(req, names, &p))
		return;
	r = ap_store_query(api->store,
			   AP_STR("SELECT table, sum(rows), sum(bytes_on_disk), min(partition) "
				  "FROM system.parts WHERE active AND database = 'aperture' "
				  "GROUP BY table ORDER BY sum(bytes_on_disk) DESC, table"),
			   NULL, take_tables, &t, &err);
	if (r < 0) {
		ap_answer_query_error(req, r, &err);
		ap_buf_free(&t.rows);
		return;
	}
	ap_buf_byte(&b, '{');
	ap_answer_str(&b, "driver", ap_str_of(api->store->driver->name));
	ap_answer_str(&b, "version", ap_str_of(api->store->version));
	ap_answer_str(&b, "folder", ap_str_of(api->data_dir));
	ap_answer_u64(&b, "retention_s", api->retention_ns / AP_NSEC_PER_SEC);
	ap_json_key(&b, "oldest_day");
	if (t.oldest[0])
		ap_json_string(&b, ap_str_of(t.oldest));
	else
		ap_buf_puts(&b, "null");
	ap_answer_u64(&b, "bytes", t.bytes);
	ap_json_key(&b, "tables");
	ap_buf_printf(&b, "[%.*s]}", AP_STR_ARG(ap_buf_view(&t.rows)));
	ap_buf_free(&t.rows);
	ap_http_reply_json(req, 200, &b);
}
