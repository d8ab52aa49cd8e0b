/* SPDX-License-Identifier: Apache-2.0 */
/* From a parsed Batch to a profile.
 *
 * Each dictionary entry is checked and interned into the profile; since a batch may hold equal
 * entries twice, a map per dictionary leads from wire index to profile id. Rows are then checked
 * against the maps' sizes and appended without further look-ups. The profile's memory is outside
 * the arena: it is measured as it grows. */
#include "wire/batch_internal.h"
#include "wire/utf8.h"

enum {
	DEFAULT_MAX_RAW = 64 << 20,
	DEFAULT_MAX_DEPTH = 4096,
	MEASURE_EVERY = 8192, /* entries between looks at the profile's memory */
	ENTRY_BYTES = 32,     /* what each takes beside its own bytes, at most */
};

#define INVALID(d, ...) ap_decode_fail(d, AP_PUSH_CODE_INVALID_ARGUMENT, __VA_ARGS__)

static int map_new(struct ap_decoder *d, struct ap_id_map *m, size_t entries)
{
	size_t bytes;

	if (entries >= UINT32_MAX || !ap_size_mul(entries + 1, sizeof(*m->ids), &bytes))
		return ap_decode_fail(d, AP_PUSH_CODE_TOO_LARGE,
				      "a dictionary has %zu entries: push smaller batches",
				      entries);
	m->ids = ap_arena_alloc(&d->arena, bytes);
	if (!m->ids)
		return ap_decode_fail(d, AP_PUSH_CODE_TOO_LARGE,
				      "the batch needs more than %zu MiB of memory to decode: push "
				      "smaller batches",
				      d->max_memory >> 20);
	m->ids[0] = 0;
	m->n = entries + 1;
	return 0;
}

static bool fits(const struct ap_decoder *d, size_t more)
{
	size_t used = ap_profile_bytes(d->profile) + d->arena.used;

	return used <= d->max_memory && more <= d->max_memory - used;
}

/* Makes room for a dictionary's entries, of so many bytes in all, where they fit if no two are equal. */
static int make_room(struct ap_decoder *d, struct ap_intern *in, size_t n, size_t bytes)
{
	if (fits(d, n * ENTRY_BYTES + bytes) && ap_intern_reserve(in, n, bytes) < 0)
		return ap_decode_no_memory(d);
	return 0;
}

/* Called after entry `i` of a dictionary was interned with result `r`. */
static int interned(struct ap_decoder *d, int r, size_t i)
{
	if (r < 0)
		return ap_decode_no_memory(d);
	if (i % MEASURE_EVERY == MEASURE_EVERY - 1 && !fits(d, 0))
		return ap_decode_fail(d, AP_PUSH_CODE_TOO_LARGE,
				      "the batch needs more than %zu MiB of memory to decode: push "
				      "smaller batches",
				      d->max_memory >> 20);
	return 0;
}

int ap_decode_bad_index(struct ap_decoder *d, const char *field, size_t i, const char *dictionary,
			const struct ap_id_map *m, uint32_t index)
{
	return INVALID(d, "%s[%zu] is %u but the batch has %zu %s", field, i, index, m->n - 1,
		       dictionary);
}

int ap_decode_same_length(struct ap_decoder *d, const char *field, size_t n, const char *first,
			  size_t expected)
{
	if (n != expected)
		return INVALID(d, "%s has %zu entries but %s has %zu", field, n, first, expected);
	return 0;
}

static int decode_strings(struct ap_decoder *d)
{
	const Aperture__Aggregator__V1__Batch *b = d->batch;
	int r = map_new(d, &d->strings, b->n_strings);
	size_t bytes = 0;

	for (size_t i = 0; r == 0 && i < b->n_strings; i++)
		bytes += b->strings[i].len;
	if (r == 0)
		r = make_room(d, d->profile->strings, b->n_strings, bytes);
	for (size_t i = 0; r == 0 && i < b->n_strings; i++) {
		struct ap_str s = {(const char *)b->strings[i].data, b->strings[i].len};

		if (!ap_str_utf8_ok(s)) {
			ap_buf_clear(&d->text);
			ap_utf8_repair(s, &d->text);
			if (ap_buf_error(&d->text) < 0)
				return ap_decode_no_memory(d);
			s = ap_buf_view(&d->text);
		}
		r = interned(d, ap_profile_string(d->profile, s, &d->strings.ids[i + 1]), i);
	}
	return r;
}

static int decode_mappings(struct ap_decoder *d)
{
	const Aperture__Aggregator__V1__Batch *b = d->batch;
	int r = map_new(d, &d->mappings, b->n_mappings);

	if (r == 0)
		r = make_room(d, d->profile->mappings, b->n_mappings,
			      b->n_mappings * sizeof(struct ap_mapping));
	for (size_t i = 0; r == 0 && i < b->n_mappings; i++) {
		const Aperture__Aggregator__V1__Mapping *from = b->mappings[i];
		struct ap_mapping m;

		r = ap_decode_resolve(d, "mappings.path", i, "strings", &d->strings, from->path,
				      &m.path);
		if (r == 0)
			r = ap_decode_resolve(d, "mappings.build_id", i, "strings", &d->strings,
					      from->build_id, &m.build_id);
		if (r == 0)
			r = interned(d, ap_profile_mapping(d->profile, &m, &d->mappings.ids[i + 1]),
				     i);
	}
	return r;
}

static int decode_functions(struct ap_decoder *d)
{
	const Aperture__Aggregator__V1__Batch *b = d->batch;
	int r = map_new(d, &d->functions, b->n_functions);

	if (r == 0)
		r = make_room(d, d->profile->functions, b->n_functions,
			      b->n_functions * sizeof(struct ap_function));
	for (size_t i = 0; r == 0 && i < b->n_functions; i++) {
		const Aperture__Aggregator__V1__Function *from = b->functions[i];
		struct ap_function f = {.start_line = from->start_line};

		r = ap_decode_resolve(d, "functions.name", i, "strings", &d->strings, from->name,
				      &f.name);
		if (r == 0)
			r = ap_decode_resolve(d, "functions.system_name", i, "strings", &d->strings,
					      from->system_name, &f.system_name);
		if (r == 0)
			r = ap_decode_resolve(d, "functions.file", i, "strings", &d->strings,
					      from->file, &f.file);
		if (r == 0)
			r = interned(d,
				     ap_profile_function(d->profile, &f, &d->functions.ids[i + 1]),
				     i);
	}
	return r;
}

static int frame_columns(struct ap_decoder *d, const Aperture__Aggregator__V1__Frames *f)
{
	size_t n = f->n_mapping;
	int r = ap_decode_same_length(d, "frames.offset", f->n_offset, "frames.mapping", n);

	if (r == 0)
		r = ap_decode_same_length(d, "frames.function", f->n_function, "frames.mapping", n);
	if (r == 0)
		r = ap_decode_same_length(d, "frames.line", f->n_line, "frames.mapping", n);
	if (r == 0)
		r = ap_decode_same_length(d, "frames.inline_index", f->n_inline_index,
					  "frames.mapping", n);
	return r < 0 ? r : ap_decode_same_length(d, "frames.kind", f->n_kind, "frames.mapping", n);
}

static int decode_frame(struct ap_decoder *d, const Aperture__Aggregator__V1__Frames *from,
			size_t i)
{
	struct ap_frame f = {.offset = from->offset[i], .line = from->line[i]};
	int r = ap_decode_resolve(d, "frames.mapping", i, "mappings", &d->mappings,
				  from->mapping[i], &f.mapping);

	if (r == 0)
		r = ap_decode_resolve(d, "frames.function", i, "functions", &d->functions,
				      from->function[i], &f.function);
	if (r < 0)
		return r;
	if (from->inline_index[i] > UINT16_MAX)
		return INVALID(d, "frames.inline_index[%zu] is %u, above the limit of %u", i,
			       from->inline_index[i], UINT16_MAX);
	if (from->kind[i] >= AP_FRAME_KIND_MAX)
		return INVALID(d,
			       "frames.kind[%zu] is %u but the largest known is %u: upgrade the "
			       "aggregator",
			       i, from->kind[i], AP_FRAME_KIND_MAX - 1);
	f.inline_index = (uint16_t)from->inline_index[i];
	f.kind = (uint8_t)from->kind[i];
	return interned(d, ap_profile_frame(d->profile, &f, &d->frames.ids[i + 1]), i);
}

static int decode_frames(struct ap_decoder *d)
{
	static const Aperture__Aggregator__V1__Frames none;
	const Aperture__Aggregator__V1__Frames *f = d->batch->frames ? d->batch->frames : &none;
	int r = frame_columns(d, f);

	if (r == 0)
		r = map_new(d, &d->frames, f->n_mapping);
	if (r == 0)
		r = make_room(d, d->profile->frames, f->n_mapping,
			      f->n_mapping * sizeof(struct ap_frame));
	for (size_t i = 0; r == 0 && i < f->n_mapping; i++)
		r = decode_frame(d, f, i);
	return r;
}

/* One stack, whose frames begin at `*at` of the flat column. */
static int decode_stack(struct ap_decoder *d, const Aperture__Aggregator__V1__Stacks *from,
			size_t i, size_t *at, uint32_t *ids)
{
	uint32_t depth = from->depth[i];
	int r = 0;

	if (depth > d->max_depth)
		return INVALID(d, "stacks.depth[%zu] is %u, above the limit of %u", i, depth,
			       d->max_depth);
	if (!ap_range_ok(*at, depth, from->n_frames))
		return INVALID(d,
			       "stacks.depth[%zu] is %u but only %zu entries of stacks.frames "
			       "are left",
			       i, depth, from->n_frames - *at);
	if (from->reason[i] >= AP_REASONS_MAX)
		return INVALID(d, "stacks.reason[%zu] is %u, which no version knows", i,
			       from->reason[i]);
	for (uint32_t j = 0; r == 0 && j < depth; j++)
		r = ap_decode_resolve(d, "stacks.frames", *at + j, "frames", &d->frames,
				      from->frames[*at + j], &ids[j]);
	if (r < 0)
		return r;
	*at += depth;
	return interned(d,
			ap_profile_stack(d->profile, ids, depth, (uint16_t)from->reason[i],
					 &d->stacks.ids[i + 1]),
			i);
}

static int decode_stacks(struct ap_decoder *d)
{
	static const Aperture__Aggregator__V1__Stacks none;
	const Aperture__Aggregator__V1__Stacks *s = d->batch->stacks ? d->batch->stacks : &none;
	uint32_t *ids = ap_arena_alloc(&d->arena, d->max_depth * sizeof(*ids));
	size_t at = 0;
	int r;

	if (!ids)
		return ap_decode_no_memory(d);
	r = ap_decode_same_length(d, "stacks.reason", s->n_reason, "stacks.depth", s->n_depth);
	if (r == 0)
		r = map_new(d, &d->stacks, s->n_depth);
	/* A stack's reason goes before its frames, and all begin at multiples of eight. */
	if (r == 0)
		r = make_room(d, d->profile->stacks, s->n_depth,
			      s->n_frames * sizeof(uint32_t) + s->n_depth * 2 * sizeof(uint32_t));
	for (size_t i = 0; r == 0 && i < s->n_depth; i++)
		r = decode_stack(d, s, i, &at, ids);
	if (r == 0 && at != s->n_frames)
		return INVALID(d, "stacks.frames has %zu entries but the depths add up to %zu",
			       s->n_frames, at);
	return r;
}

static int decode_label_set(struct ap_decoder *d, size_t i)
{
	const Aperture__Aggregator__V1__LabelSet *from = d->batch->label_sets[i];
	struct ap_label *labels;
	int r;

	if (from->n_key != from->n_value)
		return INVALID(d, "label_sets[%zu] has %zu keys but %zu values", i, from->n_key,
			       from->n_value);
	/* A set has few labels; sorting is quadratic. */
	if (from->n_key > 64)
		return INVALID(d, "label_sets[%zu] has %zu labels, above the limit of 64", i,
			       from->n_key);
	labels = ap_arena_alloc(&d->arena, from->n_key * sizeof(*labels));
	if (!labels)
		return ap_decode_no_memory(d);
	for (size_t j = 0; j < from->n_key; j++) {
		r = ap_decode_resolve(d, "label_sets.key", i, "strings", &d->strings, from->key[j],
				      &labels[j].key);
		if (r == 0)
			r = ap_decode_resolve(d, "label_sets.value", i, "strings", &d->strings,
					      from->value[j], &labels[j].value);
		if (r < 0)
			return r;
		if (labels[j].key == 0)
			return INVALID(d, "label_sets[%zu].key[%zu] is the empty string", i, j);
	}
	r = ap_profile_labels(d->profile, labels, (uint32_t)from->n_key, &d->label_sets.ids[i + 1]);
	if (r == -EEXIST)
		return INVALID(d, "label_sets[%zu] has a key twice", i);
	return interned(d, r, i);
}

static int decode_label_sets(struct ap_decoder *d)
{
	int r = map_new(d, &d->label_sets, d->batch->n_label_sets);

	for (size_t i = 0; r == 0 && i < d->batch->n_label_sets; i++)
		r = decode_label_set(d, i);
	return r;
}

static int sample_columns(struct ap_decoder *d, const Aperture__Aggregator__V1__Samples *s)
{
	size_t n = s->n_time_delta_ns;
	int r = ap_decode_same_length(d, "samples.event", s->n_event, "samples.time_delta_ns", n);

	if (r == 0)
		r = ap_decode_same_length(d, "samples.label_set", s->n_label_set,
					  "samples.time_delta_ns", n);
	if (r == 0)
		r = ap_decode_same_length(d, "samples.stack", s->n_stack, "samples.time_delta_ns",
					  n);
	if (r == 0)
		r = ap_decode_same_length(d, "samples.count", s->n_count, "samples.time_delta_ns",
					  n);
	return r < 0 ? r
		     : ap_decode_same_length(d, "samples.value", s->n_value,
					     "samples.time_delta_ns", n);
}

static int decode_sample(struct ap_decoder *d, const Aperture__Aggregator__V1__Samples *from,
			 size_t i, int64_t *time, struct ap_sample *s)
{
	int r;

	if (__builtin_add_overflow(*time, from->time_delta_ns[i], time) ||
	    *time < d->batch->start_time_ns - AP_DECODE_TIME_SLACK_NS ||
	    *time - AP_DECODE_TIME_SLACK_NS >= d->batch->end_time_ns)
		return INVALID(d,
			       "samples.time_delta_ns[%zu]: the row's time is more than a "
			       "minute outside start_time_ns to end_time_ns",
			       i);
	if (from->event[i] == AP_EVENT_NONE || from->event[i] >= AP_EVENT_MAX)
		return INVALID(d, "samples.event[%zu] is %u but the events known are 1 to %d", i,
			       from->event[i], AP_EVENT_MAX - 1);
	*s = (struct ap_sample){
		.time_ns = *time,
		.count = from->count[i],
		.value = from->value[i],
		.event = from->event[i],
	};
	r = ap_decode_resolve(d, "samples.label_set", i, "label sets", &d->label_sets,
			      from->label_set[i], &s->labels);
	if (r < 0)
		return r;
	return ap_decode_resolve(d, "samples.stack", i, "stacks", &d->stacks, from->stack[i],
				 &s->stack);
}

static int decode_samples(struct ap_decoder *d)
{
	static const Aperture__Aggregator__V1__Samples none;
	const Aperture__Aggregator__V1__Samples *from =
		d->batch->samples ? d->batch->samples : &none;
	uint64_t counts = 0, values = 0;
	int64_t time = 0;
	int r = sample_columns(d, from);

	if (r < 0)
		return r;
	if (ap_vec_reserve(&d->profile->samples, from->n_time_delta_ns) < 0)
		return ap_decode_no_memory(d);
	for (size_t i = 0; i < from->n_time_delta_ns; i++) {
		struct ap_sample *s = &d->profile->samples.p[i];

		r = decode_sample(d, from, i, &time, s);
		if (r < 0)
			return r;
		if (s->count > AP_DECODE_SUM_MAX - counts || s->value > AP_DECODE_SUM_MAX - values)
			return INVALID(d, "samples.%s[%zu]: the batch's sum is out of range",
				       s->count > AP_DECODE_SUM_MAX - counts ? "count" : "value",
				       i);
		counts += s->count;
		values += s->value;
	}
	d->profile->samples.n = from->n_time_delta_ns;
	return 0;
}

static int decode_content(struct ap_decoder *d, const struct ap_batch_meta *meta)
{
	int r = decode_strings(d);

	if (r == 0)
		r = decode_mappings(d);
	if (r == 0)
		r = decode_functions(d);
	if (r == 0)
		r = decode_frames(d);
	if (r == 0)
		r = decode_stacks(d);
	if (r == 0)
		r = decode_label_sets(d);
	if (r == 0)
		r = decode_samples(d);
	if (r == 0)
		r = ap_decode_syscalls(d);
	d->profile->start_ns = meta->start_ns;
	d->profile->end_ns = meta->end_ns;
	d->profile->period_ns = meta->period_ns;
	return r;
}

static uint64_t claimed_periods(const Aperture__Aggregator__V1__Batch *b)
{
	const Aperture__Aggregator__V1__Samples *s = b->samples;
	uint64_t sum = 0;

	for (size_t i = 0; s && i < s->n_count; i++)
		sum += AP_MIN(s->count[i], AP_DECODE_SUM_MAX - sum);
	return sum;
}

int ap_batch_decode(struct ap_str request, const struct ap_batch_limits *limits,
		    struct ap_profile **ret_profile, struct ap_batch_meta *ret_meta,
		    uint64_t *ret_periods, struct ap_push_result *result)
{
	struct ap_batch_limits none = {0};
	struct ap_decoder d = {.result = result};
	struct ap_batch_meta meta;
	int r;

	limits = limits ? limits : &none;
	d.max_raw = limits->max_raw ? limits->max_raw : DEFAULT_MAX_RAW;
	d.max_memory = limits->max_memory ? limits->max_memory : 4 * d.max_raw + (16 << 20);
	d.max_depth = limits->max_depth ? limits->max_depth : DEFAULT_MAX_DEPTH;
	d.arena.limit = d.max_memory;
	d.profile = ap_profile_new();
	if (!d.profile)
		return ap_decode_no_memory(&d);
	r = ap_decode_open(&d, request);
	if (ret_periods)
		*ret_periods = r == 0 ? claimed_periods(d.batch) : 0;
	if (r == 0)
		r = ap_decode_meta(&d, &meta);
	if (r == 0)
		r = decode_content(&d, &meta);
	if (r == 0) {
		*ret_profile = AP_TAKE_PTR(d.profile);
		*ret_meta = meta;
	}
	ap_arena_free(&d.arena);
	ap_buf_free(&d.text);
	ap_profile_free(d.profile);
	return r;
}
