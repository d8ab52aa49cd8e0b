/* SPDX-License-Identifier: Apache-2.0 */
/* Deploys on file. What is to be written is copied under the lock and written without it: whoever takes in batches
 * does not wait for the disk here. */
#include <sqlite3.h>

#include "aggregator/annotate/deploys_internal.h"
#include "base/json.h"

#define SEEN_MS 60000 /* when an identity was seen last is on file to that accuracy */

/* ---- Reading. ---- */

/* (service, program, build, version, seen, returns, current since) */
static int load_build(void *ctx, struct sqlite3_stmt *st)
{
	struct ap_deploys *d = ctx;
	struct program *p = program_get(d, ap_database_text(st, 0), ap_database_text(st, 1));
	struct build *b;
	int64_t since_ms;

	/* Of more than there may be, the rest is new when it is seen. */
	if (!p || p->n == AP_DEPLOY_BUILDS_MAX)
		return p ? 0 : -ENOMEM;
	b = program_add(p, ap_database_text(st, 2), ap_database_text(st, 3));
	if (!b)
		return -ENOMEM;
	b->seen_ms = b->saved_ms = sqlite3_column_int64(st, 4);
	b->returns = (uint32_t)sqlite3_column_int(st, 5);
	b->dirty = false;
	p->seen_ms = AP_MAX(p->seen_ms, b->seen_ms);
	since_ms = sqlite3_column_int64(st, 6);
	if (since_ms) {
		p->current = (uint32_t)(b - p->builds);
		p->since_ms = since_ms;
	}
	return 0;
}

int ap_deploys_open(struct ap_annotations *a, struct ap_deploys **ret, struct ap_error *err)
{
	struct ap_deploys *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return ap_error_set(err, -ENOMEM, "out of memory");
	d->a = a;
	pthread_mutex_init(&d->lock, NULL);
	r = ap_database_each(a->db, err, load_build, d,
			     "SELECT service, program, build, version, seen_ms, returns,"
			     " current_since_ms FROM builds ORDER BY seen_ms DESC",
			     "");
	if (r < 0) {
		ap_deploys_close(d);
		return r;
	}
	*ret = d;
	return 0;
}

/* ---- What a marker says. ---- */

static void put_text(struct ap_buf *b, const char *key, const char *v)
{
	ap_json_key(b, key);
	ap_json_string(b, ap_str_of(v));
}

static void put_identity(struct ap_buf *b, const char *key, char *const identity[2])
{
	ap_json_key(b, key);
	ap_buf_byte(b, '{');
	put_text(b, "build", identity[0]);
	put_text(b, "version", identity[1]);
	ap_buf_byte(b, '}');
}

static void put_names(struct ap_buf *b, const char *key, char **names, size_t n)
{
	ap_json_key(b, key);
	ap_buf_byte(b, '[');
	for (size_t i = 0; i < n; i++) {
		ap_json_next(b);
		ap_json_string(b, ap_str_of(names[i]));
	}
	ap_buf_byte(b, ']');
}

/* The version where both sides have one and they differ, else the build-id's beginning. */
static void put_summary(struct ap_buf *b, const struct marker *m)
{
	bool versions = m->from[1][0] && m->to[1][0] && strcmp(m->from[1], m->to[1]) != 0;
	_cleanup_buf_ struct ap_buf text = {0};

	if (versions)
		ap_buf_printf(&text, "%s %s → %s", m->program, m->from[1], m->to[1]);
	else
		ap_buf_printf(&text, "%s build %.12s → %.12s", m->program,
			      m->from[0][0] ? m->from[0] : "unknown",
			      m->to[0][0] ? m->to[0] : "unknown");
	if (m->programs.n)
		ap_buf_printf(&text, " and %zu more program%s", m->programs.n,
			      m->programs.n == 1 ? "" : "s");
	ap_json_key(b, "text");
	ap_json_string(b, ap_buf_view(&text));
}

void marker_body(const struct marker *m, struct ap_buf *b)
{
	ap_buf_byte(b, '{');
	put_summary(b, m);
	ap_buf_puts(b, ",\"labels\":{},\"link\":null,\"deploy\":{");
	put_text(b, "program", m->program);
	put_identity(b, "from", m->from);
	put_identity(b, "to", m->to);
	put_names(b, "hosts", m->hosts.p, m->hosts.n);
	put_names(b, "programs", m->programs.p, m->programs.n);
	ap_buf_append(b, "}}", 3); /* with its NUL */
}

/* ---- Writing. ---- */

struct build_row {
	char *key, *build, *version;
	int64_t seen_ms, since_ms; /* since_ms 0: not current */
	uint32_t returns;
};

struct marker_row {
	uint64_t serial;
	struct ap_annotation v;
	char *service;
	struct ap_buf body;
};

struct copies {
	AP_VEC(struct build_row) builds;
	AP_VEC(struct marker_row) markers;
};

static void copies_free(struct copies *c)
{
	AP_VEC_FOREACH(&c->builds, b) {
		free(b->key);
		free(b->build);
		free(b->version);
	}
	AP_VEC_FOREACH(&c->markers, m) {
		free(m->service);
		ap_buf_free(&m->body);
	}
	ap_vec_free(&c->builds);
	ap_vec_free(&c->markers);
}

static int copy_build(const struct program *p, struct build *b, struct copies *c)
{
	struct build_row row = {
		.key = malloc(p->key_n),
		.build = strdup(b->build),
		.version = strdup(b->version),
		.seen_ms = b->seen_ms,
		.since_ms = b == &p->builds[p->current] ? p->since_ms : 0,
		.returns = b->returns,
	};

	if (!row.key || !row.build || !row.version || ap_vec_push(&c->builds, row) < 0) {
		free(row.key);
		free(row.build);
		free(row.version);
		return -ENOMEM;
	}
	memcpy(row.key, p->key, p->key_n);
	b->dirty = false;
	b->saved_ms = b->seen_ms;
	return 0;
}

static int copy_marker(struct marker *m, struct copies *c)
{
	struct marker_row row = {
		.serial = m->serial,
		.service = strdup(m->service),
		.v = {.id = m->id,
		      .kind = AP_ANNOTATION_DEPLOY,
		      .from_ms = m->at_ms,
		      .to_ms = m->at_ms},
	};

	marker_body(m, &row.body);
	if (!row.service || ap_buf_error(&row.body) < 0 || ap_vec_push(&c->markers, row) < 0) {
		free(row.service);
		ap_buf_free(&row.body);
		return -ENOMEM;
	}
	m->dirty = false;
	return 0;
}

/* With the lock held: what the file lacks. */
static int copy(struct ap_deploys *d, struct copies *c)
{
	struct program *p, *next;
	int r = 0;

	HASH_ITER(hh, d->table, p, next)
		for (uint32_t i = 0; i < p->n && r == 0; i++) {
			struct build *b = &p->builds[i];

			if (d->save_all || b->dirty || b->seen_ms - b->saved_ms >= SEEN_MS)
				r = copy_build(p, b, c);
		}
	AP_VEC_FOREACH(&d->markers, m)
		if (r == 0 && (d->save_all || m->dirty))
			r = copy_marker(m, c);
	return r;
}

static int write_build(struct ap_database *db, const struct build_row *b, struct ap_error *err)
{
	return ap_database_run(db, err, "INSERT OR REPLACE INTO builds VALUES(?, ?, ?, ?, ?, ?, ?)",
			       "ssssiii", b->key, b->key + strlen(b->key) + 1, b->build, b->version,
			       b->seen_ms, (int64_t)b->returns, b->since_ms);
}

static int write_all(struct ap_annotations *a, struct copies *c, struct ap_error *err)
{
	int r = ap_database_begin(a->db, err);

	if (r < 0)
		return r;
	AP_VEC_FOREACH(&c->markers, m) {
		m->v.service = m->service;
		m->v.body = (const char *)m->body.p;
		if (r == 0)
			r = ap_annotation_write(a, &m->v, &m->v.id, err);
	}
	AP_VEC_FOREACH(&c->builds, b)
		if (r == 0)
			r = write_build(a->db, b, err);
	/* Of programs that made way or were left behind nothing is kept for ever. */
	if (r == 0)
		r = ap_database_run(
			a->db, err,
			"DELETE FROM builds WHERE rowid NOT IN (SELECT rowid FROM builds"
			" ORDER BY seen_ms DESC LIMIT ?)",
			"i", (int64_t)AP_DEPLOY_PROGRAMS_MAX * AP_DEPLOY_BUILDS_MAX);
	if (r == 0)
		r = ap_database_commit(a->db, err);
	if (r < 0)
		ap_database_rollback(a->db);
	return r;
}

/* With the lock held: notes which ids new markers were given. */
static void take_ids(struct ap_deploys *d, const struct copies *c)
{
	AP_VEC_FOREACH(&c->markers, row)
		AP_VEC_FOREACH(&d->markers, m)
			if (m->serial == row->serial)
				m->id = row->v.id;
}

int ap_deploys_save(struct ap_deploys *d, struct ap_error *err)
{
	struct copies c = {0};
	int r;

	pthread_mutex_lock(&d->lock);
	r = copy(d, &c);
	d->save_all = r < 0;
	pthread_mutex_unlock(&d->lock);
	if (r < 0)
		ap_error_set(err, r, "out of memory");
	else if (c.builds.n || c.markers.n) {
		pthread_mutex_lock(&d->a->lock);
		r = write_all(d->a, &c, err);
		pthread_mutex_unlock(&d->a->lock);
		pthread_mutex_lock(&d->lock);
		if (r == 0)
			take_ids(d, &c);
		d->save_all = r < 0;
		pthread_mutex_unlock(&d->lock);
	}
	copies_free(&c);
	return r;
}
