/* SPDX-License-Identifier: Apache-2.0 */
/* pprof files of any tool. Fields of the message may come in any order, so it is walked once for
 * each thing that others refer to. Ids are any numbers; every one that is referred to must exist.
 *
 * A small file can stand for much: one byte can name a location of many inlined lines. What all
 * stacks expand to is therefore bounded too. */
#include "profile/pprof_read.h"

#include <stdio.h>

#include "base/clock.h"

enum { LINES_MAX = 1024 };

int ap_pprof_bad(struct ap_pprof_reader *r, const char *what)
{
	return ap_error_set(r->err, -EINVAL, "no valid pprof profile: %s", what);
}

int ap_pprof_text(struct ap_pprof_reader *r, uint64_t index, struct ap_str *ret)
{
	if (index >= r->strings.n)
		return ap_pprof_bad(r, "a string index is out of range");
	*ret = r->strings.p[index];
	return 0;
}

/* The profile's id of a string of the file. */
static int string_id(struct ap_pprof_reader *r, uint64_t index, uint32_t *ret)
{
	struct ap_str s = {0};
	int rc = ap_pprof_text(r, index, &s);

	return rc < 0 ? rc : ap_profile_string(r->p, s, ret);
}

static int id_new(struct ap_pprof_reader *r, struct ap_intern *ids, uint64_t id)
{
	uint32_t index;
	bool is_new;
	int rc;

	if (id == 0)
		return ap_pprof_bad(r, "an entry has no id");
	rc = ap_intern_add(ids, (struct ap_str){(char *)&id, sizeof(id)}, &index, &is_new);
	if (rc == 0 && !is_new)
		return ap_pprof_bad(r, "two entries have the same id");
	return rc;
}

int ap_pprof_index(const struct ap_intern *ids, uint64_t id, uint32_t *ret)
{
	uint32_t i;

	if (ap_intern_find(ids, (struct ap_str){(char *)&id, sizeof(id)}, &i) < 0)
		return -ENOENT;
	*ret = i - 1; /* the interner's own entry 0 is not ours */
	return 0;
}

/* Gathers the numeric fields 1 … max - 1 of a message; -EINVAL with the error set. */
static int numbers(struct ap_pprof_reader *r, struct ap_str msg, uint64_t *v, uint32_t max)
{
	struct ap_pb_field f;
	int rc;

	while ((rc = ap_pb_next(&msg, &f)) > 0)
		if (f.wire == AP_PB_VARINT && f.number < max)
			v[f.number] = f.value;
	return rc < 0 ? ap_pprof_bad(r, "a field is cut short") : 0;
}

static int read_type(struct ap_pprof_reader *r, struct ap_str msg, struct ap_str *type,
		     struct ap_str *unit)
{
	uint64_t v[3] = {0};
	int rc = numbers(r, msg, v, AP_ARRAY_SIZE(v));

	if (rc == 0)
		rc = ap_pprof_text(r, v[PPROF_VALUE_TYPE_TYPE], type);
	return rc < 0 ? rc : ap_pprof_text(r, v[PPROF_VALUE_TYPE_UNIT], unit);
}

/* Nanoseconds in a unit of time, 0 for other units. */
static uint64_t unit_ns(struct ap_str unit)
{
	return ap_str_is(unit, "nanoseconds")	 ? 1
	       : ap_str_is(unit, "microseconds") ? 1000
	       : ap_str_is(unit, "milliseconds") ? AP_NSEC_PER_MSEC
	       : ap_str_is(unit, "seconds")	 ? AP_NSEC_PER_SEC
						 : 0;
}

static int read_sample_type(struct ap_pprof_reader *r, struct ap_str msg)
{
	struct ap_pprof_column c = {0};
	struct ap_str type = {0}, unit = {0};
	size_t said = strlen(r->types_seen);
	int rc = read_type(r, msg, &type, &unit);

	if (rc < 0)
		return rc;
	if (ap_str_is(type, "sample"))
		type = AP_STR("samples");
	for (size_t i = 0; i < AP_ARRAY_SIZE(ap_pprof_types); i++) {
		const struct ap_pprof_type *t = &ap_pprof_types[i];
		uint64_t scale = t->is_value ? unit_ns(unit) : ap_str_is(unit, "count");

		if (ap_str_is(type, t->name) && scale)
			c = (struct ap_pprof_column){t->event, t->is_value, scale};
	}
	if (c.event != AP_EVENT_NONE)
		r->has[c.event][c.is_value] = true;
	snprintf(r->types_seen + said, sizeof(r->types_seen) - said, "%s%.*s/%.*s",
		 said ? ", " : "", AP_STR_ARG(type), AP_STR_ARG(unit));
	return ap_vec_push(&r->columns, c);
}

/* Kernels and their modules, by how the tools name their mappings. */
static enum ap_frame_kind kind_of_mapping(struct ap_str path)
{
	static const char *const ends[] = {".ko", ".ko.xz", ".ko.zst", ".ko.gz", "/vmlinux"};

	if (ap_str_starts(path, AP_STR("[kernel")) || ap_str_starts(path, AP_STR("[guest.kernel")))
		return AP_FRAME_KERNEL;
	for (size_t i = 0; i < AP_ARRAY_SIZE(ends); i++)
		if (ap_str_ends(path, ap_str_of(ends[i])))
			return AP_FRAME_KERNEL;
	return ap_str_starts(path, AP_STR("[jit")) ? AP_FRAME_JIT : AP_FRAME_NATIVE;
}

static int read_mapping(struct ap_pprof_reader *r, struct ap_str msg)
{
	uint64_t v[PPROF_MAPPING_BUILD_ID + 1] = {0};
	struct ap_pprof_mapping m = {0};
	struct ap_mapping entry = {0};
	struct ap_str path = {0};
	int rc = numbers(r, msg, v, AP_ARRAY_SIZE(v));

	if (rc == 0)
		rc = id_new(r, r->mapping_ids, v[PPROF_MAPPING_ID]);
	if (rc == 0)
		rc = ap_pprof_text(r, v[PPROF_MAPPING_FILE], &path);
	if (rc == 0)
		rc = string_id(r, v[PPROF_MAPPING_FILE], &entry.path);
	if (rc == 0)
		rc = string_id(r, v[PPROF_MAPPING_BUILD_ID], &entry.build_id);
	if (rc == 0)
		rc = ap_profile_mapping(r->p, &entry, &m.id);
	if (rc < 0)
		return rc;
	m.start = v[PPROF_MAPPING_START];
	m.offset = v[PPROF_MAPPING_OFFSET];
	m.kind = kind_of_mapping(path);
	return ap_vec_push(&r->mappings, m);
}

static uint32_t line_number(uint64_t v)
{
	return v <= UINT32_MAX ? (uint32_t)v : 0;
}

static int read_function(struct ap_pprof_reader *r, struct ap_str msg)
{
	uint64_t v[PPROF_FUNCTION_LINE + 1] = {0};
	struct ap_function f = {0};
	uint32_t id = 0;
	int rc = numbers(r, msg, v, AP_ARRAY_SIZE(v));

	if (rc == 0)
		rc = id_new(r, r->function_ids, v[PPROF_FUNCTION_ID]);
	if (rc == 0)
		rc = string_id(r, v[PPROF_FUNCTION_NAME], &f.name);
	if (rc == 0)
		rc = string_id(r, v[PPROF_FUNCTION_SYSTEM], &f.system_name);
	if (rc == 0)
		rc = string_id(r, v[PPROF_FUNCTION_FILE], &f.file);
	if (rc < 0)
		return rc;
	f.start_line = line_number(v[PPROF_FUNCTION_LINE]);
	if (!f.name)
		f.name = f.system_name;
	if (f.system_name == f.name)
		f.system_name = 0;
	if (f.name)
		rc = ap_profile_function(r->p, &f, &id);
	return rc < 0 ? rc : ap_vec_push(&r->functions, id);
}

/* Gathers a location's lines, innermost first as in the file. */
static int read_lines(struct ap_pprof_reader *r, struct ap_str msg)
{
	struct ap_pb_field f;
	int rc;

	r->lines.n = 0;
	while ((rc = ap_pb_next(&msg, &f)) > 0) {
		uint64_t v[3] = {0};
		struct ap_pprof_line line = {0};
		uint32_t index;

		if (f.number != PPROF_LOCATION_LINE || f.wire != AP_PB_BYTES)
			continue;
		rc = numbers(r, f.bytes, v, AP_ARRAY_SIZE(v));
		if (rc < 0)
			return rc;
		if (v[PPROF_LINE_FUNCTION]) {
			if (ap_pprof_index(r->function_ids, v[PPROF_LINE_FUNCTION], &index) < 0)
				return ap_pprof_bad(r, "a location refers to no function");
			line.function = r->functions.p[index];
		}
		line.line = line_number(v[PPROF_LINE_LINE]);
		if (r->lines.n >= LINES_MAX)
			return ap_pprof_bad(r, "a location has more than 1024 lines");
		rc = ap_vec_push(&r->lines, line);
		if (rc < 0)
			return rc;
	}
	if (rc < 0)
		return ap_pprof_bad(r, "a location is cut short");
	/* No symbol: one frame all the same. */
	return r->lines.n ? 0 : ap_vec_push(&r->lines, (struct ap_pprof_line){0});
}

static int read_location(struct ap_pprof_reader *r, struct ap_str msg)
{
	uint64_t v[PPROF_LOCATION_ADDRESS + 1] = {0};
	struct ap_pprof_range range = {.first = r->frames.n};
	struct ap_pprof_mapping m = {0};
	uint32_t index;
	int rc = numbers(r, msg, v, AP_ARRAY_SIZE(v));

	if (rc == 0)
		rc = id_new(r, r->location_ids, v[PPROF_LOCATION_ID]);
	if (rc == 0)
		rc = read_lines(r, msg);
	if (rc < 0)
		return rc;
	if (v[PPROF_LOCATION_MAPPING]) {
		if (ap_pprof_index(r->mapping_ids, v[PPROF_LOCATION_MAPPING], &index) < 0)
			return ap_pprof_bad(r, "a location refers to no mapping");
		m = r->mappings.p[index];
	}
	for (size_t i = 0; i < r->lines.n && rc == 0; i++) {
		const struct ap_pprof_line *line = &r->lines.p[r->lines.n - 1 - i];
		struct ap_frame f = {
			.offset = v[PPROF_LOCATION_ADDRESS],
			.mapping = m.id,
			.function = line->function,
			.line = line->line,
			.inline_index = (uint16_t)i,
			.kind = (uint8_t)(i ? AP_FRAME_INLINED : m.kind),
		};
		uint32_t id;

		if (f.offset >= m.start)
			f.offset = f.offset - m.start + m.offset;
		rc = ap_profile_frame(r->p, &f, &id);
		if (rc == 0)
			rc = ap_vec_push(&r->frames, id);
	}
	range.n = r->lines.n;
	return rc < 0 ? rc : ap_vec_push(&r->locations, range);
}

static int read_string(struct ap_pprof_reader *r, struct ap_str s)
{
	if (r->strings.n == 0 && s.n)
		return ap_pprof_bad(r, "its string table does not begin with \"\"");
	return ap_vec_push(&r->strings, s);
}

static int read_period_type(struct ap_pprof_reader *r, struct ap_str msg)
{
	struct ap_str type = {0}, unit = {0};
	int rc = read_type(r, msg, &type, &unit);

	r->period_scale = rc == 0 ? unit_ns(unit) : 0;
	return rc;
}

struct pass {
	uint32_t number;
	int (*read)(struct ap_pprof_reader *r, struct ap_str msg);
};

/* One walk over the message for each field that others refer to. */
static int walk(struct ap_pprof_reader *r, struct ap_str msg, struct pass pass)
{
	struct ap_pb_field f;
	int rc;

	while ((rc = ap_pb_next(&msg, &f)) > 0) {
		if (f.number != pass.number || f.wire != AP_PB_BYTES)
			continue;
		rc = pass.read(r, f.bytes);
		if (rc < 0)
			return rc;
	}
	return rc < 0 ? ap_pprof_bad(r, "it is no protobuf message, or cut short") : 0;
}

static int read_all(struct ap_pprof_reader *r, struct ap_str msg)
{
	static const struct pass passes[] = {
		{PPROF_STRING_TABLE, read_string},     {PPROF_SAMPLE_TYPE, read_sample_type},
		{PPROF_PERIOD_TYPE, read_period_type}, {PPROF_MAPPING, read_mapping},
		{PPROF_FUNCTION, read_function},       {PPROF_LOCATION, read_location},
	};
	uint64_t v[PPROF_PERIOD + 1] = {0};
	int rc = numbers(r, msg, v, AP_ARRAY_SIZE(v));

	for (size_t i = 0; i < AP_ARRAY_SIZE(passes) && rc == 0; i++)
		rc = walk(r, msg, passes[i]);
	if (rc < 0)
		return rc;
	if (r->strings.n == 0)
		return ap_pprof_bad(r, "it has no string table");
	for (size_t e = 0; e < AP_EVENT_MAX; e++)
		r->any_event |= r->has[e][0] || r->has[e][1];
	if (!r->any_event)
		return ap_error_set(
			r->err, -EINVAL,
			"this pprof profile holds %s: Aperture reads CPU, off-CPU, lock "
			"and GPU profiles",
			r->types_seen[0] ? r->types_seen : "no sample type");
	r->p->start_ns = (int64_t)v[PPROF_TIME_NANOS];
	if (__builtin_add_overflow(r->p->start_ns, (int64_t)v[PPROF_DURATION_NANOS], &r->p->end_ns))
		r->p->end_ns = r->p->start_ns;
	if (__builtin_mul_overflow(v[PPROF_PERIOD], r->period_scale, &r->p->period_ns))
		r->p->period_ns = 0;
	return walk(r, msg, (struct pass){PPROF_SAMPLE, ap_pprof_read_sample});
}

static void release(struct ap_pprof_reader *r)
{
	ap_profile_free(r->p);
	ap_intern_free(r->mapping_ids);
	ap_intern_free(r->function_ids);
	ap_intern_free(r->location_ids);
	ap_vec_free(&r->strings);
	ap_vec_free(&r->columns);
	ap_vec_free(&r->mappings);
	ap_vec_free(&r->functions);
	ap_vec_free(&r->locations);
	ap_vec_free(&r->lines);
	ap_vec_free(&r->frames);
	ap_vec_free(&r->stack);
	ap_vec_free(&r->expanded);
	ap_vec_free(&r->values);
	ap_vec_free(&r->labels);
}

int ap_pprof_read(struct ap_str bytes, size_t max_bytes, struct ap_profile **ret,
		  struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf raw = {0};
	struct ap_error said = {0};
	struct ap_pprof_reader r = {.err = &said};
	int rc = ap_read_gunzip(bytes, max_bytes, &raw, err);

	if (rc < 0)
		return rc;
	r.frames_left = (max_bytes ? max_bytes : AP_READ_BYTES_DEFAULT) / sizeof(uint32_t);
	r.p = ap_profile_new();
	r.mapping_ids = ap_intern_new();
	r.function_ids = ap_intern_new();
	r.location_ids = ap_intern_new();
	if (r.p && r.mapping_ids && r.function_ids && r.location_ids)
		rc = read_all(&r, raw.n ? ap_buf_view(&raw) : bytes);
	else
		rc = -ENOMEM;
	if (rc == 0)
		*ret = AP_TAKE_PTR(r.p);
	else
		ap_error_set(err, rc, "%s", said.code ? said.msg : ap_strerror(rc));
	release(&r);
	return rc;
}
