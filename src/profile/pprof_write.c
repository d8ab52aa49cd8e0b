/* SPDX-License-Identifier: Apache-2.0 */
/* The file is a gzip stream of one message. Its fields may come in any order, so samples are
 * written while locations, functions and strings are still being gathered, and the string table
 * goes last. Ids in the file are our own dictionaries' ids, of which 0 is "none" in both. */
#include <zlib.h>

#include "abi/ledger.h"
#include "profile/pprof.h"
#include "profile/protobuf.h"
#include "profile/tree_builder.h"
#include "profile/writer.h"

/* What decides whether two rows become one sample. */
struct row_key {
	int64_t time_ns; /* 0 unless rows carry exact times */
	uint32_t event, labels, stack, pad;
};

struct row_sum {
	uint64_t count, value;
};

struct mapping_facts {
	uint64_t limit; /* one past the highest offset seen */
	bool used, nameless, fileless, lineless, inlined;
};

struct pprof {
	const struct ap_profile *p;
	struct ap_intern *strings;   /* the file's string table */
	struct ap_intern *locations; /* frame ids of one address, outermost first */
	struct ap_intern *rows;	     /* struct row_key */
	AP_VEC(struct row_sum) sums; /* by id of rows */
	struct mapping_facts *mappings;
	bool *functions;	   /* in use */
	bool events[AP_EVENT_MAX]; /* in use */
	struct ap_buf msg, sub;	   /* the field being written, and one within it */
	AP_VEC(uint64_t) ids;
	int err;
	z_stream z;
	struct ap_out *out;
};

static void fail(struct pprof *w, int err)
{
	if (w->err == 0)
		w->err = err;
}

static uint64_t string_id(struct pprof *w, struct ap_str s)
{
	_cleanup_buf_ struct ap_buf clean = {0};
	uint32_t id = 0;
	int r;

	/* Readers refuse a message whose strings are not UTF-8. */
	if (!ap_str_utf8_ok(s)) {
		ap_buf_utf8(&clean, s);
		fail(w, ap_buf_error(&clean));
		s = ap_buf_view(&clean);
	}
	r = ap_intern_add(w->strings, s, &id, NULL);
	if (r < 0)
		fail(w, r);
	return id;
}

static uint64_t text_id(struct pprof *w, const char *s)
{
	return string_id(w, ap_str_of(s));
}

static uint64_t profile_string_id(struct pprof *w, uint32_t id)
{
	return string_id(w, ap_profile_str(w->p, id));
}

static void deflate_bytes(struct pprof *w, const void *p, size_t n, int flush)
{
	enum { CHUNK = 32 * 1024 };
	int r;

	w->z.next_in = (Bytef *)(uintptr_t)p;
	w->z.avail_in = (uInt)n;
	do {
		uint8_t *room = ap_buf_reserve(&w->out->buf, CHUNK);

		if (!room) {
			fail(w, -ENOMEM);
			return;
		}
		w->z.next_out = room;
		w->z.avail_out = CHUNK;
		r = deflate(&w->z, flush);
		w->out->buf.n += CHUNK - w->z.avail_out;
		ap_out_pass(w->out);
	} while (r == Z_OK && (w->z.avail_in || w->z.avail_out == 0 || flush == Z_FINISH));
	if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
		fail(w, -EIO);
}

/* Hands on w->msg as field `number`. */
static void put_message(struct pprof *w, uint32_t number)
{
	ap_buf_clear(&w->sub);
	ap_pb_put_bytes(&w->sub, number, ap_buf_view(&w->msg));
	if (ap_buf_error(&w->msg) || ap_buf_error(&w->sub))
		fail(w, -ENOMEM);
	else
		deflate_bytes(w, w->sub.p, w->sub.n, Z_NO_FLUSH);
	ap_buf_clear(&w->msg);
}

static void put_number(struct pprof *w, uint32_t number, uint64_t v)
{
	ap_buf_clear(&w->sub);
	ap_pb_put(&w->sub, number, v);
	deflate_bytes(w, w->sub.p, w->sub.n, Z_NO_FLUSH);
}

static void put_value_type(struct pprof *w, uint32_t number, const char *name, const char *unit)
{
	ap_pb_put(&w->msg, PPROF_VALUE_TYPE_TYPE, text_id(w, name));
	ap_pb_put(&w->msg, PPROF_VALUE_TYPE_UNIT, text_id(w, unit));
	put_message(w, number);
}

static int sum_rows(struct pprof *w)
{
	bool exact = ap_profile_has_exact_times(w->p);
	int r = ap_vec_push(&w->sums, (struct row_sum){0});

	for (size_t i = 0; i < w->p->samples.n && r == 0; i++) {
		const struct ap_sample *s = &w->p->samples.p[i];
		struct row_key key = {.time_ns = exact ? s->time_ns : 0,
				      .event = s->event,
				      .labels = s->labels,
				      .stack = s->stack};
		uint32_t id;

		w->events[s->event] = s->event != AP_EVENT_NONE;
		r = ap_intern_add(w->rows, (struct ap_str){(char *)&key, sizeof(key)}, &id, NULL);
		if (r == 0 && id == w->sums.n)
			r = ap_vec_push(&w->sums, (struct row_sum){0});
		if (r == 0) {
			struct row_sum *sum = &w->sums.p[id];

			sum->count = ap_sum_saturating(sum->count, s->count);
			sum->value = ap_sum_saturating(sum->value, s->value);
		}
	}
	return r;
}

static void put_types(struct pprof *w)
{
	for (size_t i = 0; i < AP_ARRAY_SIZE(ap_pprof_types); i++)
		if (w->events[ap_pprof_types[i].event])
			put_value_type(w, PPROF_SAMPLE_TYPE, ap_pprof_types[i].name,
				       ap_pprof_types[i].unit);
	if (w->events[AP_EVENT_CPU]) {
		put_value_type(w, PPROF_PERIOD_TYPE, "cpu", "nanoseconds");
		put_number(w, PPROF_PERIOD, w->p->period_ns);
		put_number(w, PPROF_DEFAULT_SAMPLE_TYPE, text_id(w, "cpu"));
	}
	put_number(w, PPROF_TIME_NANOS, (uint64_t)w->p->start_ns);
	if (w->p->end_ns > w->p->start_ns)
		put_number(w, PPROF_DURATION_NANOS,
			   (uint64_t)w->p->end_ns - (uint64_t)w->p->start_ns);
	put_number(w, PPROF_COMMENT, text_id(w, "Aperture " APERTURE_VERSION));
}

/* How many frames from `i` on lie at one address: a function and what is inlined into it there. */
static uint32_t frames_of_address(const struct ap_profile *p, struct ap_stack s, uint32_t i)
{
	const struct ap_frame *base = ap_profile_get_frame(p, s.frames[i]);
	uint32_t n = 1;

	while (i + n < s.n) {
		const struct ap_frame *f = ap_profile_get_frame(p, s.frames[i + n]);

		if (f->kind != AP_FRAME_INLINED || f->mapping != base->mapping ||
		    f->offset != base->offset || f->inline_index != base->inline_index + n)
			break;
		n++;
	}
	return n;
}

static void put_stack(struct pprof *w, uint32_t stack)
{
	struct ap_stack s = ap_profile_get_stack(w->p, stack);
	uint32_t n;

	w->ids.n = 0;
	for (uint32_t i = 0; i < s.n; i += n) {
		uint32_t id = 0;
		int r;

		n = frames_of_address(w->p, s, i);
		r = ap_intern_add(
			w->locations,
			(struct ap_str){(const char *)(s.frames + i), n * sizeof(*s.frames)}, &id,
			NULL);
		if (r == 0)
			r = ap_vec_push(&w->ids, (uint64_t)id);
		if (r < 0)
			fail(w, r);
	}
	/* The file has the leaf first. */
	for (size_t i = 0; i < w->ids.n / 2; i++) {
		uint64_t swap = w->ids.p[i];

		w->ids.p[i] = w->ids.p[w->ids.n - 1 - i];
		w->ids.p[w->ids.n - 1 - i] = swap;
	}
	ap_pb_put_packed(&w->msg, PPROF_SAMPLE_LOCATION, w->ids.p, w->ids.n);
}

static void put_label(struct pprof *w, struct ap_str key, struct ap_str text, uint64_t num,
		      const char *unit)
{
	ap_buf_clear(&w->sub);
	ap_pb_put(&w->sub, PPROF_LABEL_KEY, string_id(w, key));
	ap_pb_put(&w->sub, PPROF_LABEL_STR, string_id(w, text));
	ap_pb_put(&w->sub, PPROF_LABEL_NUM, num);
	ap_pb_put(&w->sub, PPROF_LABEL_UNIT, text_id(w, unit));
	ap_pb_put_bytes(&w->msg, PPROF_SAMPLE_LABEL, ap_buf_view(&w->sub));
}

static void put_labels(struct pprof *w, const struct row_key *key)
{
	struct ap_label_set set = ap_profile_get_labels(w->p, key->labels);
	uint16_t reason = ap_profile_get_stack(w->p, key->stack).reason;

	for (uint32_t i = 0; i < set.n; i++) {
		struct ap_str name = ap_profile_str(w->p, set.labels[i].key);
		struct ap_str text = ap_profile_str(w->p, set.labels[i].value);
		uint64_t num;

		/* Without a text it would be read as the number 0. */
		if (!text.n)
			continue;
		/* A zero would not be written, and be lost; 007 would not come back the same. */
		if ((ap_str_is(name, "pid") || ap_str_is(name, "tid")) &&
		    ap_parse_u64(text, &num) == 0 && num <= INT64_MAX && text.p[0] != '0')
			put_label(w, name, AP_STR(""), num, "");
		else
			put_label(w, name, text, 0, "");
	}
	if (key->time_ns)
		put_label(w, AP_STR(AP_PPROF_TIME_LABEL), AP_STR(""), (uint64_t)key->time_ns,
			  "nanoseconds");
	if (reason != AP_REASON_OK)
		put_label(w, AP_STR(AP_PPROF_INCOMPLETE_LABEL), ap_str_of(ap_reason_name(reason)),
			  0, "");
}

static void put_samples(struct pprof *w)
{
	for (uint32_t id = 1; id < w->sums.n && w->err == 0; id++) {
		const struct row_key *key = (const void *)ap_intern_get(w->rows, id).p;
		uint64_t values[AP_ARRAY_SIZE(ap_pprof_types)];
		size_t n = 0;

		if (key->event == AP_EVENT_NONE)
			continue;
		for (size_t i = 0; i < AP_ARRAY_SIZE(ap_pprof_types); i++) {
			const struct ap_pprof_type *t = &ap_pprof_types[i];
			const struct row_sum *sum = &w->sums.p[id];
			uint64_t v = t->is_value ? sum->value : sum->count;

			if (w->events[t->event])
				values[n++] = key->event != (uint32_t)t->event
						      ? 0
						      : AP_MIN(v, (uint64_t)INT64_MAX);
		}
		put_stack(w, key->stack);
		ap_pb_put_packed(&w->msg, PPROF_SAMPLE_VALUE, values, n);
		put_labels(w, key);
		put_message(w, PPROF_SAMPLE);
	}
}

static void put_locations(struct pprof *w)
{
	for (uint32_t id = 1; id < ap_intern_count(w->locations) && w->err == 0; id++) {
		struct ap_str key = ap_intern_get(w->locations, id);
		const uint32_t *frames = (const void *)key.p;
		size_t n = key.n / sizeof(*frames);
		const struct ap_frame *base = ap_profile_get_frame(w->p, frames[0]);
		struct mapping_facts *m = &w->mappings[base->mapping];

		m->used = true;
		m->limit = AP_MAX(m->limit, base->offset + (base->offset != UINT64_MAX));
		m->inlined |= n > 1;
		ap_pb_put(&w->msg, PPROF_LOCATION_ID, id);
		ap_pb_put(&w->msg, PPROF_LOCATION_MAPPING, base->mapping);
		ap_pb_put(&w->msg, PPROF_LOCATION_ADDRESS, base->offset);
		for (size_t i = n; i-- > 0;) {
			const struct ap_frame *f = ap_profile_get_frame(w->p, frames[i]);
			const struct ap_function *fn = ap_profile_get_function(w->p, f->function);

			m->nameless |= !f->function;
			m->fileless |= !fn->file;
			m->lineless |= !f->line;
			if (!f->function)
				continue;
			w->functions[f->function] = true;
			ap_buf_clear(&w->sub);
			ap_pb_put(&w->sub, PPROF_LINE_FUNCTION, f->function);
			ap_pb_put(&w->sub, PPROF_LINE_LINE, f->line);
			ap_pb_put_bytes(&w->msg, PPROF_LOCATION_LINE, ap_buf_view(&w->sub));
		}
		put_message(w, PPROF_LOCATION);
	}
}

static void put_functions(struct pprof *w)
{
	for (uint32_t id = 1; id < ap_intern_count(w->p->functions) && w->err == 0; id++) {
		const struct ap_function *f = ap_profile_get_function(w->p, id);

		if (!w->functions[id])
			continue;
		ap_pb_put(&w->msg, PPROF_FUNCTION_ID, id);
		ap_pb_put(&w->msg, PPROF_FUNCTION_NAME, profile_string_id(w, f->name));
		ap_pb_put(&w->msg, PPROF_FUNCTION_SYSTEM,
			  profile_string_id(w, f->system_name ? f->system_name : f->name));
		ap_pb_put(&w->msg, PPROF_FUNCTION_FILE, profile_string_id(w, f->file));
		ap_pb_put(&w->msg, PPROF_FUNCTION_LINE, f->start_line);
		put_message(w, PPROF_FUNCTION);
	}
}

static bool is_program(struct ap_str path)
{
	return path.n && path.p[0] != '[' && !memmem(path.p, path.n, ".so", 3);
}

/* Tools take the first mapping for the program, and show its name: `programs` go first. */
static void put_mappings(struct pprof *w, bool programs)
{
	for (uint32_t id = 1; id < ap_intern_count(w->p->mappings) && w->err == 0; id++) {
		const struct ap_mapping *m = ap_profile_get_mapping(w->p, id);
		const struct mapping_facts *facts = &w->mappings[id];

		if (!facts->used || is_program(ap_profile_str(w->p, m->path)) != programs)
			continue;
		ap_pb_put(&w->msg, PPROF_MAPPING_ID, id);
		ap_pb_put(&w->msg, PPROF_MAPPING_LIMIT, facts->limit);
		ap_pb_put(&w->msg, PPROF_MAPPING_FILE, profile_string_id(w, m->path));
		ap_pb_put(&w->msg, PPROF_MAPPING_BUILD_ID, profile_string_id(w, m->build_id));
		ap_pb_put(&w->msg, PPROF_MAPPING_HAS_FUNCTIONS, !facts->nameless);
		ap_pb_put(&w->msg, PPROF_MAPPING_HAS_FILENAMES, !facts->fileless);
		ap_pb_put(&w->msg, PPROF_MAPPING_HAS_LINES, !facts->lineless);
		ap_pb_put(&w->msg, PPROF_MAPPING_HAS_INLINES, facts->inlined);
		put_message(w, PPROF_MAPPING);
	}
}

static void put_strings(struct pprof *w)
{
	for (uint32_t id = 0; id < ap_intern_count(w->strings); id++) {
		ap_buf_clear(&w->sub);
		ap_pb_put_bytes(&w->sub, PPROF_STRING_TABLE, ap_intern_get(w->strings, id));
		if (ap_buf_error(&w->sub))
			fail(w, -ENOMEM);
		deflate_bytes(w, w->sub.p, w->sub.n, Z_NO_FLUSH);
	}
}

static void release(struct pprof *w)
{
	ap_intern_free(w->strings);
	ap_intern_free(w->locations);
	ap_intern_free(w->rows);
	ap_vec_free(&w->sums);
	ap_vec_free(&w->ids);
	ap_buf_free(&w->msg);
	ap_buf_free(&w->sub);
	free(w->mappings);
	free(w->functions);
}

static int prepare(struct pprof *w)
{
	w->strings = ap_intern_new();
	w->locations = ap_intern_new();
	w->rows = ap_intern_new();
	w->mappings = calloc(ap_intern_count(w->p->mappings), sizeof(*w->mappings));
	w->functions = calloc(ap_intern_count(w->p->functions), sizeof(*w->functions));
	if (!w->strings || !w->locations || !w->rows || !w->mappings || !w->functions)
		return -ENOMEM;
	return sum_rows(w);
}

int ap_write_pprof(struct ap_write_job *job)
{
	struct pprof w = {.p = job->p, .out = &job->out};
	int r = prepare(&w);

	if (r == 0 && deflateInit2(&w.z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + 16, 8,
				   Z_DEFAULT_STRATEGY) != Z_OK)
		r = -ENOMEM;
	if (r == 0) {
		put_types(&w);
		put_samples(&w);
		put_locations(&w);
		put_functions(&w);
		put_mappings(&w, true);
		put_mappings(&w, false);
		put_strings(&w);
		deflate_bytes(&w, NULL, 0, Z_FINISH);
		deflateEnd(&w.z);
		r = w.err;
	}
	release(&w);
	return r;
}
