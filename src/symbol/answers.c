/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/answers.h"

#include <xxhash.h>

#include "base/intern.h"
#include "base/vec.h"

#define SLOTS_MIN 64u

struct slot {
	uint64_t addr;
	uint32_t first, n; /* in `levels` */
	bool used;
};

struct ap_answers {
	struct slot *slots; /* open addressing, a power of two, at most 3/4 full */
	size_t n_slots, n_used;
	AP_VEC(struct ap_symbol_level) levels;
	struct ap_intern *strings;
};

struct ap_answers *ap_answers_new(void)
{
	struct ap_answers *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->n_slots = SLOTS_MIN;
	a->slots = calloc(a->n_slots, sizeof(*a->slots));
	a->strings = ap_intern_new();
	if (!a->slots || !a->strings) {
		ap_answers_free(a);
		return NULL;
	}
	return a;
}

void ap_answers_free(struct ap_answers *a)
{
	if (!a)
		return;
	ap_intern_free(a->strings);
	ap_vec_free(&a->levels);
	free(a->slots);
	free(a);
}

size_t ap_answers_bytes(const struct ap_answers *a)
{
	return sizeof(*a) + a->n_slots * sizeof(*a->slots) +
	       a->levels.cap * sizeof(struct ap_symbol_level) + ap_intern_bytes(a->strings);
}

static struct slot *slot_of(struct slot *slots, size_t n, uint64_t addr)
{
	size_t i = XXH3_64bits(&addr, sizeof(addr)) & (n - 1);

	while (slots[i].used && slots[i].addr != addr)
		i = (i + 1) & (n - 1);
	return &slots[i];
}

bool ap_answers_get(const struct ap_answers *a, uint64_t addr, struct ap_symbol *ret)
{
	const struct slot *s = slot_of(a->slots, a->n_slots, addr);

	if (s->used)
		*ret = (struct ap_symbol){s->n ? a->levels.p + s->first : NULL, s->n};
	return s->used;
}

static int grow(struct ap_answers *a)
{
	size_t n = a->n_slots * 2;
	struct slot *slots;

	if (a->n_used * 4 < a->n_slots * 3)
		return 0;
	slots = calloc(n, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < a->n_slots; i++)
		if (a->slots[i].used)
			*slot_of(slots, n, a->slots[i].addr) = a->slots[i];
	free(a->slots);
	a->slots = slots;
	a->n_slots = n;
	return 0;
}

/* Names come from files of strangers, and the wire carries text. */
static int intern_utf8(struct ap_answers *a, struct ap_str s, struct ap_str *ret)
{
	_cleanup_free_ char *clean = NULL;
	uint32_t id;
	int err;

	if (!ap_str_utf8_ok(s)) {
		clean = ap_str_dup(s);
		if (!clean)
			return -ENOMEM;
		for (size_t i = 0; i < s.n; i++)
			if ((unsigned char)clean[i] >= 0x80)
				clean[i] = '?';
		s.p = clean;
	}
	err = ap_intern_add(a->strings, s, &id, NULL);
	if (err == 0)
		*ret = ap_intern_get(a->strings, id);
	return err < 0 ? -ENOMEM : 0;
}

static int copy_level(struct ap_answers *a, const struct ap_symbol_level *level)
{
	struct ap_symbol_level copy = *level;
	int err = intern_utf8(a, level->name, &copy.name);

	if (err == 0)
		err = intern_utf8(a, level->system_name, &copy.system_name);
	if (err == 0)
		err = intern_utf8(a, level->file, &copy.file);
	return err < 0 ? err : ap_vec_push(&a->levels, copy);
}

int ap_answers_put(struct ap_answers *a, uint64_t addr, const struct ap_symbol_level *levels,
		   uint32_t n)
{
	size_t first = a->levels.n;
	struct slot *s;
	int err = grow(a);

	if (err < 0)
		return err;
	s = slot_of(a->slots, a->n_slots, addr);
	if (s->used)
		return 0;
	for (uint32_t i = 0; i < n && err == 0; i++)
		err = copy_level(a, &levels[i]);
	if (err < 0) {
		a->levels.n = first;
		return err;
	}
	*s = (struct slot){.addr = addr, .first = (uint32_t)first, .n = n, .used = true};
	a->n_used++;
	return 0;
}
