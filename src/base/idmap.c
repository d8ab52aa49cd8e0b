/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing; a multiplication spreads ids that are not hashes too. */
#include "base/idmap.h"

void ap_idmap_free(struct ap_idmap *m)
{
	free(m->slots);
	*m = (struct ap_idmap){0};
}

static struct ap_idmap_slot *slot_of(const struct ap_idmap *m, uint64_t id)
{
	size_t i = (size_t)((id * 0x9e3779b97f4a7c15ull) >> 20) & (m->n_slots - 1);

	while (m->slots[i].used && m->slots[i].id != id)
		i = (i + 1) & (m->n_slots - 1);
	return &m->slots[i];
}

static int grow(struct ap_idmap *m)
{
	struct ap_idmap bigger = {.n_slots = m->n_slots ? m->n_slots * 2 : 16, .n = m->n};

	bigger.slots = calloc(bigger.n_slots, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_slots; i++)
		if (m->slots[i].used)
			*slot_of(&bigger, m->slots[i].id) = m->slots[i];
	free(m->slots);
	*m = bigger;
	return 0;
}

int ap_idmap_add(struct ap_idmap *m, uint64_t id, uint32_t value)
{
	struct ap_idmap_slot *s;

	if (m->n * 4 >= m->n_slots * 3 && grow(m) < 0)
		return -ENOMEM;
	s = slot_of(m, id);
	if (s->used)
		return 0;
	*s = (struct ap_idmap_slot){id, value, 1};
	m->n++;
	return 1;
}

uint32_t *ap_idmap_find(const struct ap_idmap *m, uint64_t id)
{
	struct ap_idmap_slot *s;

	if (!m->n_slots)
		return NULL;
	s = slot_of(m, id);
	return s->used ? &s->value : NULL;
}
