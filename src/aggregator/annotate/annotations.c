/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/annotate/annotations.h"

#include <jansson.h>
#include <sqlite3.h>

#include "aggregator/annotate/internal.h"
#include "base/json.h"

const char *const ap_annotation_kinds[] = {"note", "deploy", NULL};

int ap_annotations_open(const char *path, struct ap_annotations **ret, struct ap_error *err)
{
	struct ap_annotations *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r = ap_database_open(path, &a->db, err);
	if (r < 0) {
		free(a);
		return r;
	}
	pthread_mutex_init(&a->lock, NULL);
	*ret = a;
	return 0;
}

void ap_annotations_close(struct ap_annotations *a)
{
	if (!a)
		return;
	ap_database_close(a->db);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

int ap_annotation_write(struct ap_annotations *a, const struct ap_annotation *v, uint64_t *ret_id,
			struct ap_error *err)
{
	int r;

	if (v->id)
		r = ap_database_run(a->db, err,
				    "UPDATE annotations SET from_ms = ?, to_ms = ?, service = ?,"
				    " body = ? WHERE id = ?",
				    "iissi", v->from_ms, v->to_ms, v->service, v->body,
				    (int64_t)v->id);
	else
		r = ap_database_run(a->db, err,
				    "INSERT INTO annotations(kind, from_ms, to_ms, service, body)"
				    " VALUES(?, ?, ?, ?, ?)",
				    "iiiss", (int64_t)v->kind, v->from_ms, v->to_ms, v->service,
				    v->body);
	if (r < 0)
		return r;
	*ret_id = v->id ? v->id : ap_database_last_id(a->db);
	return v->id ? 0
		     : ap_database_run(
			       a->db, err,
			       "DELETE FROM annotations WHERE kind = ? AND id NOT IN (SELECT id FROM"
			       " annotations WHERE kind = ? ORDER BY from_ms DESC, id DESC LIMIT ?)",
			       "iii", (int64_t)v->kind, (int64_t)v->kind,
			       (int64_t)AP_ANNOTATIONS_MAX);
}

int ap_annotations_put(struct ap_annotations *a, const struct ap_annotation *v, uint64_t *ret_id,
		       struct ap_error *err)
{
	int r;

	pthread_mutex_lock(&a->lock);
	r = ap_database_begin(a->db, err);
	if (r == 0) {
		r = ap_annotation_write(a, v, ret_id, err);
		if (r == 0)
			r = ap_database_commit(a->db, err);
		if (r < 0)
			ap_database_rollback(a->db);
	}
	pthread_mutex_unlock(&a->lock);
	return r;
}

int ap_annotations_delete(struct ap_annotations *a, uint64_t id, struct ap_error *err)
{
	int r;

	pthread_mutex_lock(&a->lock);
	r = ap_database_run(a->db, err, "DELETE FROM annotations WHERE id = ?", "i", (int64_t)id);
	if (r == 0 && ap_database_changes(a->db) == 0)
		r = ap_error_set(err, -ENOENT,
				 "there is no annotation %llu: GET /api/v1/annotations lists them",
				 (unsigned long long)id);
	pthread_mutex_unlock(&a->lock);
	return r;
}

/* ---- Listing. ---- */

struct lister {
	const struct ap_annotation_query *q;
	struct ap_buf *b;
	uint32_t n;
	uint64_t cut;
};

/* A label of an annotation: false where it has none of that name. */
static bool label_of(const json_t *body, struct ap_str service, struct ap_str name,
		     struct ap_str *ret)
{
	const json_t *v;

	if (ap_str_is(name, "service")) {
		*ret = service;
		return service.n > 0;
	}
	v = json_object_getn(json_object_get(body, "labels"), name.p, name.n);
	if (!json_is_string(v))
		return false;
	*ret = (struct ap_str){json_string_value(v), json_string_length(v)};
	return true;
}

static struct ap_str give_value(void *ctx, struct ap_str label)
{
	return *(const struct ap_str *)ctx;
}

/* What is no object with members, in a file that was damaged, is not. */
static bool is_selected(const struct ap_filter *filter, struct ap_str service, struct ap_str text)
{
	json_t *body = json_loadb(text.p, text.n, 0, NULL);
	bool selected = json_object_size(body) > 0 && text.p[0] == '{';

	for (uint32_t i = 0; filter && i < filter->n && selected; i++) {
		struct ap_filter one = {&filter->matchers[i], 1};
		struct ap_str value;

		if (label_of(body, service, filter->matchers[i].label, &value))
			selected = ap_filter_match(&one, give_value, &value) == 1;
	}
	json_decref(body);
	return selected;
}

static void put_text(struct ap_buf *b, const char *key, struct ap_str v)
{
	ap_json_key(b, key);
	if (v.n)
		ap_json_string(b, v);
	else
		ap_buf_puts(b, "null");
}

/* (id, kind, from, to, service, body) */
static int take(void *ctx, struct sqlite3_stmt *st)
{
	struct lister *l = ctx;
	struct ap_str service = ap_database_text(st, 4), body = ap_database_text(st, 5);
	bool deploy = sqlite3_column_int(st, 1) == AP_ANNOTATION_DEPLOY;

	if (!is_selected(l->q->filter, service, body))
		return 0;
	if (l->n++ >= l->q->limit) {
		l->cut++;
		return 0;
	}
	ap_json_next(l->b);
	ap_buf_byte(l->b, '{');
	ap_json_key(l->b, "id");
	ap_json_i64(l->b, sqlite3_column_int64(st, 0));
	put_text(l->b, "kind", ap_str_of(ap_annotation_kinds[deploy]));
	ap_json_key(l->b, "from");
	ap_json_i64(l->b, sqlite3_column_int64(st, 2));
	ap_json_key(l->b, "to");
	ap_json_i64(l->b, sqlite3_column_int64(st, 3));
	put_text(l->b, "service", service);
	/* The body is an object of further members. */
	ap_buf_byte(l->b, ',');
	ap_buf_append(l->b, body.p + 1, body.n - 1);
	return ap_buf_error(l->b);
}

int ap_annotations_list(struct ap_annotations *a, const struct ap_annotation_query *q,
			struct ap_buf *b, uint64_t *ret_cut, struct ap_error *err)
{
	struct lister l = {.q = q, .b = b};
	int r;

	pthread_mutex_lock(&a->lock);
	r = ap_database_each(a->db, err, take, &l,
			     "SELECT id, kind, from_ms, to_ms, service, body FROM annotations"
			     " WHERE from_ms < ? AND to_ms >= ? AND (? < 0 OR kind = ?)"
			     " ORDER BY from_ms DESC, id DESC",
			     "iiii", q->to_ms, q->from_ms, (int64_t)q->kind, (int64_t)q->kind);
	pthread_mutex_unlock(&a->lock);
	*ret_cut = l.cut;
	return r;
}
