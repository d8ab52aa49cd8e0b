/* SPDX-License-Identifier: Apache-2.0 */
/* A block that a table is to have once, at an engine that remembers blocks. */
#ifndef AP_AGGREGATOR_STORE_SURE_INSERT_H
#define AP_AGGREGATOR_STORE_SURE_INSERT_H

#include "aggregator/store/store.h"

struct ap_sure_insert {
	/* How many of its rows the table has, once no insert may still come about; -EBUSY while one may. */
	int (*count)(void *ctx, uint64_t *ret, struct ap_error *err);
	/* Inserts it by a name; an engine that knows the name does nothing. */
	int (*insert)(void *ctx, const char *name, struct ap_error *err);
	void *ctx;
	const char *what; /* for people: "segment 7 of samples" */
	const char *name; /* what its names begin with, which no other block's do */
};

/* Whether the store remembers blocks that have failed, and may still be at one that was given up. */
bool ap_store_remembers(const struct ap_store *s);
/* Until the table has what it has just taken. -EIO: it never does; errors of statements. */
int ap_insert_make_sure(const struct ap_sure_insert *i, struct ap_error *err);

#endif
