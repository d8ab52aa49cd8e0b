/* SPDX-License-Identifier: Apache-2.0 */
/* Locks by how long threads waited for them, and who blocked whom. */
#include "aggregator/api/answer.h"

static void answer_waits(struct ap_buf *b, struct ap_waits w)
{
	ap_answer_u64(b, "count", w.count);
	ap_answer_u64(b, "ns", w.ns);
}

/* "key":{count, ns}; with a number of what they are the sum of, where `what` is given. */
static void answer_sum(struct ap_buf *b, const char *key, struct ap_waits w, const char *what,
		       uint32_t n)
{
	ap_answer_object(b, key);
	if (what)
		ap_answer_u64(b, what, n);
	answer_waits(b, w);
	ap_buf_byte(b, '}');
}

static void answer_lock(struct ap_buf *b, const struct ap_lock_row *l, struct ap_waits total)
{
	ap_answer_element(b);
	ap_answer_str(b, "service", l->service);
	ap_answer_str(b, "host", l->host);
	ap_answer_str(b, "pid", l->pid);
	ap_answer_str(b, "lock", l->lock);
	ap_answer_str(b, "kind", l->kind);
	ap_answer_str(b, "domain", ap_str_of(l->kernel ? "kernel" : "user"));
	ap_answer_str(b, "caller", l->caller);
	ap_answer_str(b, "place", l->place);
	ap_answer_bool(b, "contended", l->contended);
	answer_waits(b, l->waits);
	ap_answer_u64(b, "timeouts", l->timeouts);
	ap_answer_u64(b, "signals", l->signals);
	ap_answer_share(b, "share", total.ns ? (double)l->waits.ns / (double)total.ns : -1);
	ap_answer_u64(b, "waiters", l->waiters);
	ap_answer_u64(b, "wakers", l->wakers);
	ap_answer_str(b, "function", l->function);
	ap_answer_str(b, "module", l->module);
	ap_buf_byte(b, '}');
}

static void answer_pair(struct ap_buf *b, const struct ap_lock_pair *p)
{
	ap_answer_element(b);
	ap_answer_str(b, "service", p->service);
	ap_answer_str(b, "waiter", p->waiter);
	ap_answer_str(b, "waker", p->waker);
	answer_waits(b, p->waits);
	ap_buf_byte(b, '}');
}

static void answer_locks(struct ap_buf *b, const struct ap_locks *l)
{
	ap_answer_array(b, "locks");
	for (uint32_t i = 0; i < l->n; i++)
		answer_lock(b, &l->rows[i], l->total);
	ap_buf_byte(b, ']');
	ap_answer_array(b, "pairs");
	for (uint32_t i = 0; i < l->n_given_pairs; i++)
		answer_pair(b, &l->pairs[i]);
	ap_buf_byte(b, ']');
	answer_sum(b, "total", l->total, NULL, 0);
	answer_sum(b, "short", l->short_waits, NULL, 0);
	answer_sum(b, "not_contended", l->not_contended, NULL, 0);
	answer_sum(b, "other_locks", l->other, "locks", l->n_locks - l->n);
	answer_sum(b, "other_pairs", l->other_pairs, "pairs", l->n_pairs - l->n_given_pairs);
}

void ap_api_locks(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {"from", "to",	 "filter", "limit",
					    "sort", "contended", "domain", NULL};
	static const char *const sorts[] = {"ns", "count", NULL};
	static const char *const choices[] = {"false", "true", NULL};
	static const char *const domains[] = {"all", "user", "kernel", NULL};
	_cleanup_(ap_cleanup_locks) struct ap_locks *locks = NULL;
	_cleanup_answer_ struct ap_answer a = {0};
	struct ap_query *q = &a.selection.query;
	struct ap_locks_options o;
	unsigned int sort, contended, domain;
	uint64_t limit;
	int r;

	if (!ap_answer_ask(&a, req, ctx, names) ||
	    !ap_params_uint(&a.params, "limit", 1, 10000, 100, &limit) ||
	    !ap_params_choice(&a.params, "sort", sorts, &sort) ||
	    !ap_params_choice(&a.params, "contended", choices, &contended) ||
	    !ap_params_choice(&a.params, "domain", domains, &domain))
		return;
	q->type = ap_profile_type_find(AP_STR("lock:nanoseconds"));
	o = (struct ap_locks_options){.sort = sort ? AP_LOCKS_BY_COUNT : AP_LOCKS_BY_NS,
				      .limit = (uint32_t)limit,
				      .domain = (enum ap_locks_domain)domain,
				      .contended_only = contended};
	r = ap_query_locks(a.api->query, q, &o, &locks, &a.coverage, &a.err);
	if (!ap_answer_open(&a, r))
		return;
	ap_answer_selection(&a.b, q);
	answer_locks(&a.b, locks);
	ap_answer_close(&a);
}
