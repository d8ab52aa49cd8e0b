/* SPDX-License-Identifier: Apache-2.0 */
/* The loss ledger's entries as an enum and a table (abi/errors.def), and a set of counters. */
#ifndef AP_ABI_LEDGER_H
#define AP_ABI_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

enum ap_ledger_id {
#define AP_LEDGER(id, num, stage, name, kind, text) AP_LEDGER_##id = (num),
#include "abi/errors.def"
};

enum ap_ledger_kind { AP_LEDGER_KIND_IN, AP_LEDGER_KIND_OUT, AP_LEDGER_KIND_LOSS };

#define AP_LEDGER_MAX  128 /* ids are below this */
#define AP_REASONS_MAX 32

struct ap_ledger_entry {
	enum ap_ledger_id id;
	const char *stage; /* "sample", "reader", … */
	const char *name;  /* "elapsed", "not_run", … */
	enum ap_ledger_kind kind;
	const char *text;
};

/* Counters by enum ap_ledger_id, and stacks by enum ap_reason. Monotonic since the start of the
 * process that keeps them; one writer thread per entry, any readers (relaxed atomics). */
struct ap_ledger {
	uint64_t count[AP_LEDGER_MAX];
	uint64_t stacks[AP_REASONS_MAX];
};

static inline void ap_ledger_add(struct ap_ledger *l, enum ap_ledger_id id, uint64_t n)
{
	__atomic_fetch_add(&l->count[id], n, __ATOMIC_RELAXED);
}

static inline void ap_ledger_set(struct ap_ledger *l, enum ap_ledger_id id, uint64_t n)
{
	__atomic_store_n(&l->count[id], n, __ATOMIC_RELAXED);
}

static inline uint64_t ap_ledger_get(const struct ap_ledger *l, enum ap_ledger_id id)
{
	return __atomic_load_n(&l->count[id], __ATOMIC_RELAXED);
}

/* All entries in the order of abi/errors.def, and how many (src/profile/reason.c). */
extern const struct ap_ledger_entry ap_ledger_entries[];
extern const uint32_t ap_ledger_entry_count;

/* Whether an entry is a loss of what the user asked for: not CPU time that was idle, filtered away or
 * is stood for by other samples or over a rate that was asked for, nor a batch that is kept and sent again or was here before. */
bool ap_ledger_is_lost(enum ap_ledger_id id);
/* The same in system calls; one whose begin was not seen is none, as those that were in a call when the
 * recording began. */
bool ap_ledger_is_lost_call(enum ap_ledger_id id);
/* The sum of those that ap_ledger_is_lost() names, in sampling periods. */
uint64_t ap_ledger_lost(const struct ap_ledger *l);

/* The name and text of an enum ap_reason; "unknown" for a number not in the list. */
const char *ap_reason_name(uint32_t reason);
const char *ap_reason_text(uint32_t reason);
/* Whether a stack with that reason is all there is: OK; KERNEL_ONLY, where no user stack exists; and SHORT_WAIT,
 * where none was wanted. */
bool ap_reason_is_complete(uint32_t reason);
/* The share of complete ones among stacks by reason, 0..1, SHORT_WAIT aside; -1: there are none. */
double ap_reason_complete_share(const uint64_t counts[AP_REASONS_MAX]);

#endif
