/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "profile/syscall.h"

static void member(struct ap_buf *b, const char *key, uint64_t v)
{
	ap_json_key(b, key);
	ap_json_u64(b, v);
}

static void errors_member(struct ap_buf *b, const struct ap_syscall_counts *errors)
{
	ap_json_key(b, "errnos");
	ap_buf_byte(b, '[');
	AP_VEC_FOREACH(&errors->v, e) {
		const char *name = ap_errno_name(e->number);

		ap_buf_puts(b, e == errors->v.p ? "{" : ",{");
		member(b, "errno", e->number);
		ap_json_key(b, "name");
		ap_json_string(b, ap_str_of(name ? name : ""));
		member(b, "count", e->count);
		ap_buf_byte(b, '}');
	}
	ap_buf_byte(b, ']');
}

/* The buckets that are not empty, as parallel columns. */
static void histogram_member(struct ap_buf *b, const struct ap_syscall_counts *buckets)
{
	static const char *const columns[] = {"from_ns", "to_ns", "count"};

	ap_json_key(b, "histogram");
	ap_buf_byte(b, '{');
	for (uint32_t i = 0; i < AP_ARRAY_SIZE(columns); i++) {
		ap_json_key(b, columns[i]);
		ap_buf_byte(b, '[');
		AP_VEC_FOREACH(&buckets->v, e) {
			if (e != buckets->v.p)
				ap_buf_byte(b, ',');
			ap_json_u64(b, i == 2 ? e->count : ap_latency_from(e->number + i));
		}
		ap_buf_byte(b, ']');
	}
	ap_buf_byte(b, '}');
}

static void quantile_member(struct ap_buf *b, const char *key, double ns)
{
	ap_json_key(b, key);
	if (ns < 0)
		ap_buf_puts(b, "null");
	else
		ap_json_u64(b, (uint64_t)ns);
}

void ap_syscall_stat_json(struct ap_buf *b, const struct ap_syscall_stat *s)
{
	member(b, "count", s->count);
	member(b, "returned", ap_syscall_counts_sum(&s->buckets));
	member(b, "errors", ap_syscall_counts_sum(&s->errors));
	errors_member(b, &s->errors);
	member(b, "sum_ns", s->sum_ns);
	member(b, "max_ns", s->max_ns);
	quantile_member(b, "p50_ns", ap_syscall_quantile(s, 0.5));
	quantile_member(b, "p90_ns", ap_syscall_quantile(s, 0.9));
	quantile_member(b, "p99_ns", ap_syscall_quantile(s, 0.99));
	histogram_member(b, &s->buckets);
}
