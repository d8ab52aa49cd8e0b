/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks that a ClickHouse server answers with: any bytes are refused, or decode to columns of which
 * every value can be read, and so can those of some of the rows. */
#include "aggregator/store/native.h"

static size_t read_column(const struct ap_native_column *c)
{
	size_t sum = 0, from, to;

	for (size_t row = 0; row <= c->rows && row < 1000; row++) {
		struct ap_str s = ap_native_str(c, row);

		for (size_t i = 0; i < s.n; i++)
			sum += (unsigned char)s.p[i];
		sum += ap_native_uint(c, row);
		ap_native_array(c, row, &from, &to);
		if (from > to || (c->items && to > c->items->rows))
			abort();
	}
	return c->items ? sum + read_column(c->items) : sum;
}

static size_t read_columns(const struct ap_native_view *v)
{
	size_t sum = 0;

	for (uint32_t i = 0; i < v->n_columns; i++)
		sum += read_column(&v->columns[i]);
	return sum;
}

/* The last rows, from behind, each twice. */
static size_t read_some(const struct ap_native_view *v)
{
	struct ap_native_view some = {0};
	uint32_t rows[64], n = 0;
	size_t sum = 0;

	while (n < AP_ARRAY_SIZE(rows) && n / 2 < v->rows) {
		rows[n] = (uint32_t)(v->rows - 1 - n / 2);
		n++;
	}
	if (ap_native_pick(v, v->n_columns, rows, n, &some) == 0)
		sum = read_columns(&some);
	ap_native_view_free(&some);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ap_native_view v = {0};
	volatile size_t sum = 0;
	size_t used;

	if (ap_native_decode((struct ap_str){(const char *)data, size}, &v, &used, NULL) == 0) {
		if (used > size)
			abort();
		sum += read_columns(&v) + read_some(&v);
	}
	ap_native_view_free(&v);
	return 0;
}
