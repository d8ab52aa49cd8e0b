/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/query/renaming.h"

#include "aggregator/store/schema.h"
#include "aggregator/store/store.h"

/* Together they fit the engine's default bound on a statement's text. */
enum { OFFSETS_IN_SQL = 8000, MODULES_IN_SQL = 1000 };

void ap_renaming_free(struct ap_renaming *r)
{
	ap_idmap_free(&r->modules);
	ap_idmap_free(&r->answer_of);
	ap_vec_free(&r->answers);
	ap_vec_free(&r->levels);
	ap_vec_free(&r->wanted);
}

size_t ap_renaming_bytes(const struct ap_renaming *r)
{
	return ap_idmap_bytes(&r->modules) + ap_idmap_bytes(&r->answer_of) +
	       r->answers.cap * sizeof(*r->answers.p) + r->levels.cap * sizeof(*r->levels.p) +
	       r->wanted.cap * sizeof(*r->wanted.p);
}

static uint64_t module_hash(struct ap_str build_id)
{
	return ap_address_hash(build_id, 0);
}

int ap_renaming_add_modules(struct ap_renaming *r, const struct ap_native_view *v)
{
	if (v->n_columns != 1)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows; row++) {
		struct ap_str build_id = ap_native_str(&v->columns[0], row);

		if (ap_idmap_add(&r->modules, module_hash(build_id), 0) < 0)
			return -ENOMEM;
	}
	return 0;
}

static struct ap_str build_id_of(const struct ap_profile *p, const struct ap_frame *f)
{
	return ap_profile_str(p, ap_profile_get_mapping(p, f->mapping)->build_id);
}

int ap_renaming_want(struct ap_renaming *r, const struct ap_profile *p, uint32_t frame)
{
	struct ap_str build_id = build_id_of(p, ap_profile_get_frame(p, frame));

	if (build_id.n == 0 || !ap_idmap_find(&r->modules, module_hash(build_id)))
		return 0;
	return ap_vec_push(&r->wanted, frame);
}

/* Restricts to the modules of what is wanted, unless there are too many to name. */
static void put_modules(const struct ap_renaming *r, const struct ap_profile *p, struct ap_buf *sql)
{
	_cleanup_idmap_ struct ap_idmap seen = {0};
	_cleanup_buf_ struct ap_buf list = {0};

	for (size_t i = r->settled; i < r->wanted.n; i++) {
		struct ap_str id = build_id_of(p, ap_profile_get_frame(p, r->wanted.p[i]));
		int added = ap_idmap_add(&seen, module_hash(id), 0);

		if (added < 0 || seen.n > MODULES_IN_SQL)
			return;
		if (added == 0)
			continue;
		if (list.n)
			ap_buf_byte(&list, ',');
		ap_sql_quote(&list, id);
	}
	if (!ap_buf_error(&list))
		ap_buf_printf(sql, " AND build_id IN (%.*s)", AP_STR_ARG(ap_buf_view(&list)));
}

bool ap_renaming_sql(const struct ap_renaming *r, const struct ap_profile *p, struct ap_buf *sql,
		     size_t *ret_n)
{
	size_t n = r->wanted.n;

	*ret_n = n;
	if (n == r->settled)
		return false;
	ap_buf_puts(sql, "SELECT build_id, offset, version, functions, system_names, files, "
			 "start_lines, lines FROM symbols WHERE 1");
	put_modules(r, p, sql);
	if (n - r->settled > OFFSETS_IN_SQL)
		return true;
	ap_buf_puts(sql, " AND offset IN (");
	for (size_t i = r->settled; i < n; i++)
		ap_buf_printf(sql, "%s%llu", i > r->settled ? "," : "",
			      (unsigned long long)ap_profile_get_frame(p, r->wanted.p[i])->offset);
	ap_buf_byte(sql, ')');
	return true;
}

/* A row's levels; the arrays are checked to be of one length. */
static int add_levels(struct ap_renaming *r, struct ap_profile *p, const struct ap_native_view *v,
		      size_t row, struct ap_renaming_answer *a)
{
	size_t from[AP_SYMBOLS_COLUMNS], n[AP_SYMBOLS_COLUMNS];

	for (int c = AP_SYMBOLS_FUNCTIONS; c < AP_SYMBOLS_COLUMNS; c++) {
		ap_native_array(&v->columns[c], row, &from[c], &n[c]);
		n[c] -= from[c];
		if (n[c] != n[AP_SYMBOLS_FUNCTIONS])
			return -EBADMSG;
	}
	a->first = (uint32_t)r->levels.n;
	a->n = (uint32_t)n[AP_SYMBOLS_FUNCTIONS];
	for (size_t i = 0; i < a->n; i++) {
#define AT(c) v->columns[c].items, from[c] + i
		struct ap_str file = ap_native_str(AT(AP_SYMBOLS_FILES));
		struct ap_function fn = {
			.start_line = (uint32_t)ap_native_uint(AT(AP_SYMBOLS_START_LINES))};
		struct ap_renaming_level level = {
			.line = (uint32_t)ap_native_uint(AT(AP_SYMBOLS_LINES))};
		int e = ap_profile_string(p, ap_native_str(AT(AP_SYMBOLS_FUNCTIONS)), &fn.name);

		if (e == 0)
			e = ap_profile_string(p, ap_native_str(AT(AP_SYMBOLS_SYSTEM_NAMES)),
					      &fn.system_name);
#undef AT
		if (e == 0)
			e = ap_profile_string(p, file, &fn.file);
		if (e == 0)
			e = ap_profile_function(p, &fn, &level.function);
		if (e == 0)
			e = ap_vec_push(&r->levels, level);
		if (e < 0)
			return e;
		a->has_file |= file.n > 0;
	}
	return 0;
}

int ap_renaming_add(struct ap_renaming *r, struct ap_profile *p, const struct ap_native_view *v)
{
	if (v->n_columns != AP_SYMBOLS_COLUMNS)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows; row++) {
		uint64_t address =
			ap_address_hash(ap_native_str(&v->columns[AP_SYMBOLS_BUILD_ID], row),
					ap_native_uint(&v->columns[AP_SYMBOLS_OFFSET], row));
		struct ap_renaming_answer a = {
			.version = ap_native_uint(&v->columns[AP_SYMBOLS_VERSION], row)};
		uint32_t *known = ap_idmap_find(&r->answer_of, address);
		int e = 0;

		if (known && r->answers.p[*known].version >= a.version)
			continue;
		e = add_levels(r, p, v, row, &a);
		if (e == 0 && known)
			r->answers.p[*known] = a;
		else if (e == 0)
			e = ap_vec_push(&r->answers, a);
		if (e == 0 && !known)
			e = ap_idmap_add(&r->answer_of, address, (uint32_t)r->answers.n - 1);
		if (e < 0)
			return e;
	}
	return 0;
}

void ap_renaming_settle(struct ap_renaming *r, size_t n)
{
	r->settled = AP_MAX(r->settled, n);
}

static const struct ap_renaming_answer *answer_to(const struct ap_renaming *r,
						  const struct ap_profile *p,
						  const struct ap_frame *f)
{
	const struct ap_function *fn = ap_profile_get_function(p, f->function);
	struct ap_str build_id = build_id_of(p, f);
	const struct ap_renaming_answer *a;
	const uint32_t *known;

	if (build_id.n == 0)
		return NULL;
	known = ap_idmap_find(&r->answer_of, ap_address_hash(build_id, f->offset));
	if (!known)
		return NULL;
	a = &r->answers.p[*known];
	return a->n && (a->has_file || fn->file == 0) ? a : NULL;
}

int ap_renaming_expand(const struct ap_renaming *r, struct ap_profile *p, uint32_t frame,
		       struct ap_frame_ids *out)
{
	const struct ap_renaming_answer *a;
	struct ap_frame f;
	int e = 0;

	if (r->answers.n == 0)
		return ap_vec_push(out, frame);
	f = *ap_profile_get_frame(p, frame);
	a = answer_to(r, p, &f);
	if (!a)
		return ap_vec_push(out, frame);
	if (f.inline_index > 0)
		return 0;
	for (uint32_t i = 0; i < a->n && e == 0; i++) {
		const struct ap_renaming_level *level = &r->levels.p[a->first + i];
		uint32_t id;

		f.function = level->function;
		f.line = level->line;
		f.inline_index = (uint16_t)i;
		if (i > 0)
			f.kind = AP_FRAME_INLINED;
		e = ap_profile_frame(p, &f, &id);
		if (e == 0)
			e = ap_vec_push(out, id);
	}
	return e;
}
