/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/query/dictionary.h"

#include "aggregator/store/schema.h"
#include "profile/tree_builder.h"

/* Symbols of the frames that are new in the profile, the unknown frame among them. */
static int add_symbols(struct ap_dictionary *d)
{
	_cleanup_buf_ struct ap_buf name = {0};
	int r = 0;

	while (r == 0 && d->symbol_of.n < ap_intern_count(d->p->frames)) {
		uint32_t symbol;

		r = ap_tree_frame_symbol(d->paths, d->p, (uint32_t)d->symbol_of.n, &name, &symbol);
		if (r == 0)
			r = ap_vec_push(&d->symbol_of, symbol);
	}
	return r;
}

/* Paths of the stacks that are new in the profile. */
static int add_paths(struct ap_dictionary *d)
{
	AP_VEC(uint32_t) syms = {0};
	int r = 0;

	while (r == 0 && d->known.n < ap_intern_count(d->p->stacks)) {
		struct ap_stack st = ap_profile_get_stack(d->p, (uint32_t)d->known.n);
		struct ap_dictionary_stack known = {.reason = st.reason};

		r = ap_vec_reserve(&syms, (size_t)st.n);
		for (uint32_t i = 0; i < st.n && r == 0; i++)
			syms.p[i] = d->symbol_of.p[st.frames[i]];
		if (r == 0)
			r = ap_tree_path(d->paths, syms.p, st.n, &known.path);
		if (r == 0)
			r = ap_vec_push(&d->known, known);
	}
	ap_vec_free(&syms);
	return r;
}

static void dictionary_free(struct ap_dictionary *d)
{
	ap_profile_free(d->p);
	ap_tree_builder_free(d->paths);
	ap_idmap_free(&d->stacks);
	ap_idmap_free(&d->frames);
	ap_vec_free(&d->known);
	ap_vec_free(&d->symbol_of);
	ap_renaming_free(&d->renaming);
	free(d);
}

struct ap_dictionary *ap_dictionary_new(void)
{
	struct ap_dictionary *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->refs = 1;
	d->p = ap_profile_new();
	d->paths = ap_tree_builder_new();
	if (!d->p || !d->paths || add_symbols(d) < 0 || add_paths(d) < 0 ||
	    pthread_rwlock_init(&d->lock, NULL) != 0) {
		dictionary_free(d);
		return NULL;
	}
	return d;
}

struct ap_dictionary *ap_dictionary_ref(struct ap_dictionary *d)
{
	__atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
	return d;
}

void ap_dictionary_unref(struct ap_dictionary *d)
{
	if (!d || __atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	pthread_rwlock_destroy(&d->lock);
	dictionary_free(d);
}

size_t ap_dictionary_bytes(struct ap_dictionary *d)
{
	size_t n;

	pthread_rwlock_rdlock(&d->lock);
	n = ap_profile_bytes(d->p) + ap_idmap_bytes(&d->stacks) + ap_idmap_bytes(&d->frames) +
	    ap_tree_builder_bytes(d->paths) + d->known.cap * sizeof(*d->known.p) +
	    d->symbol_of.cap * sizeof(uint32_t) + ap_renaming_bytes(&d->renaming);
	pthread_rwlock_unlock(&d->lock);
	return n;
}

/* What a frame says, as text; `frame` carries the numbers. */
struct frame_text {
	struct ap_str function, system_name, file, module, build_id;
	uint32_t start_line;
	struct ap_frame frame;
};

static int add_frame(struct ap_dictionary *d, uint64_t id, const struct frame_text *t)
{
	struct ap_profile *p = d->p;
	struct ap_function fn = {.start_line = t->start_line};
	struct ap_frame f = t->frame;
	struct ap_mapping m = {0};
	uint32_t local;
	int r;

	f.mapping = f.function = 0;
	r = ap_profile_string(p, t->module, &m.path);
	if (r == 0)
		r = ap_profile_string(p, t->build_id, &m.build_id);
	if (r == 0 && (m.path || m.build_id))
		r = ap_profile_mapping(p, &m, &f.mapping);
	if (r == 0 && t->function.n) {
		r = ap_profile_string(p, t->function, &fn.name);
		if (r == 0)
			r = ap_profile_string(p, t->system_name, &fn.system_name);
		if (r == 0)
			r = ap_profile_string(p, t->file, &fn.file);
		if (r == 0)
			r = ap_profile_function(p, &fn, &f.function);
	}
	if (f.kind >= AP_FRAME_KIND_MAX)
		f.kind = AP_FRAME_NATIVE;
	if (r == 0)
		r = ap_profile_frame(p, &f, &local);
	if (r == 0)
		r = ap_renaming_want(&d->renaming, p, local);
	if (r == 0)
		r = ap_idmap_add(&d->frames, id, local);
	return r < 0 ? r : 0;
}

static int add_profile_frame(struct ap_dictionary *d, const struct ap_profile *from, uint64_t id,
			     uint32_t frame)
{
	const struct ap_frame *f = ap_profile_get_frame(from, frame);
	const struct ap_function *fn = ap_profile_get_function(from, f->function);
	const struct ap_mapping *m = ap_profile_get_mapping(from, f->mapping);
	struct frame_text t = {
		.function = ap_profile_str(from, fn->name),
		.system_name = ap_profile_str(from, fn->system_name),
		.file = ap_profile_str(from, fn->file),
		.start_line = fn->start_line,
		.module = ap_profile_str(from, m->path),
		.build_id = ap_profile_str(from, m->build_id),
		.frame = *f,
	};

	return ap_idmap_find(&d->frames, id) ? 0 : add_frame(d, id, &t);
}

uint32_t ap_dictionary_frame(const struct ap_dictionary *d, uint64_t id)
{
	const uint32_t *known = ap_idmap_find(&d->frames, id);

	return known ? *known : 0;
}

int ap_dictionary_add_path(struct ap_dictionary *d, uint64_t id, const uint32_t *frames, uint32_t n,
			   uint16_t reason)
{
	struct ap_frame_ids path = {0};
	uint32_t local;
	int r = 0;

	if (ap_idmap_find(&d->stacks, id))
		return 0;
	for (uint32_t i = 0; i < n && r == 0; i++)
		r = ap_renaming_expand(&d->renaming, d->p, frames[i], &path);
	if (r == 0)
		r = ap_profile_stack(d->p, path.p, (uint32_t)path.n, reason, &local);
	if (r == 0)
		r = add_symbols(d);
	if (r == 0)
		r = add_paths(d);
	if (r == 0)
		r = ap_idmap_add(&d->stacks, id, local);
	ap_vec_free(&path);
	return r < 0 ? r : 0;
}

int ap_dictionary_add_stack_frames(struct ap_dictionary *d, const struct ap_profile *from,
				   const struct ap_identity *id, uint32_t stack)
{
	struct ap_stack st = ap_profile_get_stack(from, stack);
	int r = 0;

	if (ap_idmap_find(&d->stacks, id->stacks[stack]))
		return 0;
	for (uint32_t i = 0; i < st.n && r == 0; i++)
		r = add_profile_frame(d, from, id->frames[st.frames[i]], st.frames[i]);
	return r;
}

int ap_dictionary_add_stack(struct ap_dictionary *d, const struct ap_profile *from,
			    const struct ap_identity *id, uint32_t stack)
{
	struct ap_stack st = ap_profile_get_stack(from, stack);
	AP_VEC(uint32_t) path = {0};
	int r;

	if (ap_idmap_find(&d->stacks, id->stacks[stack]))
		return 0;
	r = ap_vec_reserve(&path, (size_t)st.n);
	for (uint32_t i = 0; i < st.n && r == 0; i++)
		path.p[i] = ap_dictionary_frame(d, id->frames[st.frames[i]]);
	if (r == 0)
		r = ap_dictionary_add_path(d, id->stacks[stack], path.p, st.n, st.reason);
	ap_vec_free(&path);
	return r;
}

/* Positions in the answer, which begins at the column id. */
static const struct ap_native_column *column(const struct ap_native_view *v,
					     enum ap_frames_column c)
{
	return &v->columns[c - AP_FRAMES_ID];
}

int ap_dictionary_add_frames(struct ap_dictionary *d, const struct ap_native_view *v)
{
	if (v->n_columns != AP_FRAMES_COLUMNS - AP_FRAMES_ID)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows; row++) {
		uint64_t id = ap_native_uint(column(v, AP_FRAMES_ID), row);
		struct frame_text t = {
			.function = ap_native_str(column(v, AP_FRAMES_FUNCTION), row),
			.system_name = ap_native_str(column(v, AP_FRAMES_SYSTEM_NAME), row),
			.file = ap_native_str(column(v, AP_FRAMES_FILE), row),
			.start_line =
				(uint32_t)ap_native_uint(column(v, AP_FRAMES_START_LINE), row),
			.module = ap_native_str(column(v, AP_FRAMES_MODULE), row),
			.build_id = ap_native_str(column(v, AP_FRAMES_BUILD_ID), row),
			.frame =
				{
					.offset = ap_native_uint(column(v, AP_FRAMES_OFFSET), row),
					.line = (uint32_t)ap_native_uint(column(v, AP_FRAMES_LINE),
									 row),
					.inline_index = (uint16_t)ap_native_uint(
						column(v, AP_FRAMES_INLINE_INDEX), row),
					.kind = (uint8_t)ap_native_uint(column(v, AP_FRAMES_KIND),
									row),
				},
		};
		int r = ap_idmap_find(&d->frames, id) ? 0 : add_frame(d, id, &t);

		if (r < 0)
			return r;
	}
	return 0;
}
