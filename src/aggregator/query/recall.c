/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked again is not asked of the store (memo.h). A page that refreshes itself asks about a range that has moved
 * on by seconds, so an answer is kept of the range's middle, from one round time to another, and of its ends
 * by the second: which of those rows are in the range is seen here.
 *
 *	            from    round                          round    to
 *	    ┌╌╌╌╌╌╌╌╌├───────┼──────────────────────────────┼───────┤╌╌╌╌╌╌╌╌┐
 *	    └╌╌╌╌by second╌╌╌┘            middle            └╌╌╌by second╌╌╌╌┘
 *
 * Ends are kept once they would have been of use, unless they have too many rows.
 *
 * An answer which is kept lacks the rows that were stored since. Where there are some in its range, the store is asked
 * for those of the segments since, and they are added to it. */
#include "aggregator/query/plan.h"

/* Seconds: what arrives later than that, but for stragglers, is not of a middle. */
enum { LATE_S = 30 };

static int count_rows(void *rows, const struct ap_native_view *v)
{
	*(uint64_t *)rows += v->rows;
	return 0;
}

/* Asks for what an answer that is behind lacks. */
static int extend(struct ap_question *q, const struct ap_range *r, const struct ap_memo_key *key,
		  const struct ap_select *what, uint64_t upto)
{
	const struct ap_plan_rows since = {upto, AP_MEMO_ROWS_MAX};
	uint64_t rows = 0;
	struct ap_memo_copy copy = ap_memo_copy_of(q->e->memo, count_rows, &rows);
	int s = ap_plan_select_rows(q, r, what, &since, ap_memo_copy_block, &copy);

	if (s == 0)
		ap_memo_extend(q, key, upto, &copy, rows);
	ap_buf_free(&copy.blocks);
	return s;
}

/* As ap_memo_recall(), of an answer that may be behind. */
static int recall(struct ap_question *q, const struct ap_range *r, const struct ap_memo_key *key,
		  const struct ap_select *what, enum ap_memo_part part, ap_store_block_fn fn,
		  void *ctx)
{
	uint64_t upto;
	int s;

	if (ap_memo_get_state(q, key, &upto) == AP_MEMO_BEHIND) {
		s = ap_range_has_raw(q, r) ? extend(q, r, key, what, upto) : 0;
		if (s < 0)
			return s;
		part = AP_MEMO_EXTENDED;
	}
	return ap_memo_recall(q, key, part, fn, ctx);
}

/* All that is asked but the range. */
static void put_key(const struct ap_range *r, const struct ap_select *what, struct ap_buf *out)
{
	ap_buf_printf(out, "%d %u %s\n%.*s\n%.*s\n%.*s\n", what->family, r->grain, what->join ?: "",
		      AP_STR_ARG(what->columns), AP_STR_ARG(what->where), AP_STR_ARG(what->group));
	if (what->family == AP_ROLLUP_LEDGER)
		ap_filter_sql_hosts(r->filter, out);
	else
		ap_range_rows_sql(r, out);
}

/* Asks about a range and keeps the answer. */
static int select_and_keep(struct ap_question *q, const struct ap_range *r,
			   const struct ap_memo_key *key, const struct ap_select *what,
			   ap_store_block_fn fn, void *ctx)
{
	struct ap_memo_copy copy = ap_memo_copy_of(q->e->memo, fn, ctx);
	int m = ap_plan_select(q, r, what, ap_memo_copy_block, &copy);

	if (m == 0)
		ap_memo_keep(q, key, &copy);
	ap_buf_free(&copy.blocks);
	return m;
}

/* A range that moves on. */
struct moving {
	struct ap_question *q;
	const struct ap_range *r;
	const struct ap_select *what;
	struct ap_memo_key key;
	ap_store_block_fn fn;
	void *ctx;
	struct ap_range middle;
	uint32_t round; /* seconds */
};

/* The part of a range that is the same for a while as it moves on; false: none is worth it, or its ends
 * could not be asked for alone. */
static bool find_middle(struct moving *m)
{
	static const struct {
		uint32_t length, round;
	} steps[] = {{6 * 86400, 3600}, {3600, 300}, {600, 60}};
	const struct ap_range *r = m->r;
	size_t i = 0;

	if (r->grain || !ap_range_has_raw(m->q, r))
		return false;
	while (i < AP_ARRAY_SIZE(steps) && r->to - r->from < steps[i].length)
		i++;
	if (i == AP_ARRAY_SIZE(steps))
		return false;
	m->round = steps[i].round;
	m->middle = *r;
	m->middle.begun = true;
	m->middle.from = ap_ceil_to(r->from, m->round);
	m->middle.to = ap_floor_to(r->to - LATE_S, m->round);
	return true;
}

/* Rows that are of a time, not of a moment. */
static bool has_end(const struct ap_select *what)
{
	return what->family == AP_ROLLUP_LEDGER;
}

static int select_middle(struct moving *m)
{
	struct ap_memo_key key = {{0}, m->key.turn, m->middle.from, m->middle.to};
	_cleanup_buf_ struct ap_buf text = {0};
	int s;

	/* Batches that begin in a range are not those that overlap it. */
	ap_buf_printf(&text, "%.*s%s", AP_STR_ARG(m->key.text), has_end(m->what) ? " begun" : "");
	if (ap_buf_error(&text))
		return ap_question_no_memory(m->q);
	key.text = ap_buf_view(&text);
	s = recall(m->q, &m->middle, &key, m->what, AP_MEMO_MIDDLE, m->fn, m->ctx);
	if (s == 0)
		s = select_and_keep(m->q, &m->middle, &key, m->what, m->fn, m->ctx);
	return AP_MIN(s, 0);
}

/* A block function in front of another that hands on the rows of a range, without the times that tell. */
struct picker {
	const struct moving *m;
	uint32_t from, to;
	AP_VEC(uint32_t) rows;
	struct ap_native_view view;
};

static int pick_rows(void *ctx, const struct ap_native_view *v)
{
	struct picker *p = ctx;
	const struct moving *m = p->m;
	uint32_t times = has_end(m->what) ? 2 : 1;
	const struct ap_native_column *begins, *ends;

	if (v->n_columns <= times)
		return -EBADMSG;
	begins = &v->columns[v->n_columns - times];
	ends = &v->columns[v->n_columns - 1];
	p->rows.n = 0;
	if (ap_vec_reserve(&p->rows, v->rows) < 0)
		return ap_question_no_memory(m->q);
	for (uint32_t row = 0; row < v->rows; row++) {
		uint64_t second = ap_native_uint(begins, row);

		if (second < p->from || second >= p->to ||
		    (times == 2 && ap_native_uint(ends, row) <= m->r->from))
			continue;
		p->rows.p[p->rows.n++] = row;
	}
	if (p->rows.n == 0)
		return 0;
	if (ap_native_pick(v, v->n_columns - times, p->rows.p, p->rows.n, &p->view) < 0)
		return ap_question_no_memory(m->q);
	return m->fn(m->ctx, &p->view);
}

/* What is asked for by the second. */
struct by_second {
	struct ap_select what;
	struct ap_buf columns, group, text;
	struct ap_memo_key key;
};

static void by_second_free(struct by_second *b)
{
	ap_buf_free(&b->columns);
	ap_buf_free(&b->group);
	ap_buf_free(&b->text);
}

static int make_by_second(const struct moving *m, const struct ap_range *wide,
			  struct by_second *ret)
{
	bool has_two = has_end(m->what);

	*ret = (struct by_second){.what = *m->what};
	ap_buf_printf(&ret->columns, "%.*s, toUInt32(time) AS row_second%s",
		      AP_STR_ARG(m->what->columns), has_two ? ", toUInt32(until) AS row_end" : "");
	ap_buf_printf(&ret->group, "%.*s, row_second%s", AP_STR_ARG(m->what->group),
		      has_two ? ", row_end" : "");
	ap_buf_printf(&ret->text, "%.*s by second", AP_STR_ARG(m->key.text));
	ret->what.columns = ap_buf_view(&ret->columns);
	ret->what.group = ap_buf_view(&ret->group);
	ret->key = (struct ap_memo_key){ap_buf_view(&ret->text), m->key.turn, wide->from, wide->to};
	if (ap_buf_error(&ret->columns) || ap_buf_error(&ret->group) || ap_buf_error(&ret->text))
		return ap_question_no_memory(m->q);
	return 0;
}

/* Asks for the rows of a range with their times. Where they are not too many they are kept, and handed to the picker:
 * 1, else 0. */
static int keep_by_second(const struct by_second *b, const struct ap_range *wide, struct picker *p)
{
	const struct ap_plan_rows all = {.max_groups = AP_MEMO_ROWS_MAX};
	struct ap_question *q = p->m->q;
	uint64_t rows = 0;
	struct ap_memo_copy copy = ap_memo_copy_of(q->e->memo, count_rows, &rows);
	int s = ap_plan_select_rows(q, wide, &b->what, &all, ap_memo_copy_block, &copy);

	if (s == 0 && (copy.failed || rows > AP_MEMO_ROWS_MAX)) {
		ap_memo_set_state(q, &b->key, AP_MEMO_LARGE);
	} else if (s == 0) {
		s = ap_memo_hand_over(&copy, pick_rows, p, q->err);
		ap_memo_keep(q, &b->key, &copy);
		s = s < 0 ? s : 1;
	}
	ap_buf_free(&copy.blocks);
	return s;
}

/* Hands on the rows of [from, to), an end of the range that lies in `wide`: 1; 0: they are to be asked for. */
static int recall_end(struct moving *m, const struct ap_range *wide, uint32_t from, uint32_t to)
{
	struct picker p = {.m = m, .from = from, .to = to};
	struct by_second b;
	uint64_t upto;
	int s = make_by_second(m, wide, &b);

	if (s == 0) {
		switch (ap_memo_get_state(m->q, &b.key, &upto)) {
		case AP_MEMO_UNKNOWN:
			ap_memo_set_state(m->q, &b.key, AP_MEMO_MET);
			break;
		case AP_MEMO_MET:
			s = keep_by_second(&b, wide, &p);
			break;
		case AP_MEMO_LARGE:
			break;
		case AP_MEMO_BEHIND:
		case AP_MEMO_KEPT:
			s = recall(m->q, wide, &b.key, &b.what, AP_MEMO_END, pick_rows, &p);
		}
	}
	by_second_free(&b);
	ap_vec_free(&p.rows);
	ap_native_view_free(&p.view);
	return s;
}

static int select_ends(struct moving *m)
{
	struct ap_plan_gap gap = {.from = m->middle.from, .to = m->middle.to};
	uint32_t first = ap_plan_first(m->r, m->what), back = m->round + (m->r->from - first);
	struct ap_range left = m->middle, right = m->middle;
	int s = 1;

	left.to = m->middle.from;
	left.from = left.to > back ? left.to - back : 0;
	right.from = m->middle.to;
	right.to = right.from + (uint32_t)AP_MIN(m->round + LATE_S, UINT32_MAX - right.from);
	if (first < left.to)
		s = recall_end(m, &left, first, left.to);
	gap.left_out = s > 0;
	if (s >= 0)
		s = recall_end(m, &right, right.from, m->r->to);
	gap.right_out = s > 0;
	return s < 0 ? s : ap_plan_select_around(m->q, m->r, &gap, m->what, m->fn, m->ctx);
}

static int recall_or_select(struct moving *m)
{
	int s = recall(m->q, m->r, &m->key, m->what, AP_MEMO_ALL, m->fn, m->ctx);

	if (s != 0)
		return AP_MIN(s, 0);
	if (!ap_memo_asked(m->q->e->memo, &m->key) || !find_middle(m))
		return select_and_keep(m->q, m->r, &m->key, m->what, m->fn, m->ctx);
	s = select_middle(m);
	return s < 0 ? s : select_ends(m);
}

int ap_range_select(struct ap_question *q, const struct ap_range *r, const struct ap_select *what,
		    ap_store_block_fn fn, void *ctx)
{
	struct moving m = {.q = q, .r = r, .what = what, .fn = fn, .ctx = ctx};
	_cleanup_buf_ struct ap_buf text = {0};

	if (!ap_memo_applies(q, &m.key.turn))
		return ap_plan_select(q, r, what, fn, ctx);
	put_key(r, what, &text);
	if (ap_buf_error(&text))
		return ap_question_no_memory(q);
	m.key.text = ap_buf_view(&text);
	m.key.from = r->from;
	m.key.to = r->to;
	return recall_or_select(&m);
}
