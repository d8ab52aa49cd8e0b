/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/query/memo.h"

#include "aggregator/query/internal.h"
#include "aggregator/store/peers.h"
#include "base/clock.h"

enum {
	ANSWERS_MAX = 256,
	ANSWER_SHARE = 3,      /* one answer takes at most a third of the room */
	SEGMENTS_BEHIND = 256, /* that an answer may be behind by */
};

/* What is kept is constant but for what the memo's lock guards. */
struct answer {
	uint32_t refs; /* atomic */
	struct ap_buf text;
	uint64_t turn;
	uint32_t from, to;
	uint32_t whole_from[AP_ROLLUP_LEVELS];
	enum ap_memo_state state;
	struct ap_buf blocks; /* if it is kept */
	uint64_t rows_added;
	/* With the lock held. */
	uint64_t watermark; /* what the store had of this writer's */
	uint64_t used;	    /* when, in questions */
};

struct ap_memo {
	size_t max_bytes;
	pthread_mutex_t lock; /* guards what follows */
	AP_VEC(struct answer *) answers;
	size_t bytes;
	uint64_t questions;
	uint64_t recalled[AP_MEMO_PARTS];
};

struct ap_memo *ap_memo_new(size_t max_bytes)
{
	struct ap_memo *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->max_bytes = max_bytes;
	pthread_mutex_init(&m->lock, NULL);
	return m;
}

static size_t bytes_of(const struct answer *a)
{
	return sizeof(*a) + a->text.cap + a->blocks.cap;
}

static void answer_unref(struct answer *a)
{
	if (!a || __atomic_sub_fetch(&a->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	ap_buf_free(&a->text);
	ap_buf_free(&a->blocks);
	free(a);
}
AP_DEFINE_CLEANUP(answer, struct answer, answer_unref)

/* With the lock held. */
static void forget(struct ap_memo *m, size_t i)
{
	m->bytes -= bytes_of(m->answers.p[i]);
	answer_unref(m->answers.p[i]);
	m->answers.p[i] = m->answers.p[--m->answers.n];
}

void ap_memo_free(struct ap_memo *m)
{
	if (!m)
		return;
	while (m->answers.n)
		forget(m, m->answers.n - 1);
	ap_vec_free(&m->answers);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

void ap_memo_get_stats(struct ap_memo *m, struct ap_query_stats *ret)
{
	pthread_mutex_lock(&m->lock);
	ret->recalled = m->recalled[AP_MEMO_ALL];
	ret->recalled_in_part = m->recalled[AP_MEMO_MIDDLE];
	ret->recalled_ends = m->recalled[AP_MEMO_END];
	ret->extended = m->recalled[AP_MEMO_EXTENDED];
	ret->memo_bytes = m->bytes;
	pthread_mutex_unlock(&m->lock);
}

bool ap_memo_applies(const struct ap_question *q, uint64_t *ret_turn)
{
	return q->has_watermark && q->use_store && ap_peers_none(q->e->o.store, ret_turn);
}

/* Whether segments that only one of them knows of, an answer or a question, have rows of the answer's range. */
static bool differs(const struct answer *a, const struct ap_question *q)
{
	uint64_t before = AP_MIN(a->watermark, q->watermark);
	uint64_t after = AP_MAX(a->watermark, q->watermark);
	int64_t second = (int64_t)AP_NSEC_PER_SEC, min_ns, max_ns;

	if (before == after)
		return false;
	if (!ap_buffer_stored_times(q->e->o.buffer, before, after, &min_ns, &max_ns))
		return true;
	return min_ns <= max_ns && max_ns >= ((int64_t)a->from - 1) * second &&
	       min_ns <= a->to * second;
}

/* What an answer is to a question. */
static enum ap_memo_state state_for(const struct answer *a, const struct ap_question *q)
{
	if (memcmp(a->whole_from, q->rollups.whole_from, sizeof(a->whole_from)) != 0)
		return AP_MEMO_UNKNOWN;
	if (a->state != AP_MEMO_KEPT || !differs(a, q))
		return a->state;
	/* Segment 0 is none. */
	if (a->watermark && a->watermark < q->watermark &&
	    q->watermark - a->watermark <= SEGMENTS_BEHIND)
		return AP_MEMO_BEHIND;
	return AP_MEMO_UNKNOWN;
}

static bool is_text(const struct answer *a, struct ap_str text)
{
	return a->text.n == text.n && memcmp(a->text.p, text.p, text.n) == 0;
}

static bool is_key(const struct answer *a, const struct ap_memo_key *key)
{
	return a->from == key->from && a->to == key->to && a->turn == key->turn &&
	       is_text(a, key->text);
}

/* A reference and what it is to the question, or NULL. */
static struct answer *find(struct ap_question *q, const struct ap_memo_key *key,
			   enum ap_memo_state *ret_state)
{
	struct ap_memo *m = q->e->memo;
	struct answer *found = NULL;

	*ret_state = AP_MEMO_UNKNOWN;
	pthread_mutex_lock(&m->lock);
	m->questions++;
	for (size_t i = 0; i < m->answers.n && !found; i++) {
		struct answer *a = m->answers.p[i];

		if (!is_key(a, key))
			continue;
		*ret_state = state_for(a, q);
		if (*ret_state == AP_MEMO_UNKNOWN) {
			forget(m, i);
			break;
		}
		if (*ret_state == AP_MEMO_KEPT)
			a->watermark = AP_MAX(a->watermark, q->watermark);
		a->used = m->questions;
		__atomic_fetch_add(&a->refs, 1, __ATOMIC_RELAXED);
		found = a;
	}
	pthread_mutex_unlock(&m->lock);
	return found;
}

enum ap_memo_state ap_memo_get_state(struct ap_question *q, const struct ap_memo_key *key,
				     uint64_t *ret_upto)
{
	enum ap_memo_state state;
	_cleanup_(ap_cleanup_answer) struct answer *a = find(q, key, &state);

	*ret_upto = 0;
	if (state == AP_MEMO_BEHIND) {
		pthread_mutex_lock(&q->e->memo->lock);
		*ret_upto = a->watermark;
		pthread_mutex_unlock(&q->e->memo->lock);
	}
	return state;
}

static void count(struct ap_memo *m, enum ap_memo_part part)
{
	pthread_mutex_lock(&m->lock);
	m->recalled[part]++;
	pthread_mutex_unlock(&m->lock);
}

/* Decodes blocks for a function: 0 or what it returned. */
static int hand_over(struct ap_str blocks, ap_store_block_fn fn, void *ctx, struct ap_error *err)
{
	struct ap_native_view view = {0};
	size_t at = 0, used;
	int r = 0;

	while (r == 0 && at < blocks.n) {
		r = ap_native_decode((struct ap_str){blocks.p + at, blocks.n - at}, &view, &used,
				     err);
		if (r == 0)
			r = fn(ctx, &view);
		at += used;
	}
	ap_native_view_free(&view);
	return AP_MIN(r, 0);
}

int ap_memo_recall(struct ap_question *q, const struct ap_memo_key *key, enum ap_memo_part part,
		   ap_store_block_fn fn, void *ctx)
{
	enum ap_memo_state state;
	_cleanup_(ap_cleanup_answer) struct answer *a = find(q, key, &state);
	int r;

	if (state != AP_MEMO_KEPT)
		return 0;
	count(q->e->memo, part);
	r = hand_over(ap_buf_view(&a->blocks), fn, ctx, q->err);
	return r < 0 ? r : 1;
}

int ap_memo_hand_over(const struct ap_memo_copy *copy, ap_store_block_fn fn, void *ctx,
		      struct ap_error *err)
{
	return hand_over(ap_buf_view(&copy->blocks), fn, ctx, err);
}

bool ap_memo_asked(struct ap_memo *m, const struct ap_memo_key *key)
{
	bool asked = false;

	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->answers.n && !asked; i++) {
		struct answer *a = m->answers.p[i];

		asked = a->state == AP_MEMO_KEPT && a->to - a->from == key->to - key->from &&
			is_text(a, key->text);
		if (asked)
			a->used = m->questions;
	}
	pthread_mutex_unlock(&m->lock);
	return asked;
}

struct ap_memo_copy ap_memo_copy_of(const struct ap_memo *m, ap_store_block_fn fn, void *ctx)
{
	return (struct ap_memo_copy){.fn = fn, .ctx = ctx, .max = m->max_bytes / ANSWER_SHARE};
}

int ap_memo_copy_block(void *copy, const struct ap_native_view *block)
{
	struct ap_memo_copy *c = copy;

	if (!c->failed)
		ap_buf_str(&c->blocks, block->bytes);
	if (ap_buf_error(&c->blocks) || c->blocks.n > c->max) {
		ap_buf_free(&c->blocks);
		c->failed = true;
	}
	return c->fn(c->ctx, block);
}

static struct answer *answer_new(const struct ap_question *q, const struct ap_memo_key *key,
				 enum ap_memo_state state, struct ap_str blocks)
{
	struct answer *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->refs = 1;
	a->turn = key->turn;
	a->state = state;
	a->from = key->from;
	a->to = key->to;
	a->watermark = q->watermark;
	memcpy(a->whole_from, q->rollups.whole_from, sizeof(a->whole_from));
	ap_buf_str(&a->text, key->text);
	/* Exactly what is needed, where the copy has room to grow. */
	ap_buf_str(&a->blocks, blocks);
	if (!ap_buf_error(&a->text) && !ap_buf_error(&a->blocks))
		return a;
	answer_unref(a);
	return NULL;
}

/* The one that was used the longest ago. With the lock held. */
static void forget_oldest(struct ap_memo *m)
{
	size_t oldest = 0;

	for (size_t i = 1; i < m->answers.n; i++)
		if (m->answers.p[i]->used < m->answers.p[oldest]->used)
			oldest = i;
	forget(m, oldest);
}

/* Takes the answer over. With the lock held. */
static void add(struct ap_memo *m, const struct ap_memo_key *key, struct answer *a)
{
	for (size_t i = 0; i < m->answers.n; i++)
		if (is_key(m->answers.p[i], key)) {
			forget(m, i);
			break;
		}
	while (m->answers.n &&
	       (m->answers.n >= ANSWERS_MAX || m->bytes + bytes_of(a) > m->max_bytes))
		forget_oldest(m);
	a->used = m->questions;
	if (bytes_of(a) > m->max_bytes || ap_vec_push(&m->answers, a) < 0)
		answer_unref(a);
	else
		m->bytes += bytes_of(a);
}

/* NULL is fine. */
static void put(struct ap_question *q, const struct ap_memo_key *key, struct answer *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&q->e->memo->lock);
	add(q->e->memo, key, a);
	pthread_mutex_unlock(&q->e->memo->lock);
}

void ap_memo_set_state(struct ap_question *q, const struct ap_memo_key *key,
		       enum ap_memo_state state)
{
	put(q, key, answer_new(q, key, state, AP_STR("")));
}

void ap_memo_keep(struct ap_question *q, const struct ap_memo_key *key, struct ap_memo_copy *copy)
{
	if (!copy->failed)
		put(q, key, answer_new(q, key, AP_MEMO_KEPT, ap_buf_view(&copy->blocks)));
	ap_buf_free(&copy->blocks);
}

void ap_memo_extend(struct ap_question *q, const struct ap_memo_key *key, uint64_t upto,
		    struct ap_memo_copy *copy, uint64_t rows)
{
	enum ap_memo_state state;
	_cleanup_(ap_cleanup_answer) struct answer *old = find(q, key, &state);
	struct answer *a = NULL;
	bool same;

	pthread_mutex_lock(&q->e->memo->lock);
	same = state == AP_MEMO_BEHIND && old->watermark == upto;
	pthread_mutex_unlock(&q->e->memo->lock);
	if (same && !copy->failed && old->rows_added + rows <= AP_MEMO_ROWS_MAX)
		a = answer_new(q, key, AP_MEMO_KEPT, ap_buf_view(&old->blocks));
	if (a) {
		a->rows_added = old->rows_added + rows;
		ap_buf_str(&a->blocks, ap_buf_view(&copy->blocks));
	}
	ap_buf_free(&copy->blocks);
	if (a && ap_buf_error(&a->blocks)) {
		answer_unref(a);
		a = NULL;
	}
	if (a)
		put(q, key, a);
	else if (same)
		ap_memo_set_state(q, key, AP_MEMO_UNKNOWN);
}
