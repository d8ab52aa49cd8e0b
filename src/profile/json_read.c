/* SPDX-License-Identifier: Apache-2.0 */
/* Two steps: the parser's events fill one vector per column, whatever the order of the members;
 * then the dictionaries are built in the order in which they refer to each other. Positions in the
 * file are translated to ids, since equal entries of a hostile file intern to one. */
#include <yajl/yajl_parse.h>

#include "profile/format.h"
#include "profile/json_columns.h"
#include "profile/read.h"

enum state {
	START,	    /* before the outermost object */
	IN_OBJECT,  /* wants a member's name */
	IN_SECTION, /* the same, in "mappings" and the like */
	AT_SCALAR,  /* wants the value of a member of the outermost object */
	AT_STRINGS, /* wants '[' */
	IN_STRINGS,
	AT_SECTION, /* wants '{' */
	AT_COLUMN,  /* wants '[' */
	IN_COLUMN,
	SKIPPING, /* the value of a member that is not known */
	DONE,
};

enum scalar { FORMAT, VERSION, START_NS, END_NS, PERIOD_NS, N_SCALARS };

static const char *const scalar_names[N_SCALARS] = {
	[FORMAT] = "format", [VERSION] = "version",	[START_NS] = "start_ns",
	[END_NS] = "end_ns", [PERIOD_NS] = "period_ns",
};

struct reader {
	enum state state, back; /* back: where skipping returns to */
	size_t skip_depth;
	const char *object;
	unsigned int column, scalar;
	uint64_t scalars[N_SCALARS];
	bool has_format;
	struct ap_profile *p;
	struct ap_id_map strings;
	struct ap_json_table t;
	struct ap_error *err;
	int code; /* what ended the parsing early */
};

static int stop(struct reader *r, int code, const char *what)
{
	r->code = ap_error_set(r->err, code, "%s", what);
	return 0;
}

static int unexpected(struct reader *r)
{
	return stop(r, -EINVAL, "not an Aperture profile: a value is not of the kind it should be");
}

static int out_of_memory(struct reader *r)
{
	return stop(r, -ENOMEM, "out of memory while reading the profile");
}

/* After a whole value within something that is skipped. */
static int skipped(struct reader *r)
{
	if (r->skip_depth == 0)
		r->state = r->back;
	return 1;
}

static int on_scalar(struct reader *r, struct ap_str text)
{
	int64_t i;
	int rc;

	if (r->scalar == FORMAT)
		return unexpected(r);
	if (r->scalar == START_NS || r->scalar == END_NS) {
		rc = ap_parse_i64(text, &i);
		r->scalars[r->scalar] = (uint64_t)i;
	} else {
		rc = ap_parse_u64(text, &r->scalars[r->scalar]);
	}
	if (rc < 0)
		return unexpected(r);
	r->state = IN_OBJECT;
	return 1;
}

static int on_number(void *ctx, const char *p, size_t n)
{
	struct reader *r = ctx;
	struct ap_str text = {p, n};
	uint64_t v = 0;
	int rc;

	if (r->state == SKIPPING)
		return skipped(r);
	if (r->state == AT_SCALAR)
		return on_scalar(r, text);
	if (r->state != IN_COLUMN)
		return unexpected(r);
	if (r->column == AP_JSON_SAMPLE_TIME || r->column == AP_JSON_SYSCALL_TIME) {
		int64_t i = 0;

		rc = ap_parse_i64(text, &i);
		v = (uint64_t)i;
	} else {
		rc = ap_parse_u64(text, &v);
	}
	if (rc < 0)
		return stop(r, -EINVAL, "a column holds a number that is not a whole one in range");
	return ap_vec_push(&r->t.columns[r->column], v) < 0 ? out_of_memory(r) : 1;
}

static int on_string(void *ctx, const unsigned char *p, size_t n)
{
	struct reader *r = ctx;
	struct ap_str s = {(const char *)p, n};
	uint32_t id;

	if (r->state == SKIPPING)
		return skipped(r);
	if (r->state == AT_SCALAR && r->scalar == FORMAT) {
		r->has_format = ap_str_is(s, AP_JSON_FORMAT);
		r->state = IN_OBJECT;
		return 1;
	}
	if (r->state != IN_STRINGS)
		return unexpected(r);
	if (ap_profile_string(r->p, s, &id) < 0 || ap_vec_push(&r->strings, id) < 0)
		return out_of_memory(r);
	return 1;
}

static int on_null(void *ctx)
{
	struct reader *r = ctx;

	return r->state == SKIPPING ? skipped(r) : unexpected(r);
}

static int on_boolean(void *ctx, int value)
{
	return on_null(ctx);
}

static int skip_member(struct reader *r)
{
	r->back = r->state;
	r->state = SKIPPING;
	r->skip_depth = 0;
	return 1;
}

static int on_key(void *ctx, const unsigned char *p, size_t n)
{
	struct reader *r = ctx;
	struct ap_str key = {(const char *)p, n};

	if (r->state == SKIPPING)
		return 1;
	for (unsigned int i = 0; i < N_SCALARS && r->state == IN_OBJECT; i++) {
		if (ap_str_is(key, scalar_names[i])) {
			r->state = AT_SCALAR;
			r->scalar = i;
			return 1;
		}
	}
	if (r->state == IN_OBJECT && ap_str_is(key, "strings")) {
		r->state = AT_STRINGS;
		return 1;
	}
	for (unsigned int c = 0; c < AP_JSON_COLUMN_MAX; c++) {
		if (r->state == IN_OBJECT && ap_str_is(key, ap_json_columns[c].object)) {
			r->state = AT_SECTION;
			r->object = ap_json_columns[c].object;
			return 1;
		}
		if (r->state == IN_SECTION && strcmp(r->object, ap_json_columns[c].object) == 0 &&
		    ap_str_is(key, ap_json_columns[c].member)) {
			r->state = AT_COLUMN;
			r->column = c;
			return 1;
		}
	}
	return skip_member(r);
}

static int on_start_map(void *ctx)
{
	struct reader *r = ctx;

	if (r->state == SKIPPING)
		r->skip_depth++;
	else if (r->state == START)
		r->state = IN_OBJECT;
	else if (r->state == AT_SECTION)
		r->state = IN_SECTION;
	else
		return unexpected(r);
	return 1;
}

static int on_start_array(void *ctx)
{
	struct reader *r = ctx;

	if (r->state == SKIPPING)
		r->skip_depth++;
	else if (r->state == AT_STRINGS)
		r->state = IN_STRINGS;
	else if (r->state == AT_COLUMN)
		r->state = IN_COLUMN;
	else
		return unexpected(r);
	return 1;
}

static int on_end(void *ctx)
{
	struct reader *r = ctx;

	if (r->state == SKIPPING) {
		r->skip_depth--;
		return skipped(r);
	}
	r->state = r->state == IN_COLUMN			      ? IN_SECTION
		   : r->state == IN_STRINGS || r->state == IN_SECTION ? IN_OBJECT
								      : DONE;
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_start_map,
	.yajl_map_key = on_key,
	.yajl_end_map = on_end,
	.yajl_start_array = on_start_array,
	.yajl_end_array = on_end,
};

static int parse(struct reader *r, struct ap_str bytes)
{
	yajl_handle h = yajl_alloc(&callbacks, NULL, r);
	yajl_status s;

	if (!h)
		return -ENOMEM;
	s = yajl_parse(h, (const unsigned char *)bytes.p, bytes.n);
	if (s == yajl_status_ok)
		s = yajl_complete_parse(h);
	if (s == yajl_status_error) {
		unsigned char *text = yajl_get_error(h, 0, NULL, 0);

		ap_error_set(r->err, -EINVAL, "not valid JSON near byte %zu: %.*s",
			     yajl_get_bytes_consumed(h),
			     text ? (int)strcspn((char *)text, "\n") : 0, text ? (char *)text : "");
		yajl_free_error(h, text);
		r->code = -EINVAL;
	}
	yajl_free(h);
	return r->code;
}

/* Notes the id of the next position. Position 0 must have turned out to be "none". */
static int note(struct reader *r, enum ap_json_column c, struct ap_id_map *map, uint32_t id)
{
	if (map->n == 0 && id != 0)
		return ap_json_bad_entry(&r->t, c, 0);
	return ap_vec_push(map, id);
}

struct maps {
	struct ap_id_map mappings, functions, frames, stacks, label_sets;
};

static int build_mappings(struct reader *r, struct maps *m)
{
	int rc = 0;

	for (size_t i = 0; i < r->t.columns[AP_JSON_MAPPING_PATH].n && rc == 0; i++) {
		struct ap_mapping e = {0};
		uint32_t id;

		rc = ap_json_id_at(&r->t, AP_JSON_MAPPING_PATH, i, &r->strings, &e.path);
		if (rc == 0)
			rc = ap_json_id_at(&r->t, AP_JSON_MAPPING_BUILD_ID, i, &r->strings,
					   &e.build_id);
		if (rc == 0)
			rc = ap_profile_mapping(r->p, &e, &id);
		if (rc == 0)
			rc = note(r, AP_JSON_MAPPING_PATH, &m->mappings, id);
	}
	return rc;
}

static int build_functions(struct reader *r, struct maps *m)
{
	int rc = 0;

	for (size_t i = 0; i < r->t.columns[AP_JSON_FUNCTION_NAME].n && rc == 0; i++) {
		struct ap_function e = {0};
		uint32_t id;

		rc = ap_json_id_at(&r->t, AP_JSON_FUNCTION_NAME, i, &r->strings, &e.name);
		if (rc == 0)
			rc = ap_json_id_at(&r->t, AP_JSON_FUNCTION_SYSTEM, i, &r->strings,
					   &e.system_name);
		if (rc == 0)
			rc = ap_json_id_at(&r->t, AP_JSON_FUNCTION_FILE, i, &r->strings, &e.file);
		if (rc == 0)
			rc = ap_json_u32_at(&r->t, AP_JSON_FUNCTION_LINE, i, &e.start_line);
		if (rc == 0)
			rc = ap_profile_function(r->p, &e, &id);
		if (rc == 0)
			rc = note(r, AP_JSON_FUNCTION_NAME, &m->functions, id);
	}
	return rc;
}

static int build_frames(struct reader *r, struct maps *m)
{
	int rc = 0;

	for (size_t i = 0; i < r->t.columns[AP_JSON_FRAME_OFFSET].n && rc == 0; i++) {
		struct ap_frame e = {.offset = r->t.columns[AP_JSON_FRAME_OFFSET].p[i]};
		uint64_t inline_index = 0, kind = 0;
		uint32_t id;

		rc = ap_json_id_at(&r->t, AP_JSON_FRAME_MAPPING, i, &m->mappings, &e.mapping);
		if (rc == 0)
			rc = ap_json_id_at(&r->t, AP_JSON_FRAME_FUNCTION, i, &m->functions,
					   &e.function);
		if (rc == 0)
			rc = ap_json_u32_at(&r->t, AP_JSON_FRAME_LINE, i, &e.line);
		if (rc == 0)
			rc = ap_json_number_at(&r->t, AP_JSON_FRAME_INLINE, i, UINT16_MAX,
					       &inline_index);
		if (rc == 0)
			rc = ap_json_number_at(&r->t, AP_JSON_FRAME_KIND, i, AP_FRAME_KIND_MAX - 1,
					       &kind);
		e.inline_index = (uint16_t)inline_index;
		e.kind = (uint8_t)kind;
		if (rc == 0)
			rc = ap_profile_frame(r->p, &e, &id);
		if (rc == 0)
			rc = note(r, AP_JSON_FRAME_OFFSET, &m->frames, id);
	}
	return rc;
}

static int build_stacks(struct reader *r, struct maps *m)
{
	AP_VEC(uint32_t) frames = {0};
	size_t at = 0;
	int rc = 0;

	for (size_t i = 0; i < r->t.columns[AP_JSON_STACK_DEPTH].n && rc == 0; i++) {
		uint64_t depth = 0, reason = 0;
		uint32_t id;

		rc = ap_json_number_at(&r->t, AP_JSON_STACK_REASON, i, UINT16_MAX, &reason);
		if (rc == 0)
			rc = ap_json_number_at(&r->t, AP_JSON_STACK_DEPTH, i,
					       r->t.columns[AP_JSON_STACK_FRAMES].n - at, &depth);
		frames.n = 0;
		if (rc == 0)
			rc = ap_vec_reserve(&frames, (size_t)depth);
		for (; rc == 0 && frames.n < depth; at++)
			rc = ap_json_id_at(&r->t, AP_JSON_STACK_FRAMES, at, &m->frames,
					   &frames.p[frames.n++]);
		if (rc == 0)
			rc = ap_profile_stack(r->p, frames.p, (uint32_t)depth, (uint16_t)reason,
					      &id);
		if (rc == 0)
			rc = note(r, AP_JSON_STACK_DEPTH, &m->stacks, id);
	}
	ap_vec_free(&frames);
	return rc;
}

static int build_labels(struct reader *r, struct maps *m)
{
	AP_VEC(struct ap_label) labels = {0};
	size_t at = 0;
	int rc = 0;

	for (size_t i = 0; i < r->t.columns[AP_JSON_LABELS_SIZE].n && rc == 0; i++) {
		uint64_t size = 0;
		uint32_t id;

		/* Sorting them is quadratic in their number, which comes from outside. */
		rc = ap_json_number_at(&r->t, AP_JSON_LABELS_SIZE, i, AP_LABELS_MAX, &size);
		labels.n = 0;
		for (; rc == 0 && labels.n < size; at++) {
			struct ap_label l = {0};

			rc = ap_json_id_at(&r->t, AP_JSON_LABELS_KEY, at, &r->strings, &l.key);
			if (rc == 0)
				rc = ap_json_id_at(&r->t, AP_JSON_LABELS_VALUE, at, &r->strings,
						   &l.value);
			if (rc == 0)
				rc = ap_vec_push(&labels, l);
		}
		if (rc == 0)
			rc = ap_profile_labels(r->p, labels.p, (uint32_t)size, &id);
		if (rc == -EEXIST)
			rc = ap_json_bad_entry(&r->t, AP_JSON_LABELS_SIZE, i);
		if (rc == 0)
			rc = note(r, AP_JSON_LABELS_SIZE, &m->label_sets, id);
	}
	ap_vec_free(&labels);
	return rc;
}

static int build_samples(struct reader *r, struct maps *m)
{
	int rc = 0;

	for (size_t i = 0; i < r->t.columns[AP_JSON_SAMPLE_TIME].n && rc == 0; i++) {
		struct ap_sample s = {.time_ns = (int64_t)r->t.columns[AP_JSON_SAMPLE_TIME].p[i]};
		uint64_t event = 0;

		rc = ap_json_number_at(&r->t, AP_JSON_SAMPLE_EVENT, i, AP_EVENT_MAX - 1, &event);
		s.event = (uint32_t)event;
		if (rc == 0)
			rc = ap_json_id_at(&r->t, AP_JSON_SAMPLE_LABELS, i, &m->label_sets,
					   &s.labels);
		if (rc == 0)
			rc = ap_json_id_at(&r->t, AP_JSON_SAMPLE_STACK, i, &m->stacks, &s.stack);
		if (rc == 0)
			rc = ap_json_number_at(&r->t, AP_JSON_SAMPLE_COUNT, i, UINT64_MAX,
					       &s.count);
		if (rc == 0)
			rc = ap_json_number_at(&r->t, AP_JSON_SAMPLE_VALUE, i, UINT64_MAX,
					       &s.value);
		if (rc == 0)
			rc = ap_profile_add(r->p, &s);
	}
	return rc;
}

static int build_syscalls(struct reader *r, struct maps *m)
{
	return ap_json_read_syscalls(&r->t, &r->strings, &m->label_sets, r->p);
}

static int build(struct reader *r)
{
	static int (*const steps[])(struct reader *, struct maps *) = {
		build_mappings, build_functions, build_frames,	 build_stacks,
		build_labels,	build_samples,	 build_syscalls,
	};
	struct maps m = {0};
	int rc = 0;

	if (!r->has_format)
		return ap_error_set(r->err, -EINVAL,
				    "this JSON is not an Aperture profile (no \"format\":\"%s\")",
				    AP_JSON_FORMAT);
	if (r->scalars[VERSION] != AP_JSON_VERSION)
		return ap_error_set(r->err, -EINVAL,
				    "the profile has version %llu, this Aperture reads %d: use the "
				    "Aperture that wrote it, or a newer one",
				    (unsigned long long)r->scalars[VERSION], AP_JSON_VERSION);
	if (r->strings.n && r->strings.p[0] != 0)
		return ap_error_set(r->err, -EINVAL,
				    "not a valid Aperture profile: strings[0] is not \"\"");
	r->p->start_ns = (int64_t)r->scalars[START_NS];
	r->p->end_ns = (int64_t)r->scalars[END_NS];
	r->p->period_ns = r->scalars[PERIOD_NS];
	for (size_t i = 0; i < AP_ARRAY_SIZE(steps) && rc == 0; i++)
		rc = steps[i](r, &m);
	ap_vec_free(&m.mappings);
	ap_vec_free(&m.functions);
	ap_vec_free(&m.frames);
	ap_vec_free(&m.stacks);
	ap_vec_free(&m.label_sets);
	return rc;
}

int ap_json_read(struct ap_str bytes, size_t max_bytes, struct ap_profile **ret,
		 struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf raw = {0};
	struct ap_error said = {0};
	struct reader r = {.err = &said, .t.err = &said};
	int rc = ap_read_gunzip(bytes, max_bytes, &raw, err);

	if (rc < 0)
		return rc;
	r.p = ap_profile_new();
	if (!r.p)
		return ap_error_set(err, -ENOMEM, "out of memory while reading the profile");
	rc = parse(&r, raw.n ? ap_buf_view(&raw) : bytes);
	if (rc == 0)
		rc = build(&r);
	ap_vec_free(&r.strings);
	for (size_t c = 0; c < AP_JSON_COLUMN_MAX; c++)
		ap_vec_free(&r.t.columns[c]);
	if (rc < 0) {
		ap_profile_free(r.p);
		return ap_error_set(err, rc, "%s", said.code ? said.msg : ap_strerror(rc));
	}
	*ret = r.p;
	return 0;
}
