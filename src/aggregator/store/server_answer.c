/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/server_answer.h"

#include <jansson.h>
#include <stdlib.h>
#include <strings.h>

#include "aggregator/store/exception.h"

enum { TEXT_MAX = 16 << 10, SUMMARY_MAX = 4 << 10 };

void ap_server_answer_free(struct ap_server_answer *a)
{
	ap_buf_free(&a->text);
}

/* A whole number in decimal, and nothing else. */
static bool read_u64(struct ap_str s, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < s.n; i++) {
		uint64_t digit = (uint64_t)(s.p[i] - '0');

		if (s.p[i] < '0' || s.p[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, digit, &v))
			return false;
	}
	*ret = v;
	return s.n > 0;
}

/* {"read_rows":"0",…,"written_rows":"3",…} */
static void take_summary(struct ap_server_answer *a, struct ap_str value)
{
	json_t *summary, *written;

	if (value.n > SUMMARY_MAX)
		return;
	summary = json_loadb(value.p, value.n, 0, NULL);
	written = json_object_get(summary, "written_rows");
	if (json_is_string(written))
		a->has_written = read_u64(
			(struct ap_str){json_string_value(written), json_string_length(written)},
			&a->written);
	json_decref(summary);
}

static bool name_is(struct ap_str s, const char *name)
{
	return s.n == strlen(name) && strncasecmp(s.p, name, s.n) == 0;
}

void ap_server_answer_header(struct ap_server_answer *a, struct ap_str line)
{
	struct ap_str value = line, name;
	uint64_t number;

	if (ap_str_starts(line, AP_STR("HTTP/"))) {
		a->exception = 0;
		a->has_written = false;
		return;
	}
	name = ap_str_cut(&value, ':');
	if (!value.p)
		return;
	value = ap_str_trim(value);
	if (name_is(name, "X-ClickHouse-Exception-Code") && read_u64(value, &number))
		a->exception = (uint32_t)AP_MIN(number, (uint64_t)UINT32_MAX);
	else if (name_is(name, "X-ClickHouse-Summary"))
		take_summary(a, value);
}

void ap_server_answer_text(struct ap_server_answer *a, struct ap_str bytes)
{
	bytes.n = AP_MIN(bytes.n, TEXT_MAX - AP_MIN(a->text.n, (size_t)TEXT_MAX));
	ap_buf_str(&a->text, bytes);
}

/* What the user can do about it; "" where it is the server's own matter. */
static const char *remedy(int r)
{
	switch (r) {
	case -EACCES:
		return "; check --clickhouse-user, --clickhouse-password-file and that user's "
		       "rights";
	case -ENOENT:
		return "; check --clickhouse-database";
	default:
		return "";
	}
}

int ap_server_answer_check(const struct ap_server_answer *a, const char *what, struct ap_error *err)
{
	struct ap_str text = ap_buf_view(&a->text), line;
	uint32_t number = a->exception;
	struct ap_error said = {0};
	bool found;

	found = ap_exception_find(text, &number, &line);
	if (a->status == 200 && !found && !a->exception)
		return 0;
	ap_exception_error(&said, what, text);
	if (found || a->exception) {
		if (!found)
			said.code = ap_exception_errno(number);
		return ap_error_set(err, said.code, "%.*s%s", 360, said.msg, remedy(said.code));
	}
	if (a->status >= 502 && a->status <= 504)
		return ap_error_set(err, -ENOTCONN,
				    "the ClickHouse server is not reached behind --clickhouse-url: "
				    "status %ld",
				    a->status);
	return ap_error_set(err, -EPROTO,
			    "%.*s (status %ld, which is not a ClickHouse server's answer: is "
			    "--clickhouse-url the address of its HTTP port?)",
			    280, said.msg, a->status);
}
