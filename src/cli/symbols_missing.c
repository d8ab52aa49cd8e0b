/* SPDX-License-Identifier: Apache-2.0 */
/* aperture symbols missing: modules by the CPU time that their frames without symbols hide. */
#include "cli/report.h"
#include "cli/symbols.h"

static struct ap_str text_of(const json_t *row, const char *key)
{
	const json_t *v = json_object_get(row, key);

	return json_is_string(v) ? (struct ap_str){json_string_value(v), json_string_length(v)}
				 : AP_STR("");
}

static double percent(const json_t *row, const char *key, double total)
{
	double v = json_number_value(json_object_get(row, key));

	return total > 0 ? 100 * v / total : 0;
}

static void put_row(struct ap_buf *out, const json_t *row, double total)
{
	struct ap_str build_id = text_of(row, "build_id"), module = text_of(row, "module");

	ap_buf_printf(out, "%6.2f%% %6.2f%% %7lld  ", percent(row, "total", total),
		      percent(row, "self", total),
		      (long long)json_integer_value(json_object_get(row, "frames")));
	ap_report_text(out, build_id.n ? build_id : AP_STR("-"), 0);
	for (size_t i = AP_MAX(build_id.n, (size_t)1); i < 40; i++)
		ap_buf_byte(out, ' ');
	ap_buf_puts(out, "  ");
	ap_report_text(out, module.n ? module : AP_STR("(unknown)"), 0);
	ap_buf_byte(out, '\n');
}

static void put_table(struct ap_buf *out, const json_t *answer)
{
	const json_t *rows = json_object_get(answer, "modules"), *cut, *row;
	double total = json_number_value(json_object_get(answer, "total"));
	size_t i;

	if (json_array_size(rows) == 0) {
		ap_buf_puts(out, total > 0 ? "Every frame of the range has a symbol.\n"
					   : "There are no samples in the range.\n");
		return;
	}
	ap_buf_printf(out, "%7s %7s %7s  %-40s  %s\n", "TOTAL", "SELF", "FRAMES", "BUILD-ID",
		      "MODULE");
	json_array_foreach(rows, i, row) put_row(out, row, total);
	cut = json_object_get(json_object_get(answer, "coverage"), "truncated");
	if (json_is_object(cut))
		ap_buf_printf(out, "and %lld more %.*s\n",
			      (long long)json_integer_value(json_object_get(cut, "cut")),
			      AP_STR_ARG(text_of(cut, "what")));
}

int ap_symbols_missing(struct ap_remote_call *c)
{
	const struct ap_symbols_settings *set = c->settings;
	_cleanup_free_ char *from = NULL, *to = NULL, *filter = NULL, *limit = NULL;
	const char *query[5] = {NULL};

	if (asprintf(&from, "from=%s", set->from) < 0 || asprintf(&to, "to=%s", set->to) < 0 ||
	    asprintf(&filter, "filter=%s", set->filter ?: "") < 0 ||
	    asprintf(&limit, "limit=%llu", (unsigned long long)set->limit) < 0) {
		ap_error_set(&c->err, -ENOMEM, "out of memory");
		return ap_cli_fail(c->program, &c->err);
	}
	query[0] = from;
	query[1] = to;
	query[2] = limit;
	query[3] = set->filter ? filter : NULL;
	return ap_remote_get(c, "/api/v1/modules", query, put_table);
}
