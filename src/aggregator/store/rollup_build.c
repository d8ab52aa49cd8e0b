/* SPDX-License-Identifier: Apache-2.0 */
/* One range of segments: where it ends, and the inserts that sum it up. */
#include <stdio.h>

#include "aggregator/store/rollup_internal.h"
#include "aggregator/store/sure_insert.h"

/* A range's rows before they are summed up, by level: what an insert's one block has room for. A
 * single segment may exceed it. */
static const uint64_t rows_max[AP_ROLLUP_LEVELS] = {0, 1000000, 4000000};
enum { SEGMENTS_MAX = 100000 };

/* The end of a range that was begun and not completed: its rows are beyond what is known. 0: none. */
static int find_begun(struct ap_rollup *r, enum ap_rollup_level level, uint64_t after,
		      uint64_t *ret, struct ap_error *err)
{
	uint64_t last = r->store->segment_base | AP_SEGMENT_NUMBER_MASK, end = 0;
	char sql[160];
	int m = 0;

	for (int f = 0; f < AP_ROLLUP_FAMILIES && m == 0; f++) {
		const struct ap_schema_table *t = ap_rollup_table((enum ap_rollup_family)f, level);
		uint64_t found = 0;

		if (!t)
			continue;
		snprintf(sql, sizeof(sql),
			 "SELECT min(segment) FROM %s WHERE segment > %llu AND segment <= %llu",
			 t->name, (unsigned long long)after, (unsigned long long)last);
		m = ap_store_query_uint(r->store, sql, &found, err);
		if (found && (end == 0 || found < end))
			end = found;
	}
	*ret = end;
	return m;
}

/* Segments in their order, until they have too many rows. */
struct chooser {
	uint64_t rows, rows_max;
	uint64_t end; /* the last one that is taken; 0: none */
	size_t seen;
	bool full;
};

static int take_segments(void *ctx, const struct ap_native_view *v)
{
	struct chooser *c = ctx;

	if (v->n_columns != 2)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows && !c->full; row++) {
		c->rows += ap_native_uint(&v->columns[1], row);
		c->full = c->end && c->rows > c->rows_max;
		if (!c->full)
			c->end = ap_native_uint(&v->columns[0], row);
		c->seen++;
	}
	return 0;
}

static int choose_end(struct ap_rollup *r, enum ap_rollup_level level, uint64_t after,
		      uint64_t upto, uint64_t *ret, struct ap_error *err)
{
	struct chooser c = {.rows_max = rows_max[level]};
	char sql[256];
	int m;

	snprintf(
		sql, sizeof(sql),
		"SELECT segment, count() FROM %s WHERE segment > %llu AND segment <= %llu GROUP BY "
		"segment ORDER BY segment LIMIT %d",
		ap_rollup_table(AP_ROLLUP_SAMPLES, level - 1)->name, (unsigned long long)after,
		(unsigned long long)upto, SEGMENTS_MAX);
	m = ap_store_query(r->store, ap_str_of(sql), NULL, take_segments, &c, err);
	*ret = c.full || c.seen == SEGMENTS_MAX ? c.end : upto;
	return m;
}

int ap_rollup_choose(struct ap_rollup *r, enum ap_rollup_level level, uint64_t after, uint64_t upto,
		     bool begun, uint64_t *ret, struct ap_error *err)
{
	uint64_t end = 0;
	int m = ap_store_settled(r->store, err);

	if (m == 0 && begun)
		m = find_begun(r, level, after, &end, err);
	if (m == 0 && end == 0)
		m = choose_end(r, level, after, upto, &end, err);
	if (m == 0)
		*ret = end;
	return m;
}

struct days {
	AP_VEC(uint32_t) list; /* begins, Unix seconds */
};

static int take_days(void *ctx, const struct ap_native_view *v)
{
	struct days *d = ctx;

	for (size_t row = 0; v->n_columns && row < v->rows; row++)
		if (ap_vec_push(&d->list, (uint32_t)ap_native_uint(&v->columns[0], row) *
						  ap_rollup_seconds[AP_ROLLUP_DAY]) < 0)
			return -ENOMEM;
	return 0;
}

/* The rows that one insert makes: those of a family, of a range, of a day. */
struct sums {
	const char *table;
	uint64_t segment;
	uint32_t day;
};

static int count_sums(struct ap_rollup *r, const struct sums *s, uint64_t *ret,
		      struct ap_error *err)
{
	char sql[192];

	snprintf(sql, sizeof(sql),
		 "SELECT count() FROM %s WHERE segment = %llu AND time >= %u AND time < %u",
		 s->table, (unsigned long long)s->segment, s->day,
		 s->day + ap_rollup_seconds[AP_ROLLUP_DAY]);
	return ap_store_query_uint(r->store, sql, ret, err);
}

/* Makes sure of rows that a cluster has just taken. A shard whose server that was asked for it has died may still be at
 * the same insert; its keeper then leaves one of the two out, and so it does where the shard has lost the rows. */
static int check_sums(struct ap_rollup *r, const struct sums *s, struct ap_str insert,
		      struct ap_error *err)
{
	uint64_t running = 0, rows = 0;
	char sql[256];
	int m = count_sums(r, s, &rows, err);

	if (m < 0 || rows)
		return m;
	snprintf(sql, sizeof(sql),
		 "SELECT count() FROM cluster('%s', system, processes) WHERE query LIKE "
		 "'INSERT INTO %s.%s" AP_SCHEMA_LOCAL "%%'",
		 r->store->cluster, r->store->database, s->table);
	m = ap_store_query_uint(r->store, sql, &running, err);
	if (m == 0 && running == 0)
		m = count_sums(r, s, &rows, err);
	if (m == 0 && running == 0 && rows == 0)
		m = ap_store_insert_select(r->store, insert, AP_STORE_ANEW, err);
	if (m == 0 && running == 0 && rows == 0)
		m = count_sums(r, s, &rows, err);
	if (m == 0 && rows == 0)
		m = ap_error_set(err, -EBUSY,
				 "the cluster has taken rows of %s and does not have them yet",
				 s->table);
	return m;
}

/* Sums on their way, for ap_insert_make_sure(). */
struct sent {
	struct ap_rollup *r;
	const struct sums *sums;
	struct ap_str insert;
};

static int count_sent(void *ctx, uint64_t *ret, struct ap_error *err)
{
	const struct sent *s = ctx;
	int m = ap_store_settled(s->r->store, err);

	return m < 0 ? m : count_sums(s->r, s->sums, ret, err);
}

static int send_by_name(void *ctx, const char *name, struct ap_error *err)
{
	const struct sent *s = ctx;

	return ap_store_insert_select(s->r->store, s->insert, name, err);
}

/* At a server that may remember an insert which has failed, or still be at one that was given up. The same sums may come
 * in another order, so it is their name that the server is to know them by. */
static int insert_surely(struct ap_rollup *r, const struct sums *s, struct ap_str insert,
			 struct ap_error *err)
{
	struct sent sent = {r, s, insert};
	char what[128], name[96];
	int m;

	snprintf(what, sizeof(what), "sums up to segment %llu of %s",
		 (unsigned long long)s->segment, s->table);
	snprintf(name, sizeof(name), "aperture-%s-%llu-%u", s->table,
		 (unsigned long long)s->segment, s->day);
	m = send_by_name(&sent, name, err);
	return m < 0 ? m
		     : ap_insert_make_sure(&(struct ap_sure_insert){.count = count_sent,
								    .insert = send_by_name,
								    .ctx = &sent,
								    .what = what,
								    .name = name},
					   err);
}

/* One insert, unless its rows are there already. */
static int build_day(struct ap_rollup *r, enum ap_rollup_family f, enum ap_rollup_level level,
		     const struct ap_rollup_range *range, uint32_t day, struct ap_error *err)
{
	const struct sums s = {ap_rollup_table(f, level)->name, range->to, day};
	_cleanup_buf_ struct ap_buf insert = {0};
	bool cluster = r->store->cluster;
	uint64_t rows = 0;
	int m = count_sums(r, &s, &rows, err);

	if (m < 0 || rows)
		return m;
	ap_rollup_sql(f, level, range, day, cluster, &insert);
	if (ap_buf_error(&insert) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	if (ap_store_remembers(r->store))
		return insert_surely(r, &s, ap_buf_view(&insert), err);
	m = ap_store_insert_select(r->store, ap_buf_view(&insert), NULL, err);
	return m == 0 && cluster ? check_sums(r, &s, ap_buf_view(&insert), err) : m;
}

static int build_family(struct ap_rollup *r, enum ap_rollup_family f, enum ap_rollup_level level,
			const struct ap_rollup_range *range, struct ap_held_days *ret,
			struct ap_error *err)
{
	struct days days = {0};
	char sql[256];
	int m;

	if (!ap_rollup_table(f, level))
		return 0;
	snprintf(sql, sizeof(sql),
		 "SELECT DISTINCT intDiv(toUInt32(time), %u) FROM %s WHERE segment > %llu AND "
		 "segment <= %llu",
		 ap_rollup_seconds[AP_ROLLUP_DAY], ap_rollup_table(f, level - 1)->name,
		 (unsigned long long)range->after, (unsigned long long)range->to);
	m = ap_store_query(r->store, ap_str_of(sql), NULL, take_days, &days, err);
	AP_VEC_FOREACH(&days.list, day) {
		if (m == 0)
			m = build_day(r, f, level, range, *day, err);
		if (m == 0 && ap_vec_push(&ret->v, ((struct ap_held_day){f, *day, false})) < 0)
			m = ap_error_set(err, -ENOMEM, "out of memory");
	}
	ap_vec_free(&days.list);
	return m;
}

int ap_rollup_build(struct ap_rollup *r, enum ap_rollup_level level,
		    const struct ap_rollup_range *range, struct ap_held_days *ret,
		    struct ap_error *err)
{
	/* An insert that still runs would come after its rows have been looked for. */
	int m = ap_store_settled(r->store, err);

	ret->v.n = 0;
	for (int f = 0; f < AP_ROLLUP_FAMILIES && m == 0; f++)
		m = build_family(r, (enum ap_rollup_family)f, level, range, ret, err);
	return m;
}
