/* SPDX-License-Identifier: Apache-2.0 */
/* Which tables a question reads. Whole hours and days of a range come from the rollups as far as those
 * are built (store/rollup.h), its ends and what is not summed up yet from the rows themselves:
 *
 *	        from   hour          day                day       hour   to
 *	built:   |─raw──|────hours────|────────days───────|──hours──|─raw─|
 *	others:  |──────────────────────────raw──────────────────────────|
 *
 * so the answer is the same to the sample. Hours alone are only read of a range that is long, where they are
 * far less rows than what they sum up, or nothing else is left. Where a question tells apart what rollups do not, a label
 * or steps shorter than an hour, all of it is raw. */
#include "aggregator/query/plan.h"

#include "base/clock.h"

enum { LONG_S = 12 * 3600, SHORT_S = 2 * 3600 };

/* The length of the shortest buckets that are kept of all time from a second on. */
static uint32_t resolution_at(const struct ap_question *q, uint32_t second)
{
	const uint32_t *whole_from = q->rollups.whole_from;

	if (second >= whole_from[AP_ROLLUP_RAW])
		return ap_rollup_seconds[AP_ROLLUP_RAW];
	if (second >= whole_from[AP_ROLLUP_HOUR])
		return ap_rollup_seconds[AP_ROLLUP_HOUR];
	return ap_rollup_seconds[AP_ROLLUP_DAY];
}

bool ap_range_has_raw(const struct ap_question *q, const struct ap_range *r)
{
	return resolution_at(q, r->from) == ap_rollup_seconds[AP_ROLLUP_RAW];
}

void ap_range_need(struct ap_range *r, struct ap_str label)
{
	r->fine |= !ap_rollup_keeps_label(label);
}

uint32_t ap_range_step(const struct ap_question *q, const struct ap_range *r, uint32_t step)
{
	return r->fine ? step : ap_ceil_to(step, resolution_at(q, r->from));
}

void ap_range_settle(const struct ap_question *q, struct ap_range *r)
{
	enum ap_rollup_level least = r->fine ? AP_ROLLUP_RAW : AP_ROLLUP_DAY;
	uint32_t gone = q->rollups.whole_from[least];

	r->resolution = ap_rollup_seconds[AP_ROLLUP_RAW];
	if (r->from < gone && r->from < r->to)
		r->unanswered_to = AP_MIN(gone, r->to);
	if (r->fine || r->from >= r->to)
		return;
	r->resolution = resolution_at(q, r->from);
	r->to = ap_ceil_to(r->to, resolution_at(q, r->to - 1));
	r->from = ap_floor_to(r->from, r->resolution);
}

/* A range laid over the levels; empty spans where one is not used. */
struct spans {
	uint32_t hour_from, hour_to, day_from, day_to;
};

static bool is_built(const struct ap_question *q, enum ap_rollup_level level)
{
	AP_VEC_FOREACH(&q->rollups.writers, w)
		if (w->upto[level] > w->base)
			return true;
	return false;
}

/* Whether hours are worth a SELECT more, where there is no day to go with them. */
static bool hours_help(const struct ap_question *q, const struct ap_range *r,
		       enum ap_rollup_family family)
{
	if (!ap_range_has_raw(q, r))
		return true;
	return r->to - r->from >= LONG_S && q->rollups.hours_pay[family];
}

static struct spans spans_of(const struct ap_question *q, const struct ap_range *r,
			     enum ap_rollup_family family)
{
	uint32_t hour = ap_rollup_seconds[AP_ROLLUP_HOUR], day = ap_rollup_seconds[AP_ROLLUP_DAY];
	/* The ledger has no labels to lose. */
	bool fine = r->fine && family != AP_ROLLUP_LEDGER;
	struct spans s = {0};

	if (fine || r->grain % hour || !is_built(q, AP_ROLLUP_HOUR))
		return s;
	s.hour_from = ap_ceil_to(r->from, hour);
	s.hour_to = ap_floor_to(r->to, hour);
	if (s.hour_from >= s.hour_to)
		return (struct spans){0};
	s.day_from = ap_ceil_to(r->from, day);
	s.day_to = ap_floor_to(r->to, day);
	if (r->grain % day || s.day_from >= s.day_to || !is_built(q, AP_ROLLUP_DAY) ||
	    !ap_rollup_table(family, AP_ROLLUP_DAY))
		s.day_from = s.day_to = 0;
	if (s.day_from == s.day_to && !hours_help(q, r, family))
		return (struct spans){0};
	return s;
}

/* A statement, one SELECT a level and kind of segments. */
struct statement {
	struct ap_question *q;
	const struct ap_range *r;
	const struct ap_select *what;
	struct ap_buf sql;
};

/* Begins a SELECT of [from, to). */
static void begin(struct statement *s, enum ap_rollup_level level, uint32_t from, uint32_t to)
{
	ap_buf_printf(&s->sql, "%sSELECT %.*s FROM %s%s WHERE time >= %u AND time < %u",
		      s->sql.n ? " UNION ALL " : "", AP_STR_ARG(s->what->columns),
		      ap_rollup_table(s->what->family, level)->name, s->what->join ?: "", from, to);
	if (s->what->family == AP_ROLLUP_LEDGER && !s->r->begun)
		ap_buf_printf(&s->sql, " AND until > %u", s->r->from);
}

static void end(struct statement *s)
{
	if (s->what->family == AP_ROLLUP_LEDGER)
		ap_filter_sql_hosts(s->r->filter, &s->sql);
	else
		ap_range_rows_sql(s->r, &s->sql);
	ap_buf_str(&s->sql, s->what->where);
	ap_buf_printf(&s->sql, " GROUP BY %.*s", AP_STR_ARG(s->what->group));
}

static void put_done(struct statement *s, const char *before, enum ap_rollup_level level)
{
	ap_buf_puts(&s->sql, before);
	ap_rollup_done_sql(&s->q->rollups, level, &s->sql);
}

static void put_all(struct statement *s, uint32_t raw_from, const struct spans *p)
{
	bool days = p->day_from < p->day_to;

	begin(s, AP_ROLLUP_RAW, raw_from, s->r->to);
	ap_question_segments_sql(s->q, &s->sql);
	if (p->hour_from == p->hour_to) {
		end(s);
		return;
	}
	put_done(s, " AND NOT ", AP_ROLLUP_HOUR);
	end(s);
	if (raw_from < p->hour_from || p->hour_to < s->r->to) {
		begin(s, AP_ROLLUP_RAW, raw_from, s->r->to);
		ap_buf_printf(&s->sql, " AND (time < %u OR time >= %u)", p->hour_from, p->hour_to);
		put_done(s, " AND ", AP_ROLLUP_HOUR);
		end(s);
	}
	begin(s, AP_ROLLUP_HOUR, p->hour_from, p->hour_to);
	put_done(s, " AND ", AP_ROLLUP_HOUR);
	if (days) {
		ap_buf_printf(&s->sql, " AND (time < %u OR time >= %u", p->day_from, p->day_to);
		put_done(s, " OR NOT ", AP_ROLLUP_DAY);
		ap_buf_byte(&s->sql, ')');
	}
	end(s);
	if (!days)
		return;
	begin(s, AP_ROLLUP_DAY, p->day_from, p->day_to);
	put_done(s, " AND ", AP_ROLLUP_DAY);
	end(s);
}

/* A service's last hours are a few granules, and the ledger is small. */
static unsigned int threads_for(const struct ap_range *r, const struct ap_select *what)
{
	if (what->family == AP_ROLLUP_LEDGER)
		return 1;
	for (uint32_t i = 0; r->filter && i < r->filter->n; i++) {
		const struct ap_matcher *m = &r->filter->matchers[i];

		if (m->op == AP_FILTER_EQ && ap_str_is(m->label, "service"))
			return r->to - r->from <= SHORT_S ? 1 : 0;
	}
	return 0;
}

static int run(struct statement *s, uint64_t max_groups, ap_store_block_fn fn, void *ctx)
{
	const struct ap_select_bounds bounds = {threads_for(s->r, s->what), max_groups};
	int m = ap_question_select_within(s->q, &bounds, &s->sql, fn, ctx);

	ap_buf_free(&s->sql);
	return m;
}

uint32_t ap_plan_first(const struct ap_range *r, const struct ap_select *what)
{
	if (what->family != AP_ROLLUP_LEDGER || r->begun)
		return r->from;
	return r->from > AP_BATCH_SECONDS_MAX ? r->from - AP_BATCH_SECONDS_MAX : 0;
}

int ap_plan_select(struct ap_question *q, const struct ap_range *r, const struct ap_select *what,
		   ap_store_block_fn fn, void *ctx)
{
	struct spans spans = spans_of(q, r, what->family);
	struct statement s = {.q = q, .r = r, .what = what};

	put_all(&s, ap_plan_first(r, what), &spans);
	return run(&s, 0, fn, ctx);
}

int ap_plan_select_around(struct ap_question *q, const struct ap_range *r,
			  const struct ap_plan_gap *gap, const struct ap_select *what,
			  ap_store_block_fn fn, void *ctx)
{
	uint32_t from = gap->left_out ? gap->to : ap_plan_first(r, what);
	uint32_t to = gap->right_out ? gap->from : r->to;
	struct statement s = {.q = q, .r = r, .what = what};

	if (from >= to || (from == gap->from && to == gap->to))
		return 0;
	begin(&s, AP_ROLLUP_RAW, from, to);
	ap_buf_printf(&s.sql, " AND (time < %u OR time >= %u)", gap->from, gap->to);
	ap_question_segments_sql(q, &s.sql);
	end(&s);
	return run(&s, 0, fn, ctx);
}

int ap_plan_select_rows(struct ap_question *q, const struct ap_range *r,
			const struct ap_select *what, const struct ap_plan_rows *rows,
			ap_store_block_fn fn, void *ctx)
{
	struct statement s = {.q = q, .r = r, .what = what};

	begin(&s, AP_ROLLUP_RAW, ap_plan_first(r, what), r->to);
	if (rows->after)
		ap_buf_printf(&s.sql, " AND segment > %llu AND segment <= %llu",
			      (unsigned long long)rows->after, (unsigned long long)q->watermark);
	else
		ap_question_segments_sql(q, &s.sql);
	end(&s);
	return run(&s, rows->max_groups, fn, ctx);
}
