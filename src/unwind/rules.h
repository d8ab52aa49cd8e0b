/* SPDX-License-Identifier: Apache-2.0 */
/* The dictionary of rules that all tables of a store share: equal rules have one number. A rule that
 * no table uses any more keeps its number until another rule needs it, and at least for
 * AP_STORE_REST_NS, since a walk may be about to read it. */
#ifndef AP_UNWIND_RULES_H
#define AP_UNWIND_RULES_H

#include "abi/unwind.h"
#include "base/macro.h"

/* Stands for rules that the dictionary has no room for. It and AP_RULE_NONE are always there. */
#define AP_RULE_UNSUPPORTED 1u

struct ap_rules;

/* Over the first AP_TABLES_AT words of a store, zeroed and borrowed. NULL = out of memory. */
struct ap_rules *ap_rules_new(uint32_t *words);
void ap_rules_free(struct ap_rules *r);
AP_DEFINE_CLEANUP(rules, struct ap_rules, ap_rules_free)

/* The number of a rule that is in the dictionary, used or not; else AP_RULE_UNSUPPORTED. */
uint32_t ap_rules_find(const struct ap_rules *r, const struct ap_rule *rule);
/* The number of a rule, which has one more user now; AP_RULE_UNSUPPORTED where it is new and there
 * is no room. */
uint32_t ap_rules_take(struct ap_rules *r, const struct ap_rule *rule, uint64_t now);
/* One user less, since `when`; times must not descend from call to call. */
void ap_rules_drop(struct ap_rules *r, uint32_t number, uint64_t when);

uint32_t ap_rules_used(const struct ap_rules *r); /* rules with users, and the two fixed ones */

#endif
