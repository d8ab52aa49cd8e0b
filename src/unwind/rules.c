/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind/rules.h"

#include <string.h>
#include <xxhash.h>

#include "unwind/store.h"

/* A rule is in the chain of its hash as long as it has a number, and, without users, in the list of
 * those that wait to be replaced, the one that has waited longest first. */
struct slot {
	uint64_t dropped; /* when its last user went */
	uint32_t users;
	uint16_t chain;		 /* the next of its hash; 0: the last */
	uint16_t older, younger; /* in the list; 0: none */
};

struct ap_rules {
	struct ap_rule *rules; /* by number: the store's words */
	uint32_t n;	       /* numbers that have been given out */
	uint32_t used;
	uint16_t oldest, youngest; /* of the list */
	uint16_t heads[AP_RULES_MAX];
	struct slot slots[AP_RULES_MAX];
};

_Static_assert(AP_RULES_MAX <= 1 << 16, "numbers have 16 bits");
_Static_assert(sizeof(struct ap_rule) == AP_RULE_WORDS * sizeof(uint32_t), "rules are words");

static uint32_t hash(const struct ap_rule *rule)
{
	return (uint32_t)(XXH3_64bits(rule, sizeof(*rule)) % AP_RULES_MAX);
}

static void append_to_chain(struct ap_rules *r, uint32_t number, const struct ap_rule *rule)
{
	uint16_t *h = &r->heads[hash(rule)];

	r->rules[number] = *rule;
	r->slots[number].chain = *h;
	*h = (uint16_t)number;
}

static void remove_from_chain(struct ap_rules *r, uint32_t number)
{
	uint16_t *at = &r->heads[hash(&r->rules[number])];

	while (*at != number)
		at = &r->slots[*at].chain;
	*at = r->slots[number].chain;
}

static void append_to_list(struct ap_rules *r, uint32_t number)
{
	struct slot *s = &r->slots[number];

	s->older = r->youngest;
	s->younger = 0;
	*(r->youngest ? &r->slots[r->youngest].younger : &r->oldest) = (uint16_t)number;
	r->youngest = (uint16_t)number;
}

static void remove_from_list(struct ap_rules *r, uint32_t number)
{
	struct slot *s = &r->slots[number];

	*(s->older ? &r->slots[s->older].younger : &r->oldest) = s->younger;
	*(s->younger ? &r->slots[s->younger].older : &r->youngest) = s->older;
}

struct ap_rules *ap_rules_new(uint32_t *words)
{
	static const struct ap_rule unsupported = {.cfa = AP_CFA_UNSUPPORTED};
	struct ap_rules *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->rules = (struct ap_rule *)words;
	r->n = r->used = AP_RULE_UNSUPPORTED + 1;
	append_to_chain(r, AP_RULE_UNSUPPORTED, &unsupported);
	return r;
}

void ap_rules_free(struct ap_rules *r)
{
	free(r);
}

static bool is_none(const struct ap_rule *rule)
{
	static const struct ap_rule none;

	return memcmp(rule, &none, sizeof(none)) == 0;
}

/* AP_RULE_NONE, which is in no chain: it is not there. */
static uint32_t look_up(const struct ap_rules *r, const struct ap_rule *rule)
{
	uint32_t i = r->heads[hash(rule)];

	while (i && memcmp(&r->rules[i], rule, sizeof(*rule)) != 0)
		i = r->slots[i].chain;
	return i;
}

uint32_t ap_rules_find(const struct ap_rules *r, const struct ap_rule *rule)
{
	uint32_t i = look_up(r, rule);

	return i || is_none(rule) ? i : AP_RULE_UNSUPPORTED;
}

/* A number that no walk can be about to read; 0: there is none. */
static uint32_t new_number(struct ap_rules *r, uint64_t now)
{
	uint32_t i = r->oldest;

	if (r->n < AP_RULES_MAX)
		return r->n++;
	if (i == 0 || now < r->slots[i].dropped + AP_STORE_REST_NS)
		return 0;
	remove_from_list(r, i);
	remove_from_chain(r, i);
	return i;
}

uint32_t ap_rules_take(struct ap_rules *r, const struct ap_rule *rule, uint64_t now)
{
	uint32_t i = look_up(r, rule);

	if (is_none(rule) || i == AP_RULE_UNSUPPORTED || (i && r->slots[i].users++))
		return i;
	if (i) {
		remove_from_list(r, i);
	} else {
		i = new_number(r, now);
		if (i == 0)
			return AP_RULE_UNSUPPORTED;
		append_to_chain(r, i, rule);
		r->slots[i].users = 1;
	}
	r->used++;
	return i;
}

void ap_rules_drop(struct ap_rules *r, uint32_t number, uint64_t when)
{
	if (number <= AP_RULE_UNSUPPORTED || --r->slots[number].users > 0)
		return;
	r->slots[number].dropped = when;
	append_to_list(r, number);
	r->used--;
}

uint32_t ap_rules_used(const struct ap_rules *r)
{
	return r->used;
}
