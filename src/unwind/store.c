/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind/store.h"

#include <string.h>
#include <uthash.h>
#include <xxhash.h>

#include "unwind/rules.h"
#include "unwind/space.h"

struct table {
	UT_hash_handle by_content, by_place;
	XXH128_hash_t content; /* of its rows, with the rules as its file numbers them */
	uint32_t at, n_words;
	uint32_t holders;
	uint64_t released;	       /* when its last holder went */
	struct table *older, *younger; /* without holders: by that time */
	uint32_t n_rules;
	uint16_t rules[]; /* the dictionary's number of each of the file's */
};

struct ap_table_store {
	uint32_t *words;
	uint32_t n_words;
	struct ap_space space;
	struct ap_rules *rules;
	struct table *by_content, *by_place;
	struct table *oldest, *youngest; /* of those without holders */
	uint32_t n_released;
	uint64_t evictions, refusals;
	uint32_t rules_refused;
};

struct ap_table_store *ap_table_store_new(uint32_t *words, uint32_t n_words)
{
	struct ap_table_store *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->words = words;
	s->n_words = n_words;
	s->rules = ap_rules_new(words);
	if (!s->rules || ap_space_init(&s->space, AP_TABLES_AT, n_words) < 0) {
		ap_rules_free(s->rules);
		free(s);
		return NULL;
	}
	return s;
}

static void unindex(struct ap_table_store *s, struct table *t)
{
	HASH_DELETE(by_content, s->by_content, t);
	HASH_DELETE(by_place, s->by_place, t);
}

void ap_table_store_free(struct ap_table_store *s)
{
	struct table *t, *next;

	if (!s)
		return;
	HASH_ITER(by_place, s->by_place, t, next) {
		unindex(s, t);
		free(t);
	}
	ap_space_free(&s->space);
	ap_rules_free(s->rules);
	free(s);
}

static void append_released(struct ap_table_store *s, struct table *t)
{
	t->older = s->youngest;
	t->younger = NULL;
	*(s->youngest ? &s->youngest->younger : &s->oldest) = t;
	s->youngest = t;
	s->n_released++;
}

static void remove_released(struct ap_table_store *s, struct table *t)
{
	*(t->older ? &t->older->younger : &s->oldest) = t->younger;
	*(t->younger ? &t->younger->older : &s->youngest) = t->older;
	s->n_released--;
}

/* Evicts the table that was released first, if no walk can be in it any more. */
static bool evict(struct ap_table_store *s, uint64_t now)
{
	struct table *t = s->oldest;

	if (!t || now < t->released + AP_STORE_REST_NS)
		return false;
	remove_released(s, t);
	unindex(s, t);
	for (uint32_t i = 0; i < t->n_rules; i++)
		ap_rules_drop(s->rules, t->rules[i], t->released);
	ap_space_give(&s->space, t->at, t->n_words);
	s->evictions++;
	free(t);
	return true;
}

/* Whether evicting may make room for `n` words at all. */
static bool may_fit(const struct ap_table_store *s, uint32_t n)
{
	uint64_t most = s->space.n_free;

	for (const struct table *t = s->oldest; t && most < n; t = t->younger)
		most += t->n_words;
	return most >= n;
}

static uint32_t take_space(struct ap_table_store *s, uint32_t n, uint64_t now)
{
	uint32_t at = ap_space_take(&s->space, n);

	if (at || !may_fit(s, n))
		return at;
	while (!at && evict(s, now))
		at = ap_space_take(&s->space, n);
	return at;
}

static XXH128_hash_t hash(const struct ap_unwind_table *t)
{
	uint64_t head[] = {t->first_page, t->n_pages, t->shift,
			   XXH3_64bits(t->rules, t->n_rules * sizeof(*t->rules))};

	return XXH3_128bits_withSeed(t->words, t->n_words * sizeof(*t->words),
				     XXH3_64bits(head, sizeof(head)));
}

/* A row as the store has it. */
static uint32_t translate(uint32_t row, const uint16_t *rules)
{
	return (row & 0xffff) | (uint32_t)rules[row >> 16] << 16;
}

/* The rows themselves are compared: the hash can be forged. */
static bool is_equal(const struct ap_table_store *s, const struct table *have,
		     const struct ap_unwind_table *t)
{
	const uint32_t *words = s->words + have->at;
	uint32_t first_row = t->n_pages + 1;

	if (have->n_words != t->n_words || have->n_rules != t->n_rules ||
	    memcmp(words, t->words, first_row * sizeof(*words)) != 0)
		return false;
	for (uint32_t i = 0; i < t->n_rules; i++)
		if (have->rules[i] != ap_rules_find(s->rules, &t->rules[i]))
			return false;
	for (uint32_t i = first_row; i < t->n_words; i++)
		if (words[i] != translate(t->words[i], have->rules))
			return false;
	return true;
}

static struct table *find_equal(struct ap_table_store *s, const struct ap_unwind_table *t,
				const XXH128_hash_t *content)
{
	struct table *have;

	HASH_FIND(by_content, s->by_content, content, sizeof(*content), have);
	return have && is_equal(s, have, t) ? have : NULL;
}

/* Numbers the file's rules. New ones are at most half of those that there is room for, so that no
 * file, whatever it says, leaves nothing to others. */
static void take_rules(struct ap_table_store *s, struct table *to, const struct ap_unwind_table *t,
		       uint64_t now)
{
	uint32_t most, before;

	while (AP_RULES_MAX - ap_rules_used(s->rules) < 2 * t->n_rules && evict(s, now))
		;
	before = ap_rules_used(s->rules);
	most = (AP_RULES_MAX - before) / 2;
	for (uint32_t i = 0; i < t->n_rules; i++) {
		bool is_full = ap_rules_used(s->rules) - before >= most;
		uint32_t number = ap_rules_find(s->rules, &t->rules[i]);

		if (number != AP_RULE_UNSUPPORTED || !is_full)
			number = ap_rules_take(s->rules, &t->rules[i], now);
		if (number == AP_RULE_UNSUPPORTED && t->rules[i].cfa != AP_CFA_UNSUPPORTED)
			s->rules_refused++;
		to->rules[i] = (uint16_t)number;
	}
	to->n_rules = t->n_rules;
}

/* Its words are complete before anybody is told of them. */
static void write_words(struct ap_table_store *s, const struct table *to,
			const struct ap_unwind_table *t)
{
	uint32_t *words = s->words + to->at;
	uint32_t first_row = t->n_pages + 1;

	memcpy(words, t->words, first_row * sizeof(*words));
	for (uint32_t i = first_row; i < t->n_words; i++)
		words[i] = translate(t->words[i], to->rules);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static int add_new(struct ap_table_store *s, const struct ap_unwind_table *t,
		   const XXH128_hash_t *content, uint64_t now, struct table **ret)
{
	_cleanup_free_ struct table *to =
		calloc(1, sizeof(*to) + t->n_rules * sizeof(to->rules[0]));

	if (!to)
		return -ENOMEM;
	to->at = take_space(s, t->n_words, now);
	if (to->at == 0) {
		s->refusals++;
		return -ENOSPC;
	}
	to->n_words = t->n_words;
	to->content = *content;
	take_rules(s, to, t, now);
	write_words(s, to, t);
	HASH_ADD(by_content, s->by_content, content, sizeof(to->content), to);
	HASH_ADD(by_place, s->by_place, at, sizeof(to->at), to);
	*ret = AP_TAKE_PTR(to);
	return 0;
}

int ap_table_store_add(struct ap_table_store *s, const struct ap_unwind_table *t, uint64_t now,
		       struct ap_file_ref *ret)
{
	XXH128_hash_t content = hash(t);
	struct table *have = find_equal(s, t, &content);
	int r;

	if (have && have->holders == 0)
		remove_released(s, have);
	if (!have) {
		r = add_new(s, t, &content, now, &have);
		if (r < 0)
			return r;
	}
	have->holders++;
	ret->at = have->at;
	ret->first_page = t->first_page;
	ret->n_pages = t->n_pages;
	ret->shift = t->shift;
	return 0;
}

void ap_table_store_release(struct ap_table_store *s, uint32_t at, uint64_t now)
{
	struct table *t;

	HASH_FIND(by_place, s->by_place, &at, sizeof(at), t);
	if (!t || --t->holders > 0)
		return;
	t->released = now;
	append_released(s, t);
}

void ap_table_store_get_stats(const struct ap_table_store *s, struct ap_table_store_stats *ret)
{
	uint64_t words = s->n_words - AP_TABLES_AT;

	*ret = (struct ap_table_store_stats){
		.tables = HASH_CNT(by_place, s->by_place),
		.held = HASH_CNT(by_place, s->by_place) - s->n_released,
		.rules = ap_rules_used(s->rules),
		.rules_refused = s->rules_refused,
		.table_bytes = (words - s->space.n_free) * sizeof(uint32_t),
		.capacity_bytes = words * sizeof(uint32_t),
		.touched_bytes = s->space.top * sizeof(uint32_t),
		.evictions = s->evictions,
		.refusals = s->refusals,
	};
}
