/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

/* Blocks double from the first size to the last, so that small arenas stay small. */
enum { BLOCK_MIN_BYTES = 1024, BLOCK_MAX_BYTES = 64 * 1024 };

struct ap_arena_block {
	struct ap_arena_block *next;
	size_t used, cap;
	_Alignas(16) uint8_t data[];
};

void *ap_arena_alloc(struct ap_arena *a, size_t n)
{
	struct ap_arena_block *b = a->head;
	size_t total, size;
	void *p;

	if (!ap_size_add(n, 15, &n))
		return NULL;
	n &= ~(size_t)15;
	if (!b || b->cap - b->used < n) {
		size = AP_MIN(AP_MAX(a->used, (size_t)BLOCK_MIN_BYTES), (size_t)BLOCK_MAX_BYTES);
		size = AP_MAX(n, size);
		if (!ap_size_add(size, sizeof(*b), &total))
			return NULL;
		if (a->limit && (a->used > a->limit || total > a->limit - a->used))
			return NULL;
		b = malloc(total);
		if (!b)
			return NULL;
		b->next = a->head;
		b->used = 0;
		b->cap = size;
		a->head = b;
		a->used += total;
	}
	p = b->data + b->used;
	b->used += n;
	return p;
}

void *ap_arena_zalloc(struct ap_arena *a, size_t n)
{
	void *p = ap_arena_alloc(a, n);

	if (p)
		memset(p, 0, n);
	return p;
}

char *ap_arena_strdup(struct ap_arena *a, struct ap_str s)
{
	char *d = ap_arena_alloc(a, s.n + 1);

	if (!d)
		return NULL;
	if (s.n)
		memcpy(d, s.p, s.n);
	d[s.n] = '\0';
	return d;
}

void ap_arena_free(struct ap_arena *a)
{
	struct ap_arena_block *b = a->head, *next;

	for (; b; b = next) {
		next = b->next;
		free(b);
	}
	a->head = NULL;
	a->used = 0;
}
