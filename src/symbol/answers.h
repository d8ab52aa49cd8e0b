/* SPDX-License-Identifier: Apache-2.0 */
/* What has been found out about one file: address → symbol. Grows only; freed whole. */
#ifndef AP_SYMBOL_ANSWERS_H
#define AP_SYMBOL_ANSWERS_H

#include "symbol/symbolizer.h"

struct ap_answers;

struct ap_answers *ap_answers_new(void); /* NULL = out of memory */
void ap_answers_free(struct ap_answers *a);
AP_DEFINE_CLEANUP(answers, struct ap_answers, ap_answers_free)
size_t ap_answers_bytes(const struct ap_answers *a);

/* False: never asked. The symbol is valid until the next put. */
bool ap_answers_get(const struct ap_answers *a, uint64_t addr, struct ap_symbol *ret);
/* Keeps a copy, made valid UTF-8; no levels: it is known that there is no symbol. An address that
 * is there already keeps its answer. 0 or -ENOMEM. */
int ap_answers_put(struct ap_answers *a, uint64_t addr, const struct ap_symbol_level *levels,
		   uint32_t n);

#endif
