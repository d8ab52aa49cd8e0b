/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer rests on: who reported, what was lost, how complete the stacks are. */
#include <stdio.h>

#include "aggregator/ingest/agents.h"
#include "aggregator/query/internal.h"
#include "aggregator/store/schema.h"

struct hosts {
	struct ap_question *q;
	struct ap_intern *names;
	bool (*is_lost)(enum ap_ledger_id id);
	uint64_t lost;
};

static int add_host(struct hosts *h, struct ap_str host, uint64_t lost)
{
	_cleanup_buf_ struct ap_buf key = {0};
	uint32_t id;

	/* A leading byte, since the empty name counts as well. */
	ap_buf_byte(&key, 'h');
	ap_buf_str(&key, host);
	h->lost += lost;
	if (ap_buf_error(&key) || ap_intern_add(h->names, ap_buf_view(&key), &id, NULL) < 0)
		return ap_question_no_memory(h->q);
	return 0;
}

static int take_hosts(void *ctx, const struct ap_native_view *v)
{
	int r = 0;

	if (v->n_columns != 2)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows && r == 0; row++)
		r = add_host(ctx, ap_native_str(&v->columns[0], row),
			     ap_native_uint(&v->columns[1], row));
	return r;
}

static int take_batch(void *ctx, const struct ap_batch_meta *m)
{
	struct hosts *h = ctx;
	uint64_t lost = 0;

	for (uint32_t i = 0; i < ap_ledger_entry_count; i++)
		if (h->is_lost(ap_ledger_entries[i].id))
			lost += ap_ledger_get(&m->ledger, ap_ledger_entries[i].id);
	return add_host(h, ap_str_of(m->host), lost);
}

/* The rows of the range that no answer can tell of yet: samples, or system calls. */
static uint64_t count_hidden(const struct ap_question *q, const struct ap_range *r, bool calls)
{
	uint64_t rows = 0;

	for (size_t i = 0; i < q->hidden.n; i++) {
		const struct ap_batch *b = q->hidden.p[i];

		if (ap_store_second(b->max_time_ns) >= r->from &&
		    ap_store_second(b->min_time_ns) < r->to)
			rows += calls ? b->n_calls : b->n_rows;
	}
	return rows;
}

static int count_hosts(struct ap_question *q, const struct ap_range *r,
		       bool (*is_lost)(enum ap_ledger_id id), struct ap_coverage *c)
{
	_cleanup_(ap_cleanup_intern) struct ap_intern *names = ap_intern_new();
	struct hosts h = {.q = q, .names = names, .is_lost = is_lost};
	_cleanup_buf_ struct ap_buf columns = {0};
	struct ap_select what = {.family = AP_ROLLUP_LEDGER, .group = AP_STR("host")};
	const char *comma = "";
	int m = 0;

	*c = (struct ap_coverage){
		.complete_share = -1,
		.pending = count_hidden(q, r, is_lost == ap_ledger_is_lost_call),
		.from_ms = r->from * 1000ll,
		.to_ms = r->to * 1000ll,
		.resolution_s = AP_MAX(r->resolution, 1u),
		.unanswered_to_ms = r->unanswered_to * 1000ll,
	};
	if (!names)
		return ap_question_no_memory(q);
	if (q->use_store) {
		ap_buf_printf(&columns, "host, sumIf(count, kind = %d AND id IN (",
			      AP_LEDGER_ROW_LOSS);
		for (uint32_t i = 0; i < ap_ledger_entry_count; i++) {
			if (!is_lost(ap_ledger_entries[i].id))
				continue;
			ap_buf_printf(&columns, "%s%d", comma, (int)ap_ledger_entries[i].id);
			comma = ",";
		}
		ap_buf_puts(&columns, "))");
		what.columns = ap_buf_view(&columns);
		m = ap_buf_error(&columns) ? ap_question_no_memory(q)
					   : ap_range_select(q, r, &what, take_hosts, &h);
	}
	if (m == 0)
		m = ap_range_batches(q, r, take_batch, &h);
	c->hosts_reporting = c->hosts_expected = ap_intern_count(names) - 1;
	c->lost = h.lost;
	return m;
}

int ap_coverage_hosts(struct ap_question *q, const struct ap_range *r, struct ap_coverage *c)
{
	return count_hosts(q, r, ap_ledger_is_lost, c);
}

int ap_coverage_calls(struct ap_question *q, const struct ap_range *r, struct ap_coverage *c)
{
	return count_hosts(q, r, ap_ledger_is_lost_call, c);
}

static void add_reason(struct ap_coverage *c, uint32_t reason, uint64_t count)
{
	c->samples += count;
	c->reasons[AP_MIN(reason, (uint32_t)AP_REASONS_MAX - 1)] += count;
}

void ap_coverage_sums(struct ap_question *q, const struct ap_sums *s, struct ap_coverage *c)
{
	struct ap_dictionary *d = q->dictionary;

	pthread_rwlock_rdlock(&d->lock);
	for (size_t i = 0; i < s->v.n; i++)
		add_reason(c, d->known.p[s->v.p[i].stack].reason, s->v.p[i].count);
	pthread_rwlock_unlock(&d->lock);
	c->complete_share = ap_reason_complete_share(c->reasons);
}

static int take_reasons(void *ctx, const struct ap_native_view *v)
{
	if (v->n_columns != 2)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows; row++)
		add_reason(ctx, (uint32_t)ap_native_uint(&v->columns[0], row),
			   ap_native_uint(&v->columns[1], row));
	return 0;
}

static int take_row(void *ctx, size_t part, const struct ap_batch *b, const struct ap_sample *row)
{
	add_reason(ctx, ap_profile_get_stack(b->profile, row->stack).reason, row->count);
	return 0;
}

int ap_coverage_reasons(struct ap_question *q, const struct ap_range *r, struct ap_coverage *c)
{
	struct ap_select what = {.columns = AP_STR("reason, sum(count)"),
				 .group = AP_STR("reason")};
	char join[160];
	int m = 0;

	if (q->use_store) {
		/* What is not in the small table of stacks that end early has the default, 0. */
		_Static_assert(AP_REASON_OK == 0, "rows without a match are complete");
		snprintf(join, sizeof(join),
			 " ANY LEFT JOIN (SELECT id AS stack, reason FROM stacks WHERE day >= "
			 "toDate(%u) AND day <= toDate(%u) AND reason != 0) AS d USING stack",
			 r->from / 86400, r->to / 86400);
		what.join = join;
		m = ap_range_select(q, r, &what, take_reasons, c);
	}
	if (m == 0)
		m = ap_range_rows(q, r, take_row, c);
	c->complete_share = ap_reason_complete_share(c->reasons);
	return m;
}

void ap_coverage_expect_hosts(struct ap_agents *agents, const struct ap_query *q,
			      struct ap_coverage *cov)
{
	uint32_t reporting, expected;

	if (!agents)
		return;
	for (uint32_t i = 0; q->filter && i < q->filter->n; i++) {
		struct ap_str label = q->filter->matchers[i].label;

		/* Which of the silent ones the filter means is not known here. */
		if (ap_str_is(label, "host") || ap_str_is(label, "agent"))
			return;
	}
	ap_agents_hosts(agents, q->from_ms * 1000000, q->to_ms * 1000000, &reporting, &expected);
	cov->hosts_expected = AP_MAX(cov->hosts_expected, expected);
}
