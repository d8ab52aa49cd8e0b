/* SPDX-License-Identifier: Apache-2.0 */
/* Label selectors from URLs: any bytes are refused at a place within them, or become a filter that
 * matches within its bounds and SQL in which every quote that is opened is closed. */
#include "aggregator/query/filter.h"

static struct ap_str value(void *ctx, struct ap_str label)
{
	return *(const struct ap_str *)ctx;
}

/* Whether a text without NUL is SQL whose literals all end. */
static bool quotes_close(struct ap_str sql)
{
	bool open = false;

	for (size_t i = 0; i < sql.n; i++) {
		if (open && sql.p[i] == '\\')
			i++;
		else if (sql.p[i] == '\'')
			open = !open;
	}
	return !open && (!sql.n || !memchr(sql.p, 0, sql.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *f = NULL;
	struct ap_str text = {(const char *)data, size};
	_cleanup_buf_ struct ap_buf sql = {0};
	struct ap_error err = {0};
	size_t pos = 0;

	if (ap_filter_parse(text, &f, &pos, &err) < 0) {
		if (f || pos > size || !err.msg[0])
			abort();
		return 0;
	}
	ap_filter_match(f, value, &text);
	ap_filter_sql(f, &sql);
	if (!quotes_close(ap_buf_view(&sql)))
		abort();
	return 0;
}
