/* SPDX-License-Identifier: Apache-2.0 */
/* A bump allocator for what lives as long as one request: allocate freely, free once. The byte
 * limit makes a hostile request fail with NULL instead of taking the machine's memory. */
#ifndef AP_BASE_ARENA_H
#define AP_BASE_ARENA_H

#include "base/str.h"

struct ap_arena_block;

struct ap_arena {
	struct ap_arena_block *head;
	size_t used;  /* bytes handed out by malloc, headers included */
	size_t limit; /* the most `used` may reach; 0 = no limit */
};

#define AP_ARENA_INIT(max_bytes) {.limit = (max_bytes)}

/* 16-byte aligned, not zeroed; NULL = out of memory or over the limit. */
void *ap_arena_alloc(struct ap_arena *a, size_t n);
void *ap_arena_zalloc(struct ap_arena *a, size_t n);
/* `align` is a power of two up to 16. */
void *ap_arena_alloc_aligned(struct ap_arena *a, size_t n, size_t align);
/* Makes sure that `n` bytes fit into one piece with what is there: those that follow take no more than that from
 * malloc, where pieces double otherwise. 0 or -ENOMEM, also over the limit. */
int ap_arena_reserve(struct ap_arena *a, size_t n);
/* A NUL-terminated copy, at any address. */
char *ap_arena_strdup(struct ap_arena *a, struct ap_str s);
void ap_arena_free(struct ap_arena *a);

#endif
