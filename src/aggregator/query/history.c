/* SPDX-License-Identifier: Apache-2.0 */
/* What the store's ledger knows of each agent. */
#include "aggregator/query/internal.h"
#include "aggregator/store/schema.h"

struct reader {
	struct ap_agent_history h;
	char *agent, *host; /* of h; NULL: none yet */
	int (*fn)(void *ctx, const struct ap_agent_history *h);
	void *ctx;
};

static int give(struct reader *r)
{
	int m = r->agent ? r->fn(r->ctx, &r->h) : 0;

	free(AP_TAKE_PTR(r->agent));
	free(AP_TAKE_PTR(r->host));
	r->h = (struct ap_agent_history){0};
	return m;
}

static int begin_agent(struct reader *r, struct ap_str agent, struct ap_str host)
{
	int m = give(r);

	if (m < 0)
		return m;
	r->agent = ap_str_dup(agent);
	r->host = ap_str_dup(host);
	if (!r->agent || !r->host)
		return -ENOMEM;
	r->h.agent = (struct ap_str){r->agent, agent.n};
	r->h.host = (struct ap_str){r->host, host.n};
	r->h.first_seen_ms = INT64_MAX;
	return 0;
}

/* Rows (agent, kind, id, count, first, last, epoch, host), an agent's together. */
static int take_rows(void *ctx, const struct ap_native_view *v)
{
	struct reader *r = ctx;
	struct ap_agent_history *h = &r->h;

	if (v->n_columns != 8)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows; row++) {
		struct ap_str agent = ap_native_str(&v->columns[0], row);
		uint64_t id = ap_native_uint(&v->columns[2], row);
		uint64_t count = ap_native_uint(&v->columns[3], row);
		int m = 0;

		if (!r->agent || !ap_str_eq(agent, h->agent))
			m = begin_agent(r, agent, ap_native_str(&v->columns[7], row));
		if (m < 0)
			return m;
		h->first_seen_ms = AP_MIN(h->first_seen_ms,
					  (int64_t)ap_native_uint(&v->columns[4], row) * 1000);
		h->last_seen_ms = AP_MAX(h->last_seen_ms,
					 (int64_t)ap_native_uint(&v->columns[5], row) * 1000);
		h->epoch = AP_MAX(h->epoch, ap_native_uint(&v->columns[6], row));
		switch (ap_native_uint(&v->columns[1], row)) {
		case AP_LEDGER_ROW_LOSS:
			if (id < AP_LEDGER_MAX)
				h->ledger.count[id] += count;
			break;
		case AP_LEDGER_ROW_REASON:
			if (id < AP_REASONS_MAX)
				h->ledger.stacks[id] += count;
			break;
		case AP_LEDGER_ROW_BATCH:
			h->samples += count;
			break;
		}
	}
	return 0;
}

int ap_query_agents(struct ap_query_engine *e, int64_t from_ms,
		    int (*fn)(void *ctx, const struct ap_agent_history *h), void *ctx,
		    struct ap_error *err)
{
	struct ap_query of = {.source = AP_QUERY_STORE};
	_cleanup_question_ struct ap_question q = {0};
	struct reader reader = {.fn = fn, .ctx = ctx};
	_cleanup_buf_ struct ap_buf sql = {0};
	int r = ap_question_begin(&q, e, AP_QUERY_HISTORY, &of, err);

	if (r < 0 || !q.use_store)
		return r;
	ap_buf_printf(&sql,
		      "SELECT agent, kind, id, sum(count), min(time), max(until), max(epoch), "
		      "argMax(host, time) FROM ledger WHERE time >= %lld "
		      "GROUP BY agent, kind, id ORDER BY agent",
		      (long long)AP_MAX(from_ms / 1000, (int64_t)0));
	r = ap_question_select(&q, &sql, take_rows, &reader);
	if (r == 0)
		r = give(&reader);
	free(reader.agent);
	free(reader.host);
	return r;
}
