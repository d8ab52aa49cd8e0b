/* SPDX-License-Identifier: Apache-2.0 */
/* The engine, its permits, and what every question needs: bounds, snapshot, ranges. */
#include "aggregator/query/internal.h"
#include "base/clock.h"

#define WAIT_DEFAULT	   (5 * AP_NSEC_PER_SEC)
#define TIMEOUT_DEFAULT	   (30 * AP_NSEC_PER_SEC)
#define MEMORY_DEFAULT	   (512ull << 20)
#define DICTIONARY_DEFAULT (256ull << 20)
#define MEMO_DEFAULT	   (32ull << 20)
enum { CONCURRENT_DEFAULT = 4, WAITING_DEFAULT = 16 };

int ap_query_engine_new(const struct ap_query_engine_options *o, struct ap_query_engine **ret)
{
	struct ap_query_engine *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->o = *o;
	e->o.max_concurrent = o->max_concurrent ?: CONCURRENT_DEFAULT;
	e->o.max_waiting = o->max_waiting ?: WAITING_DEFAULT;
	e->o.max_wait_ns = o->max_wait_ns ?: WAIT_DEFAULT;
	e->o.timeout_ns = o->timeout_ns ?: TIMEOUT_DEFAULT;
	e->o.max_memory = o->max_memory ?: MEMORY_DEFAULT;
	e->o.max_dictionary = o->max_dictionary ?: DICTIONARY_DEFAULT;
	e->dictionary = ap_dictionary_new();
	e->memo = ap_memo_new(o->max_memo ?: MEMO_DEFAULT);
	if (!e->dictionary || !e->memo) {
		ap_dictionary_unref(e->dictionary);
		ap_memo_free(e->memo);
		free(e);
		return -ENOMEM;
	}
	pthread_mutex_init(&e->lock, NULL);
	ap_query_guard_init(&e->guard, &e->o);
	*ret = e;
	return 0;
}

void ap_query_engine_stop(struct ap_query_engine *e)
{
	atomic_store(&e->stopping, true);
}

void ap_query_engine_free(struct ap_query_engine *e)
{
	if (!e)
		return;
	ap_dictionary_unref(e->dictionary);
	ap_memo_free(e->memo);
	pthread_mutex_destroy(&e->lock);
	ap_query_guard_destroy(&e->guard);
	free(e);
}

void ap_query_engine_get_stats(struct ap_query_engine *e, struct ap_query_stats *ret)
{
	pthread_mutex_lock(&e->guard.lock);
	*ret = e->guard.stats;
	pthread_mutex_unlock(&e->guard.lock);
	ap_memo_get_stats(e->memo, ret);
}

/* Takes the dictionary: a new one where it has grown too large or out of date. */
static struct ap_dictionary *take_dictionary(struct ap_query_engine *e)
{
	struct ap_dictionary *fresh, *taken;

	pthread_mutex_lock(&e->lock);
	if (e->renamed || ap_dictionary_bytes(e->dictionary) > e->o.max_dictionary) {
		fresh = ap_dictionary_new();
		if (fresh) {
			ap_dictionary_unref(e->dictionary);
			e->dictionary = fresh;
			e->renamed = false;
		}
	}
	taken = ap_dictionary_ref(e->dictionary);
	pthread_mutex_unlock(&e->lock);
	return taken;
}

/* Leaves out parts up to a segment. */
static void skip_parts(struct ap_batch_list *parts, uint64_t upto)
{
	size_t n = 0;

	for (size_t i = 0; i < parts->n; i++) {
		if (parts->p[i]->segment > upto)
			parts->p[n++] = parts->p[i];
		else
			ap_batch_unref(parts->p[i]);
	}
	parts->n = n;
}

/* What is summed up is stored, whether or not the buffer knows that after a restart. */
static void skip_built(struct ap_question *q)
{
	uint64_t built = 0;

	AP_VEC_FOREACH(&q->rollups.writers, w)
		if (w->base == q->e->o.store->segment_base)
			built = w->upto[AP_ROLLUP_HOUR];
	if (built <= q->watermark)
		return;
	q->watermark = built;
	skip_parts(&q->parts, built);
	skip_parts(&q->hidden, built);
}

/* What the buffer holds for a question. */
static int take_parts(struct ap_question *q, const struct ap_query *of)
{
	struct ap_buffer *buffer = q->e->o.buffer;
	int r = 0;

	if (buffer && of->source == AP_QUERY_BUFFER)
		r = ap_buffer_recent(buffer, NULL, &q->parts, &q->hidden);
	else if (buffer)
		r = ap_buffer_snapshot(buffer, &q->watermark, &q->parts, &q->hidden);
	if (r == 0 && buffer && q->use_store)
		skip_built(q);
	if (of->source == AP_QUERY_STORE) {
		ap_batch_list_free(&q->parts);
		ap_batch_list_free(&q->hidden);
	}
	return r;
}

int ap_question_begin(struct ap_question *q, struct ap_query_engine *e, enum ap_query_kind kind,
		      const struct ap_query *of, struct ap_error *err)
{
	int r;

	*q = (struct ap_question){.e = e,
				  .kind = kind,
				  .cancel = of->cancel ?: &e->stopping,
				  .start = ap_clock_mono_ns()};
	q->err = err ?: &q->own_err;
	q->err->code = 0;
	r = ap_query_guard_enter(&e->guard, q->cancel, q->err);
	if (r < 0)
		return r;
	q->entered = true;
	q->dictionary = take_dictionary(e);
	q->deadline = ap_clock_mono_ns() + e->o.timeout_ns;
	q->use_store = e->o.store && of->source != AP_QUERY_BUFFER;
	q->has_watermark = e->o.buffer != NULL;
	/* Before the buffer is: its watermark is not behind then. */
	if (q->use_store && e->o.rollup)
		r = ap_rollup_get_view(e->o.rollup, &q->rollups, q->err);
	if (r < 0)
		return r;
	r = take_parts(q, of);
	if (r == 0) {
		q->identities = calloc(q->parts.n + 1, sizeof(struct ap_identity *));
		r = q->identities ? 0 : -ENOMEM;
	}
	return r < 0 ? ap_question_no_memory(q) : 0;
}

void ap_question_end(struct ap_question *q)
{
	for (size_t i = 0; q->identities && i < q->parts.n; i++) {
		/* Parts of one batch share theirs: the first owns it. */
		if (!q->identities[i] || (i && q->identities[i] == q->identities[i - 1]))
			continue;
		ap_identity_free(q->identities[i]);
		free(q->identities[i]);
	}
	free(q->identities);
	ap_batch_list_free(&q->parts);
	ap_batch_list_free(&q->hidden);
	ap_rollup_view_free(&q->rollups);
	ap_dictionary_unref(q->dictionary);
	if (q->entered)
		ap_query_guard_leave(&q->e->guard);
	if (q->e)
		ap_query_guard_count(&q->e->guard, q->kind, q->err->code,
				     ap_clock_mono_ns() - q->start);
	*q = (struct ap_question){0};
}

int ap_question_no_memory(struct ap_question *q)
{
	return ap_error_set(
		q->err, -ENOMEM,
		"the query needs more memory than it may take: narrow the time range or "
		"the filter");
}

static int took_too_long(struct ap_question *q)
{
	return ap_error_set(q->err, -ETIMEDOUT,
			    "the query took too long: narrow the time range or the filter");
}

int ap_question_check(struct ap_question *q)
{
	if (q->cancel && atomic_load(q->cancel))
		return ap_error_set(q->err, -ECANCELED, "the query was cancelled");
	return ap_clock_mono_ns() >= q->deadline ? took_too_long(q) : 0;
}

/* A store that was away may lack what it had until that is stored again (store/hold.h); it may have been away before
 * the question, or within it. */
static int ask_surely(struct ap_store *s, struct ap_str sql, const struct ap_store_limits *limits,
		      ap_store_block_fn fn, void *ctx, struct ap_error *err)
{
	unsigned int connects = atomic_load(&s->connects);
	bool doubt = ap_store_in_doubt(s);
	int r = ap_store_query(s, sql, limits, fn, ctx, err);

	doubt |= atomic_load(&s->holding) && atomic_load(&s->connects) != connects;
	if (r == 0 && doubt)
		r = ap_error_set(err, -ENOTCONN, AP_STORE_DOUBT ": ask again in a moment");
	return r;
}

int ap_question_select(struct ap_question *q, struct ap_buf *sql, ap_store_block_fn fn, void *ctx)
{
	static const struct ap_select_bounds none;

	return ap_question_select_within(q, &none, sql, fn, ctx);
}

int ap_question_select_within(struct ap_question *q, const struct ap_select_bounds *bounds,
			      struct ap_buf *sql, ap_store_block_fn fn, void *ctx)
{
	struct ap_store_limits limits = {
		.max_memory = q->e->o.max_memory,
		.max_rows = AP_QUERY_ROWS_MAX,
		.cancel = q->cancel,
		.max_threads = bounds->threads,
		.max_groups = bounds->groups,
	};
	int r = ap_question_check(q);

	if (r < 0)
		return r;
	if (ap_buf_error(sql))
		return ap_question_no_memory(q);
	limits.timeout_ns = AP_MAX(q->deadline, ap_clock_mono_ns() + 1) - ap_clock_mono_ns();
	if (limits.timeout_ns > q->e->o.timeout_ns)
		limits.timeout_ns = AP_NSEC_PER_MSEC;
	r = ask_surely(q->e->o.store, ap_buf_view(sql), &limits, fn, ctx, q->err);
	/* Which part of it did not answer in time does not help the asker. */
	if (r == -ETIMEDOUT)
		return took_too_long(q);
	/* A block that is not what was asked for: fn() has no words for it. */
	if (r < 0 && q->err->code == 0)
		ap_error_set(q->err, r, "the store's answer cannot be read: %s", ap_strerror(r));
	return r;
}

struct part {
	struct ap_question q;
	struct ap_error err;
	ap_part_fn run;
	void *ctx;
	int result;
};

static void *run_part(void *arg)
{
	struct part *p = arg;

	p->result = p->run(&p->q, p->ctx);
	return NULL;
}

int ap_question_both(struct ap_question *q, ap_part_fn a, void *ctx_a, ap_part_fn b, void *ctx_b)
{
	struct part p = {.q = *q, .run = b, .ctx = ctx_b};
	pthread_t thread;
	bool started;
	int r;

	q->err->code = 0;
	p.q.err = &p.err;
	/* Without a store there is nothing to wait for; without a thread it takes longer. */
	started = q->use_store && pthread_create(&thread, NULL, run_part, &p) == 0;
	r = a(q, ctx_a);
	if (started)
		pthread_join(thread, NULL);
	else if (r == 0)
		run_part(&p);
	if (r == 0 && p.result < 0) {
		*q->err = p.err;
		r = p.result;
	}
	return r;
}

const struct ap_identity *ap_question_identity(struct ap_question *q, size_t part)
{
	struct ap_identity *id;

	if (q->identities[part])
		return q->identities[part];
	if (part && q->parts.p[part]->profile == q->parts.p[part - 1]->profile &&
	    q->identities[part - 1]) {
		q->identities[part] = q->identities[part - 1];
		return q->identities[part];
	}
	id = calloc(1, sizeof(*id));
	if (!id || ap_identity_of(q->parts.p[part]->profile, id) < 0) {
		free(id);
		return NULL;
	}
	q->identities[part] = id;
	return id;
}

static uint32_t second_from_ms(int64_t ms)
{
	/* Rounded up: a second belongs to the range that its beginning lies in. */
	if (ms <= 0)
		return 0;
	if (ms > (int64_t)UINT32_MAX * 1000)
		return UINT32_MAX;
	return (uint32_t)((ms + 999) / 1000);
}

struct ap_range ap_range_of(const struct ap_query *q)
{
	struct ap_range r = {
		.from = second_from_ms(q->from_ms),
		.to = second_from_ms(q->to_ms),
		.events = q->type ? q->type->events : 0,
		.is_value = q->type && q->type->is_value,
		.filter = q->filter,
	};

	for (uint32_t i = 0; q->filter && i < q->filter->n; i++)
		ap_range_need(&r, q->filter->matchers[i].label);
	return r;
}

const char *ap_range_column(const struct ap_range *r)
{
	return r->is_value ? "value" : "count";
}

static void events_sql(uint32_t events, struct ap_buf *sql)
{
	bool one = (events & (events - 1)) == 0; /* a comparison costs the engine less than a set */
	const char *separator = one ? " AND event = " : " AND event IN (";

	for (uint32_t e = 0; e < AP_EVENT_MAX; e++) {
		if (!(events & AP_EVENT_BIT(e)))
			continue;
		ap_buf_printf(sql, "%s%u", separator, e);
		separator = ", ";
	}
	if (!one)
		ap_buf_byte(sql, ')');
}

/* What is stored of the snapshot: this writer's segments up to the watermark, and others' segments,
 * which no buffer here holds. */
void ap_question_segments_sql(const struct ap_question *q, struct ap_buf *sql)
{
	uint64_t next_writer = (q->watermark | AP_SEGMENT_NUMBER_MASK) + 1;

	if (q->has_watermark)
		ap_buf_printf(sql, " AND (segment <= %llu OR segment >= %llu)",
			      (unsigned long long)q->watermark, (unsigned long long)next_writer);
}

void ap_range_rows_sql(const struct ap_range *r, struct ap_buf *sql)
{
	if (r->events)
		events_sql(r->events, sql);
	ap_filter_sql(r->filter, sql);
}

void ap_range_sql(const struct ap_question *q, const struct ap_range *r, struct ap_buf *sql)
{
	ap_buf_printf(sql, " WHERE time >= %u AND time < %u", r->from, r->to);
	ap_question_segments_sql(q, sql);
	ap_range_rows_sql(r, sql);
}

struct label_source {
	const struct ap_batch *b;
	uint32_t set;
};

static struct ap_str label_of(void *ctx, struct ap_str key)
{
	const struct label_source *s = ctx;

	return ap_batch_label(s->b, s->set, key);
}

/* Whether a label set is selected: 0 or 1, remembered in `known` as 1 + that. */
static int set_selected(struct ap_question *q, const struct ap_range *r, const struct ap_batch *b,
			uint32_t set, uint8_t *known)
{
	struct label_source source = {b, set};
	int m;

	if (!known[set]) {
		m = ap_filter_match(r->filter, label_of, &source);
		if (m == -E2BIG)
			return ap_error_set(
				q->err, m,
				"the filter's regular expression takes too long: make it "
				"simpler");
		if (m < 0)
			return ap_question_no_memory(q);
		known[set] = (uint8_t)(1 + m);
	}
	return known[set] - 1;
}

static int part_rows(struct ap_question *q, const struct ap_range *r, size_t part, ap_row_fn fn,
		     void *ctx)
{
	const struct ap_batch *b = q->parts.p[part];
	const struct ap_sample *row = b->profile->samples.p + b->first_row;
	_cleanup_free_ uint8_t *known = calloc(ap_intern_count(b->profile->label_sets), 1);
	int m;

	if (!known)
		return ap_question_no_memory(q);
	for (const struct ap_sample *end = row + b->n_rows; row < end; row++) {
		uint32_t second = ap_store_second(row->time_ns);

		if (second < r->from || second >= r->to)
			continue;
		if (r->events && !(r->events & AP_EVENT_BIT(row->event)))
			continue;
		m = set_selected(q, r, b, row->labels, known);
		if (m > 0)
			m = fn(ctx, part, b, row);
		if (m < 0)
			return m;
	}
	return 0;
}

int ap_range_rows(struct ap_question *q, const struct ap_range *r, ap_row_fn fn, void *ctx)
{
	for (size_t i = 0; i < q->parts.n; i++) {
		const struct ap_batch *b = q->parts.p[i];
		int m = ap_question_check(q);

		if (m == 0 && b->n_rows && ap_store_second(b->max_time_ns) >= r->from &&
		    ap_store_second(b->min_time_ns) < r->to)
			m = part_rows(q, r, i, fn, ctx);
		if (m < 0)
			return m;
	}
	return 0;
}

int ap_range_syscalls(struct ap_question *q, const struct ap_range *r, ap_syscall_row_fn fn,
		      void *ctx)
{
	for (size_t i = 0; i < q->parts.n; i++) {
		const struct ap_batch *b = q->parts.p[i];
		_cleanup_free_ uint8_t *known = NULL;
		int m = ap_question_check(q);

		if (m == 0 && b->n_calls == 0)
			continue;
		known = calloc(ap_intern_count(b->profile->label_sets), 1);
		if (m == 0 && !known)
			m = ap_question_no_memory(q);
		for (size_t k = 0; m >= 0 && k < b->n_calls; k++) {
			const struct ap_syscall *row = &b->profile->syscalls.p[b->first_call + k];
			uint32_t second = ap_store_second(row->time_ns);

			if (second < r->from || second >= r->to)
				continue;
			m = set_selected(q, r, b, row->labels, known);
			if (m > 0)
				m = fn(ctx, b, row);
		}
		if (m < 0)
			return m;
	}
	return 0;
}

int ap_range_batches(struct ap_question *q, const struct ap_range *r,
		     int (*fn)(void *ctx, const struct ap_batch_meta *m), void *ctx)
{
	for (size_t i = 0; i < q->parts.n; i++) {
		const struct ap_batch_meta *m = q->parts.p[i]->meta;
		int s;

		if (q->parts.p[i]->part != 0 || ap_store_second(m->start_ns) >= r->to ||
		    m->end_ns <= (int64_t)r->from * (int64_t)AP_NSEC_PER_SEC)
			continue;
		s = ap_filter_match_hosts(r->filter, ap_str_of(m->host), ap_str_of(m->agent_id));
		if (s > 0)
			s = fn(ctx, m);
		if (s < 0)
			return s;
	}
	return 0;
}
