/* SPDX-License-Identifier: Apache-2.0 */
/* Later symbols: which addresses of a module lack them, and storing what was found. */
#include "aggregator/query/internal.h"
#include "aggregator/store/schema.h"
#include "base/clock.h"

/* What is known of an address, over all that is kept of it. */
enum {
	LACKS_NAME = 1, /* in at least one row */
	LACKS_FILE = 2,
	ANSWERED = 4, /* by the table symbols */
	ANSWERED_WITH_FILE = 8,
};

struct known {
	struct ap_question *q;
	struct ap_str build_id;
	struct ap_idmap addresses; /* offset to those bits */
	AP_VEC(uint64_t) offsets;  /* of frames: an answer without a frame counts for nothing */
};

static void known_free(struct known *k)
{
	ap_idmap_free(&k->addresses);
	ap_vec_free(&k->offsets);
}

static int add_bits(struct known *k, uint64_t offset, uint32_t bits)
{
	int r = ap_idmap_add(&k->addresses, offset, bits);

	if (r > 0)
		return ap_vec_push(&k->offsets, offset);
	if (r == 0)
		*ap_idmap_find(&k->addresses, offset) |= bits;
	return r;
}

/* Rows (offset, lacks a name, lacks a file). */
static int take_frames(void *ctx, const struct ap_native_view *v)
{
	struct known *k = ctx;
	int r = 0;

	if (v->n_columns != 3)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows && r == 0; row++)
		r = add_bits(k, ap_native_uint(&v->columns[0], row),
			     (ap_native_uint(&v->columns[1], row) ? LACKS_NAME : 0) |
				     (ap_native_uint(&v->columns[2], row) ? LACKS_FILE : 0));
	return r;
}

/* Rows (offset, with a file) of the table symbols. */
static int take_answers(void *ctx, const struct ap_native_view *v)
{
	struct known *k = ctx;

	if (v->n_columns != 2)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows; row++) {
		uint32_t *bits = ap_idmap_find(&k->addresses, ap_native_uint(&v->columns[0], row));

		if (bits)
			*bits |=
				ap_native_uint(&v->columns[1], row) ? ANSWERED_WITH_FILE : ANSWERED;
	}
	return 0;
}

static int add_stored(struct known *k)
{
	_cleanup_buf_ struct ap_buf sql = {0};

	ap_buf_puts(&sql, "SELECT offset, max(empty(function)), max(empty(file)) "
			  "FROM frames WHERE inline_index = 0 AND build_id = ");
	ap_sql_quote(&sql, k->build_id);
	ap_buf_puts(&sql, " GROUP BY offset");
	return ap_question_select(k->q, &sql, take_frames, k);
}

static int add_answers(struct known *k)
{
	_cleanup_buf_ struct ap_buf sql = {0};

	ap_buf_puts(&sql, "SELECT offset, argMax(arrayExists(f -> notEmpty(f), files), version) "
			  "FROM symbols WHERE build_id = ");
	ap_sql_quote(&sql, k->build_id);
	ap_buf_puts(&sql, " GROUP BY offset");
	return ap_question_select(k->q, &sql, take_answers, k);
}

static int add_buffered(struct known *k)
{
	int r = 0;

	for (size_t i = 0; i < k->q->parts.n && r == 0; i++) {
		const struct ap_profile *p = k->q->parts.p[i]->profile;

		if (i && p == k->q->parts.p[i - 1]->profile)
			continue;
		for (uint32_t id = 1; id < ap_intern_count(p->frames) && r == 0; id++) {
			const struct ap_frame *f = ap_profile_get_frame(p, id);
			const struct ap_mapping *m = ap_profile_get_mapping(p, f->mapping);
			const struct ap_function *fn = ap_profile_get_function(p, f->function);

			if (f->inline_index == 0 &&
			    ap_str_eq(ap_profile_str(p, m->build_id), k->build_id))
				r = add_bits(k, f->offset,
					     (fn->name ? 0 : LACKS_NAME) |
						     (fn->file ? 0 : LACKS_FILE));
		}
	}
	return r;
}

/* All addresses of a module that samples have. */
static int know(struct known *k)
{
	int r = add_buffered(k);

	if (r == 0 && k->q->use_store)
		r = add_stored(k);
	if (r == 0 && k->q->use_store)
		r = add_answers(k);
	if (r == -ENOMEM)
		return ap_question_no_memory(k->q);
	if (r == 0 && k->offsets.n == 0)
		return ap_error_set(k->q->err, -ENOENT,
				    "no sample that is kept has code with build-id %.*s: it ran "
				    "nowhere within the retention, or is another build",
				    (int)AP_MIN(k->build_id.n, (size_t)100), k->build_id.p);
	return r;
}

static bool is_missing(uint32_t bits)
{
	return (bits & LACKS_FILE) && !(bits & ANSWERED_WITH_FILE);
}

static int by_offset(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int give_missing(struct known *k, const uint64_t *after, size_t limit,
			struct ap_missing_symbols *ret)
{
	struct ap_missing_symbols m = {.offsets = malloc((k->offsets.n + 1) * sizeof(uint64_t))};

	if (!m.offsets)
		return ap_question_no_memory(k->q);
	if (k->offsets.n)
		qsort(k->offsets.p, k->offsets.n, sizeof(*k->offsets.p), by_offset);
	AP_VEC_FOREACH(&k->offsets, offset) {
		uint32_t bits = *ap_idmap_find(&k->addresses, *offset);

		if (!is_missing(bits))
			continue;
		m.total++;
		m.unnamed += (bits & LACKS_NAME) && !(bits & ANSWERED);
		if (m.n < limit && !(after && *offset <= *after))
			m.offsets[m.n++] = *offset;
	}
	*ret = m;
	return 0;
}

int ap_query_missing_symbols(struct ap_query_engine *e, struct ap_str build_id,
			     const uint64_t *after, size_t limit, struct ap_missing_symbols *ret,
			     struct ap_error *err)
{
	_cleanup_question_ struct ap_question q = {0};
	_cleanup_(known_free) struct known k = {.q = &q, .build_id = build_id};
	int r = ap_question_begin(&q, e, AP_QUERY_SYMBOLS, &(struct ap_query){0}, err);

	if (r == 0)
		r = know(&k);
	return r == 0 ? give_missing(&k, after, limit, ret) : r;
}

void ap_missing_symbols_free(struct ap_missing_symbols *m)
{
	free(m->offsets);
	*m = (struct ap_missing_symbols){0};
}

static void put_row(struct ap_native_block *b, struct ap_str build_id, uint64_t offset,
		    const struct ap_symbol *y, uint64_t version)
{
	struct ap_str functions[AP_SYMBOL_LEVELS_MAX], system_names[AP_SYMBOL_LEVELS_MAX],
		files[AP_SYMBOL_LEVELS_MAX];
	uint64_t start_lines[AP_SYMBOL_LEVELS_MAX], lines[AP_SYMBOL_LEVELS_MAX];

	for (uint32_t i = 0; i < y->n; i++) {
		functions[i] = y->levels[i].name;
		system_names[i] = y->levels[i].system_name;
		files[i] = y->levels[i].file;
		start_lines[i] = y->levels[i].start_line;
		lines[i] = y->levels[i].line;
	}
	ap_native_put_str(b, AP_SYMBOLS_BUILD_ID, build_id);
	ap_native_put_uint(b, AP_SYMBOLS_OFFSET, offset);
	ap_native_put_uint(b, AP_SYMBOLS_VERSION, version);
	ap_native_put_strs(b, AP_SYMBOLS_FUNCTIONS, functions, y->n);
	ap_native_put_strs(b, AP_SYMBOLS_SYSTEM_NAMES, system_names, y->n);
	ap_native_put_strs(b, AP_SYMBOLS_FILES, files, y->n);
	ap_native_put_uints(b, AP_SYMBOLS_START_LINES, start_lines, y->n);
	ap_native_put_uints(b, AP_SYMBOLS_LINES, lines, y->n);
}

static bool has_file(const struct ap_symbol *y)
{
	for (uint32_t i = 0; i < y->n; i++)
		if (y->levels[i].file.n)
			return true;
	return false;
}

static struct ap_put_symbols fill_block(const struct known *k, const uint64_t *offsets,
					const struct ap_symbol *symbols, size_t n,
					struct ap_native_block *b)
{
	uint64_t version = (uint64_t)ap_clock_unix_ns();
	struct ap_put_symbols counts = {0};

	for (size_t i = 0; i < n; i++) {
		const uint32_t *bits = ap_idmap_find(&k->addresses, offsets[i]);

		if (!bits) {
			counts.unknown++;
		} else if (!has_file(&symbols[i]) && (!is_missing(*bits) || (*bits & ANSWERED))) {
			counts.unchanged++;
		} else {
			put_row(b, k->build_id, offsets[i], &symbols[i], version);
			counts.stored++;
		}
	}
	return counts;
}

int ap_query_put_symbols(struct ap_query_engine *e, struct ap_str build_id, const uint64_t *offsets,
			 const struct ap_symbol *symbols, size_t n, struct ap_put_symbols *ret,
			 struct ap_error *err)
{
	_cleanup_(ap_cleanup_native_block) struct ap_native_block *block =
		ap_native_block_new(ap_schema_symbols.columns, AP_SYMBOLS_COLUMNS);
	_cleanup_question_ struct ap_question q = {0};
	_cleanup_(known_free) struct known k = {.q = &q, .build_id = build_id};
	struct ap_put_symbols counts = {0};
	int r = block ? 0 : ap_error_set(err, -ENOMEM, "out of memory");

	if (!e->o.store)
		return ap_error_set(err, -ENOTSUP, "there is no store to keep symbols in");
	for (size_t i = 0; i < n && r == 0; i++)
		if (symbols[i].n == 0 || symbols[i].n > AP_SYMBOL_LEVELS_MAX)
			r = ap_error_set(err, -EINVAL,
					 "an address has no functions, or more than %d",
					 AP_SYMBOL_LEVELS_MAX);
	if (r == 0)
		r = ap_question_begin(&q, e, AP_QUERY_SYMBOLS, &(struct ap_query){0}, err);
	if (r == 0)
		r = know(&k);
	if (r == 0)
		counts = fill_block(&k, offsets, symbols, n, block);
	if (r == 0)
		r = ap_store_insert(e->o.store, ap_schema_symbols.name, block, NULL, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&e->lock);
	e->renamed |= counts.stored > 0;
	pthread_mutex_unlock(&e->lock);
	*ret = counts;
	return 0;
}
