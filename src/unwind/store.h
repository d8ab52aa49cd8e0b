/* SPDX-License-Identifier: Apache-2.0 */
/* The store of unwind tables that the walker reads (abi/unwind.h): the words, the dictionary of
 * rules, and which words are whose. Tables are shared by content: files with the same table have one.
 *
 * The walker reads while the store is written, without a lock: a table is complete before its place is
 * told to anybody, and the words of one that was released are used again only AP_STORE_REST_NS later,
 * when every walk that could have seen it is over. Rules are counted by the tables that use them and
 * rest as long; of the dictionary's room one table takes half at most, and past that its rules are
 * AP_CFA_UNSUPPORTED. Not thread-safe: one thread owns it.
 */
#ifndef AP_UNWIND_STORE_H
#define AP_UNWIND_STORE_H

#include "unwind/table.h"

#define AP_STORE_REST_NS 1000000000ull

struct ap_table_store;

/* Over `n_words` zeroed words at `words`, borrowed; n_words > AP_TABLES_AT. NULL = out of memory. */
struct ap_table_store *ap_table_store_new(uint32_t *words, uint32_t n_words);
void ap_table_store_free(struct ap_table_store *s);
AP_DEFINE_CLEANUP(table_store, struct ap_table_store, ap_table_store_free)

/* Takes the table in, or finds the equal one, and fills `ret` but for its file and flags. Tables that
 * nobody holds are evicted, least recently released first, to make room. `now`: CLOCK_MONOTONIC. 0;
 * -ENOSPC: no room even so, or only after the rest of what was dropped; -ENOMEM. */
int ap_table_store_add(struct ap_table_store *s, const struct ap_unwind_table *t, uint64_t now,
		       struct ap_file_ref *ret);
/* Gives up one holder of the table at `at`: it stays until its room is needed. Whoever tells the
 * walker of places has taken this one back before `now`. */
void ap_table_store_release(struct ap_table_store *s, uint32_t at, uint64_t now);

struct ap_table_store_stats {
	uint32_t tables, held;	       /* in the store; of them with a holder */
	uint32_t rules, rules_refused; /* in the dictionary; left out since it was full, ever */
	uint64_t table_bytes;	       /* of tables, evictable ones included */
	uint64_t capacity_bytes;       /* for tables */
	uint64_t touched_bytes;	       /* of the store, rules included, that were ever written */
	uint64_t evictions, refusals;  /* ever */
};
void ap_table_store_get_stats(const struct ap_table_store *s, struct ap_table_store_stats *ret);

#endif
