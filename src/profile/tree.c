/* SPDX-License-Identifier: Apache-2.0 */
/* The builder: a node per distinct call path, found by (parent, symbol) in one flat hash table whose
 * slots hold the key, so that a step costs one cache line. Values sit on the node where the stack
 * ends; totals are summed once, when the tree is finished. */
#include "profile/tree.h"

#include "profile/tree_builder.h"

enum { SLOTS_MIN = 1024 };

struct ap_tree_builder *ap_tree_builder_new(void)
{
	struct ap_tree_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->n_slots = SLOTS_MIN;
	b->slots = calloc(b->n_slots, sizeof(*b->slots));
	b->strings = ap_intern_new();
	b->symbols = ap_intern_new();
	if (!b->slots || !b->strings || !b->symbols ||
	    ap_vec_push(&b->nodes, (struct ap_tree_node){0}) < 0) {
		ap_tree_builder_free(b);
		return NULL;
	}
	return b;
}

void ap_tree_builder_free(struct ap_tree_builder *b)
{
	if (!b)
		return;
	ap_intern_free(b->strings);
	ap_intern_free(b->symbols);
	ap_vec_free(&b->syms);
	ap_vec_free(&b->nodes);
	ap_vec_free(&b->path);
	free(b->slots);
	free(b);
}

size_t ap_tree_builder_bytes(const struct ap_tree_builder *b)
{
	return sizeof(*b) + ap_intern_bytes(b->strings) + ap_intern_bytes(b->symbols) +
	       b->syms.cap * sizeof(*b->syms.p) + b->nodes.cap * sizeof(*b->nodes.p) +
	       b->path.cap * sizeof(*b->path.p) + b->n_slots * sizeof(*b->slots);
}

/* Takes over what an earlier mention of the symbol did not know. */
static int complete_symbol(struct ap_tree_builder *b, struct ap_tree_sym *sym,
			   const struct ap_tree_symbol *s)
{
	int r;

	if (sym->file || !s->file.n)
		return 0;
	r = ap_intern_add(b->strings, s->file, &sym->file, NULL);
	if (r == 0)
		sym->line = s->line;
	return r;
}

int ap_tree_symbol(struct ap_tree_builder *b, const struct ap_tree_symbol *s, uint32_t *ret_sym)
{
	struct ap_str name = s->name.n ? s->name : AP_STR("(unknown)");
	struct ap_tree_sym sym = {.line = s->line, .kind = s->kind};
	uint32_t key[3], id;
	bool is_new;
	int r;

	if ((unsigned int)s->kind >= AP_FRAME_KIND_MAX)
		return -EINVAL;
	r = ap_intern_add(b->strings, name, &sym.name, NULL);
	if (r == 0)
		r = ap_intern_add(b->strings, s->module, &sym.module, NULL);
	if (r == 0)
		r = ap_vec_reserve(&b->syms, (size_t)1);
	if (r < 0)
		return r;
	key[0] = sym.name;
	key[1] = sym.module;
	key[2] = sym.kind;
	r = ap_intern_add(b->symbols, (struct ap_str){(const char *)key, sizeof(key)}, &id,
			  &is_new);
	if (r < 0)
		return r;
	if (is_new)
		b->syms.p[b->syms.n++] = sym;
	r = complete_symbol(b, &b->syms.p[id - 1], s);
	if (r < 0)
		return r;
	*ret_sym = id - 1;
	return 0;
}

static size_t slot_hash(uint32_t parent, uint32_t sym)
{
	uint64_t h = ((uint64_t)parent << 32 | sym) * 0x9e3779b97f4a7c15ull;

	return h ^ h >> 32;
}

/* The slot of a child, or the empty one where it belongs. */
static struct ap_tree_slot *find_slot(struct ap_tree_slot *slots, size_t n_slots, uint32_t parent,
				      uint32_t sym)
{
	size_t i = slot_hash(parent, sym) & (n_slots - 1);

	while (slots[i].node && (slots[i].parent != parent || slots[i].sym != sym))
		i = (i + 1) & (n_slots - 1);
	return &slots[i];
}

static int grow_slots(struct ap_tree_builder *b)
{
	size_t n = b->n_slots * 2;
	struct ap_tree_slot *slots = calloc(n, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < b->n_slots; i++)
		if (b->slots[i].node)
			*find_slot(slots, n, b->slots[i].parent, b->slots[i].sym) = b->slots[i];
	free(b->slots);
	b->slots = slots;
	b->n_slots = n;
	return 0;
}

static int child_of(struct ap_tree_builder *b, uint32_t parent, uint32_t sym, uint32_t *ret_node)
{
	struct ap_tree_slot *slot = find_slot(b->slots, b->n_slots, parent, sym);
	int r;

	if (slot->node) {
		*ret_node = slot->node;
		return 0;
	}
	if (b->nodes.n >= UINT32_MAX)
		return -ENOMEM;
	if (b->nodes.n * 3 > b->n_slots * 2) {
		r = grow_slots(b);
		if (r < 0)
			return r;
		slot = find_slot(b->slots, b->n_slots, parent, sym);
	}
	r = ap_vec_push(&b->nodes, ((struct ap_tree_node){.parent = parent, .sym = sym}));
	if (r < 0)
		return r;
	*ret_node = (uint32_t)b->nodes.n - 1;
	*slot = (struct ap_tree_slot){parent, sym, *ret_node};
	return 0;
}

int ap_tree_add(struct ap_tree_builder *b, const uint32_t *syms, uint32_t n, uint64_t value,
		unsigned int side)
{
	uint32_t node = 0, i = 0;
	int r;

	if (side > 1)
		return -EINVAL;
	for (uint32_t k = 0; k < n; k++)
		if (syms[k] >= b->syms.n)
			return -EINVAL;
	if (value == 0)
		return 0;
	while (i < n && i < b->path.n && b->path.p[i].sym == syms[i])
		node = b->path.p[i++].node;
	b->path.n = i;
	r = ap_vec_reserve(&b->path, (size_t)(n - i));
	if (r < 0)
		return r;
	for (; i < n; i++) {
		r = child_of(b, node, syms[i], &node);
		if (r < 0)
			return r;
		b->path.p[b->path.n++] = (struct ap_tree_path_step){syms[i], node};
	}
	b->nodes.p[node].self[side] = ap_sum_saturating(b->nodes.p[node].self[side], value);
	return 0;
}

void ap_tree_totals(const struct ap_tree_builder *b, unsigned int side, uint64_t *total)
{
	const struct ap_tree_node *nodes = b->nodes.p;

	for (size_t i = 0; i < b->nodes.n; i++)
		total[i] = nodes[i].self[side];
	for (size_t i = b->nodes.n - 1; i > 0; i--)
		total[nodes[i].parent] = ap_sum_saturating(total[nodes[i].parent], total[i]);
}
