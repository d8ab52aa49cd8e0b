/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "profile/json_columns.h"
#include "profile/writer.h"

/* Before an array's element; see pass(). */
static void comma(struct ap_buf *out)
{
	if (out->n == 0 || out->p[out->n - 1] != '[')
		ap_buf_byte(out, ',');
}

/* Keeps a bracket that has nothing after it, by which comma() knows the first element. */
static void pass(struct ap_out *o)
{
	if (o->buf.n && o->buf.p[o->buf.n - 1] != '[')
		ap_out_pass(o);
}

static void number(struct ap_buf *out, uint64_t v)
{
	comma(out);
	ap_json_u64(out, v);
}

static void emit_function(const struct ap_function *f, enum ap_json_column c, struct ap_buf *out)
{
	number(out, c == AP_JSON_FUNCTION_NAME	   ? f->name
		    : c == AP_JSON_FUNCTION_SYSTEM ? f->system_name
		    : c == AP_JSON_FUNCTION_FILE   ? f->file
						   : f->start_line);
}

static void emit_frame(const struct ap_frame *f, enum ap_json_column c, struct ap_buf *out)
{
	number(out, c == AP_JSON_FRAME_OFFSET	  ? f->offset
		    : c == AP_JSON_FRAME_MAPPING  ? f->mapping
		    : c == AP_JSON_FRAME_FUNCTION ? f->function
		    : c == AP_JSON_FRAME_LINE	  ? f->line
		    : c == AP_JSON_FRAME_INLINE	  ? f->inline_index
						  : f->kind);
}

static void emit_stack(struct ap_stack s, enum ap_json_column c, struct ap_buf *out)
{
	if (c == AP_JSON_STACK_DEPTH)
		number(out, s.n);
	else if (c == AP_JSON_STACK_REASON)
		number(out, s.reason);
	else
		for (uint32_t i = 0; i < s.n; i++)
			number(out, s.frames[i]);
}

static void emit_labels(struct ap_label_set l, enum ap_json_column c, struct ap_buf *out)
{
	if (c == AP_JSON_LABELS_SIZE)
		number(out, l.n);
	else
		for (uint32_t i = 0; i < l.n; i++)
			number(out, c == AP_JSON_LABELS_KEY ? l.labels[i].key : l.labels[i].value);
}

static void emit_sample(const struct ap_sample *s, enum ap_json_column c, struct ap_buf *out)
{
	if (c == AP_JSON_SAMPLE_TIME) {
		comma(out);
		ap_json_i64(out, s->time_ns);
		return;
	}
	number(out, c == AP_JSON_SAMPLE_EVENT	 ? s->event
		    : c == AP_JSON_SAMPLE_LABELS ? s->labels
		    : c == AP_JSON_SAMPLE_STACK	 ? s->stack
		    : c == AP_JSON_SAMPLE_COUNT	 ? s->count
						 : s->value);
}

static void emit_counts(const struct ap_profile *p, size_t first, uint32_t n, bool count,
			struct ap_buf *out)
{
	for (size_t i = first; i < first + n; i++)
		number(out, count ? p->syscall_counts.p[i].count : p->syscall_counts.p[i].number);
}

static void emit_syscall(const struct ap_profile *p, const struct ap_syscall *s,
			 enum ap_json_column c, struct ap_buf *out)
{
	if (c == AP_JSON_SYSCALL_TIME) {
		comma(out);
		ap_json_i64(out, s->time_ns);
	} else if (c == AP_JSON_SYSCALL_BUCKET || c == AP_JSON_SYSCALL_BUCKET_COUNT) {
		emit_counts(p, s->first, s->n_buckets, c == AP_JSON_SYSCALL_BUCKET_COUNT, out);
	} else if (c == AP_JSON_SYSCALL_ERROR || c == AP_JSON_SYSCALL_ERROR_COUNT) {
		emit_counts(p, (size_t)s->first + s->n_buckets, s->n_errors,
			    c == AP_JSON_SYSCALL_ERROR_COUNT, out);
	} else {
		number(out, c == AP_JSON_SYSCALL_LABELS	     ? s->labels
			    : c == AP_JSON_SYSCALL_NAME	     ? s->name
			    : c == AP_JSON_SYSCALL_ABI	     ? s->abi
			    : c == AP_JSON_SYSCALL_COUNT     ? s->count
			    : c == AP_JSON_SYSCALL_SUM	     ? s->sum_ns
			    : c == AP_JSON_SYSCALL_MAX	     ? s->max_ns
			    : c == AP_JSON_SYSCALL_IN_FLIGHT ? s->in_flight
			    : c == AP_JSON_SYSCALL_OLDEST    ? s->oldest_ns
			    : c == AP_JSON_SYSCALL_BUCKETS   ? s->n_buckets
							     : s->n_errors);
	}
}

static size_t column_entries(const struct ap_profile *p, enum ap_json_column c)
{
	return c <= AP_JSON_MAPPING_BUILD_ID ? ap_intern_count(p->mappings)
	       : c <= AP_JSON_FUNCTION_LINE  ? ap_intern_count(p->functions)
	       : c <= AP_JSON_FRAME_KIND     ? ap_intern_count(p->frames)
	       : c <= AP_JSON_STACK_FRAMES   ? ap_intern_count(p->stacks)
	       : c <= AP_JSON_LABELS_VALUE   ? ap_intern_count(p->label_sets)
	       : c <= AP_JSON_SAMPLE_VALUE   ? p->samples.n
					     : p->syscalls.n;
}

/* What entry `i` of a dictionary or the rows has in column `c`. */
static void emit(const struct ap_profile *p, enum ap_json_column c, size_t i, struct ap_buf *out)
{
	uint32_t id = (uint32_t)i;

	if (c == AP_JSON_MAPPING_PATH)
		number(out, ap_profile_get_mapping(p, id)->path);
	else if (c == AP_JSON_MAPPING_BUILD_ID)
		number(out, ap_profile_get_mapping(p, id)->build_id);
	else if (c <= AP_JSON_FUNCTION_LINE)
		emit_function(ap_profile_get_function(p, id), c, out);
	else if (c <= AP_JSON_FRAME_KIND)
		emit_frame(ap_profile_get_frame(p, id), c, out);
	else if (c <= AP_JSON_STACK_FRAMES)
		emit_stack(ap_profile_get_stack(p, id), c, out);
	else if (c <= AP_JSON_LABELS_VALUE)
		emit_labels(ap_profile_get_labels(p, id), c, out);
	else if (c <= AP_JSON_SAMPLE_VALUE)
		emit_sample(&p->samples.p[i], c, out);
	else
		emit_syscall(p, &p->syscalls.p[i], c, out);
}

static void write_head(const struct ap_profile *p, struct ap_out *o)
{
	struct ap_buf *out = &o->buf;

	ap_buf_byte(out, '{');
	ap_json_key(out, "format");
	ap_json_string(out, AP_STR(AP_JSON_FORMAT));
	ap_json_key(out, "version");
	ap_json_u64(out, AP_JSON_VERSION);
	ap_json_key(out, "start_ns");
	ap_json_i64(out, p->start_ns);
	ap_json_key(out, "end_ns");
	ap_json_i64(out, p->end_ns);
	ap_json_key(out, "period_ns");
	ap_json_u64(out, p->period_ns);
	ap_json_key(out, "strings");
	ap_buf_byte(out, '[');
	for (uint32_t i = 0; i < ap_intern_count(p->strings); i++) {
		comma(out);
		ap_json_string(out, ap_profile_str(p, i));
		pass(o);
	}
	ap_buf_byte(out, ']');
}

int ap_write_json(struct ap_write_job *job)
{
	struct ap_buf *out = &job->out.buf;

	write_head(job->p, &job->out);
	for (unsigned int c = 0; c < AP_JSON_COLUMN_MAX; c++) {
		if (c == 0 ||
		    strcmp(ap_json_columns[c].object, ap_json_columns[c - 1].object) != 0) {
			if (c)
				ap_buf_byte(out, '}');
			ap_json_key(out, ap_json_columns[c].object);
			ap_buf_byte(out, '{');
		}
		ap_json_key(out, ap_json_columns[c].member);
		ap_buf_byte(out, '[');
		for (size_t i = 0; i < column_entries(job->p, (enum ap_json_column)c); i++) {
			emit(job->p, (enum ap_json_column)c, i, out);
			pass(&job->out);
		}
		ap_buf_byte(out, ']');
	}
	ap_buf_puts(out, "}}\n");
	return 0;
}
