/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing over 32-bit ids with linear probing; the bytes live in an arena, so that views
 * stay valid while the table grows. */
#include "base/intern.h"

#include <xxhash.h>

#include "base/arena.h"
#include "base/vec.h"

struct entry {
	const char *p;
	uint32_t n, hash;
};

struct ap_intern {
	struct ap_arena arena;
	AP_VEC(struct entry) entries;
	uint32_t *slots; /* id + 1, 0 = empty */
	size_t n_slots;	 /* a power of two, at least 4/3 of the entries */
	size_t align;	 /* of the bytes */
	bool terminated; /* by NUL */
};

enum { SLOTS_MIN = 64, KEY_ALIGN = 8 };

static struct ap_intern *create(size_t align, bool terminated)
{
	struct ap_intern *in = calloc(1, sizeof(*in));
	uint32_t id;

	if (!in)
		return NULL;
	in->align = align;
	in->terminated = terminated;
	in->n_slots = SLOTS_MIN;
	in->slots = calloc(in->n_slots, sizeof(*in->slots));
	if (!in->slots || ap_intern_add(in, AP_STR(""), &id, NULL) < 0) {
		ap_intern_free(in);
		return NULL;
	}
	return in;
}

struct ap_intern *ap_intern_new(void)
{
	return create(KEY_ALIGN, true);
}

struct ap_intern *ap_intern_new_text(void)
{
	return create(1, true);
}

struct ap_intern *ap_intern_new_keys(void)
{
	return create(KEY_ALIGN, false);
}

void ap_intern_free(struct ap_intern *in)
{
	if (!in)
		return;
	ap_arena_free(&in->arena);
	ap_vec_free(&in->entries);
	free(in->slots);
	free(in);
}

static struct ap_str view(const struct entry *e)
{
	return (struct ap_str){e->p, e->n};
}

/* The slot that holds `s`, or the empty one where it belongs. */
static size_t slot_of(const struct ap_intern *in, struct ap_str s, uint32_t hash)
{
	size_t i = hash & (in->n_slots - 1);

	while (in->slots[i]) {
		const struct entry *e = &in->entries.p[in->slots[i] - 1];

		if (e->hash == hash && ap_str_eq(view(e), s))
			break;
		i = (i + 1) & (in->n_slots - 1);
	}
	return i;
}

static int rehash(struct ap_intern *in, size_t n)
{
	uint32_t *slots = calloc(n, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t id = 0; id < in->entries.n; id++) {
		size_t i = in->entries.p[id].hash & (n - 1);

		while (slots[i])
			i = (i + 1) & (n - 1);
		slots[i] = (uint32_t)id + 1;
	}
	free(in->slots);
	in->slots = slots;
	in->n_slots = n;
	return 0;
}

/* Slots for so many entries. */
static int make_slots(struct ap_intern *in, size_t entries)
{
	size_t n = in->n_slots;

	while (n / 4 * 3 < entries)
		n *= 2;
	return n == in->n_slots ? 0 : rehash(in, n);
}

int ap_intern_reserve(struct ap_intern *in, size_t more, size_t bytes)
{
	if (more > UINT32_MAX || ap_vec_reserve(&in->entries, more) < 0 ||
	    make_slots(in, in->entries.n + more) < 0)
		return -ENOMEM;
	if (in->terminated && !ap_size_add(bytes, more, &bytes))
		return -ENOMEM;
	return ap_arena_reserve(&in->arena, bytes);
}

static const char *copy(struct ap_intern *in, struct ap_str s)
{
	static const _Alignas(KEY_ALIGN) char empty[KEY_ALIGN];
	char *d;

	if (s.n == 0)
		return empty;
	d = ap_arena_alloc_aligned(&in->arena, s.n + in->terminated, in->align);
	if (!d)
		return NULL;
	memcpy(d, s.p, s.n);
	if (in->terminated)
		d[s.n] = '\0';
	return d;
}

int ap_intern_add(struct ap_intern *in, struct ap_str s, uint32_t *ret_id, bool *ret_new)
{
	uint32_t hash = (uint32_t)XXH3_64bits(s.p, s.n);
	struct entry e = {.n = (uint32_t)s.n, .hash = hash};
	size_t i = slot_of(in, s, hash);

	if (ret_new)
		*ret_new = in->slots[i] == 0;
	if (in->slots[i]) {
		*ret_id = in->slots[i] - 1;
		return 0;
	}
	if (in->entries.n >= UINT32_MAX - 1 || s.n >= UINT32_MAX)
		return -EOVERFLOW;
	if ((in->entries.n + 1) > in->n_slots / 4 * 3) {
		if (make_slots(in, in->entries.n + 1) < 0)
			return -ENOMEM;
		i = slot_of(in, s, hash);
	}
	e.p = copy(in, s);
	if (!e.p || ap_vec_push(&in->entries, e) < 0)
		return -ENOMEM;
	in->slots[i] = (uint32_t)in->entries.n;
	*ret_id = (uint32_t)in->entries.n - 1;
	return 0;
}

int ap_intern_find(const struct ap_intern *in, struct ap_str s, uint32_t *ret_id)
{
	size_t i = slot_of(in, s, (uint32_t)XXH3_64bits(s.p, s.n));

	if (!in->slots[i])
		return -ENOENT;
	*ret_id = in->slots[i] - 1;
	return 0;
}

struct ap_str ap_intern_get(const struct ap_intern *in, uint32_t id)
{
	return id < in->entries.n ? view(&in->entries.p[id]) : AP_STR("");
}

uint32_t ap_intern_count(const struct ap_intern *in)
{
	return (uint32_t)in->entries.n;
}

size_t ap_intern_bytes(const struct ap_intern *in)
{
	return in->arena.used + in->entries.cap * sizeof(struct entry) +
	       in->n_slots * sizeof(*in->slots);
}
