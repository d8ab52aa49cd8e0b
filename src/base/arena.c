/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

/* Blocks double from the first size to the last, so that small arenas stay small. */
enum { BLOCK_MIN_BYTES = 1024, BLOCK_MAX_BYTES = 64 * 1024 };

struct ap_arena_block {
	struct ap_arena_block *next;
	size_t used, cap;
	_Alignas(16) uint8_t data[];
};

static struct ap_arena_block *add_block(struct ap_arena *a, size_t cap)
{
	struct ap_arena_block *b;
	size_t total;

	if (!ap_size_add(cap, sizeof(*b), &total))
		return NULL;
	if (a->limit && (a->used > a->limit || total > a->limit - a->used))
		return NULL;
	b = malloc(total);
	if (!b)
		return NULL;
	*b = (struct ap_arena_block){.next = a->head, .cap = cap};
	a->head = b;
	a->used += total;
	return b;
}

void *ap_arena_alloc_aligned(struct ap_arena *a, size_t n, size_t align)
{
	struct ap_arena_block *b = a->head;
	size_t at = b ? (b->used + align - 1) & ~(align - 1) : 0, size;

	if (!b || at > b->cap || b->cap - at < n) {
		size = AP_MIN(AP_MAX(a->used, (size_t)BLOCK_MIN_BYTES), (size_t)BLOCK_MAX_BYTES);
		b = add_block(a, AP_MAX(n, size));
		at = 0;
	}
	if (!b)
		return NULL;
	b->used = at + n;
	return b->data + at;
}

void *ap_arena_alloc(struct ap_arena *a, size_t n)
{
	return ap_arena_alloc_aligned(a, n, 16);
}

int ap_arena_reserve(struct ap_arena *a, size_t n)
{
	if (a->head && a->head->cap - a->head->used >= n)
		return 0;
	return add_block(a, n) ? 0 : -ENOMEM;
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
	char *d = s.n < SIZE_MAX ? ap_arena_alloc_aligned(a, s.n + 1, 1) : NULL;

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
