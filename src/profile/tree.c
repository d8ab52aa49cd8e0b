/* SPDX-License-Identifier: Apache-2.0 */
/* The builder: a node per distinct call path. Most nodes have one child, which was added right after
 * them by the same stack and is found there; the others, the heads of runs, are found by (parent,
 * symbol) in one flat hash table. Values sit on the node where the stack ends; totals are summed once,
 * when the tree is finished. Builders over another are made by tree_over.c. */
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
	b->strings = ap_intern_new_text();
	b->symbols = ap_intern_new_keys();
	if (!b->slots || !b->strings || !b->symbols ||
	    ap_vec_push(&b->nodes, ((struct ap_tree_node){0})) < 0 ||
	    ap_vec_push(&b->heads, 0) < 0) {
		ap_tree_builder_free(b);
		return NULL;
	}
	return b;
}

void ap_tree_builder_free(struct ap_tree_builder *b)
{
	if (!b)
		return;
	if (!b->over) {
		ap_intern_free(b->strings);
		ap_intern_free(b->symbols);
		ap_vec_free(&b->syms);
	}
	ap_vec_free(&b->nodes);
	ap_vec_free(&b->heads);
	ap_vec_free(&b->self[0]);
	ap_vec_free(&b->self[1]);
	ap_vec_free(&b->path);
	ap_vec_free(&b->ends);
	ap_vec_free(&b->chains);
	free(b->slots);
	free(b);
}

size_t ap_tree_builder_bytes(const struct ap_tree_builder *b)
{
	size_t n = sizeof(*b) + b->nodes.cap * sizeof(*b->nodes.p) +
		   (b->self[0].cap + b->self[1].cap) * sizeof(uint64_t) +
		   b->path.cap * sizeof(*b->path.p) + b->n_slots * sizeof(*b->slots) +
		   b->heads.cap * sizeof(*b->heads.p) + b->ends.cap * sizeof(*b->ends.p) +
		   b->chains.cap * sizeof(*b->chains.p);

	if (b->over)
		return n;
	return n + ap_intern_bytes(b->strings) + ap_intern_bytes(b->symbols) +
	       b->syms.cap * sizeof(*b->syms.p);
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

	if (b->over || (unsigned int)s->kind >= AP_FRAME_KIND_MAX)
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

/* The slot of a child that heads a run, or the empty one where it belongs. */
static uint32_t *find_slot(struct ap_tree_builder *b, uint32_t parent, uint32_t sym)
{
	size_t i = slot_hash(parent, sym) & (b->n_slots - 1);

	for (; b->slots[i]; i = (i + 1) & (b->n_slots - 1)) {
		const struct ap_tree_node *n = &b->nodes.p[b->slots[i]];

		if (n->parent == parent && n->sym == sym)
			break;
	}
	return &b->slots[i];
}

static int grow_slots(struct ap_tree_builder *b)
{
	uint32_t *slots = calloc(b->n_slots * 2, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	free(b->slots);
	b->slots = slots;
	b->n_slots *= 2;
	for (size_t i = 1; i < b->heads.n; i++) {
		const struct ap_tree_node *head = &b->nodes.p[b->heads.p[i]];

		*find_slot(b, head->parent, head->sym) = b->heads.p[i];
	}
	return 0;
}

int ap_tree_child(struct ap_tree_builder *b, uint32_t parent, uint32_t sym, uint32_t *ret_node)
{
	uint32_t next = parent + 1, *slot = NULL;
	int r = 0;

	if (next < b->nodes.n) {
		const struct ap_tree_node *node = &b->nodes.p[next];

		if (node->parent == parent && node->sym == sym) {
			*ret_node = next;
			return 0;
		}
		if (b->heads.n * 3 > b->n_slots * 2)
			r = grow_slots(b);
		if (r < 0)
			return r;
		slot = find_slot(b, parent, sym);
		if (*slot) {
			*ret_node = *slot;
			return 0;
		}
	}
	if (b->nodes.n >= UINT32_MAX)
		return -ENOMEM;
	r = ap_vec_push(&b->nodes, ((struct ap_tree_node){parent, sym}));
	if (r == 0 && slot)
		r = ap_vec_push(&b->heads, (uint32_t)b->nodes.n - 1);
	if (r < 0)
		return r;
	*ret_node = (uint32_t)b->nodes.n - 1;
	if (slot)
		*slot = *ret_node;
	return 0;
}

int ap_tree_add_self(struct ap_tree_builder *b, uint32_t node, uint64_t value, unsigned int side)
{
	int r = 0;

	while (r == 0 && b->self[side].n <= node)
		r = ap_vec_push(&b->self[side], 0);
	if (r == 0)
		b->self[side].p[node] = ap_sum_saturating(b->self[side].p[node], value);
	return r;
}

int ap_tree_path(struct ap_tree_builder *b, const uint32_t *syms, uint32_t n, uint32_t *ret_path)
{
	uint32_t node = 0, i = 0;
	int r;

	if (b->over)
		return -EINVAL;
	for (uint32_t k = 0; k < n; k++)
		if (syms[k] >= b->syms.n)
			return -EINVAL;
	while (i < n && i < b->path.n && b->path.p[i].sym == syms[i])
		node = b->path.p[i++].node;
	b->path.n = i;
	r = ap_vec_reserve(&b->path, (size_t)(n - i));
	for (; i < n && r == 0; i++) {
		r = ap_tree_child(b, node, syms[i], &node);
		if (r == 0)
			b->path.p[b->path.n++] = (struct ap_tree_path_step){syms[i], node};
	}
	if (r == 0)
		*ret_path = node;
	return r;
}

int ap_tree_add(struct ap_tree_builder *b, const uint32_t *syms, uint32_t n, uint64_t value,
		unsigned int side)
{
	uint32_t node;
	int r;

	if (side > 1)
		return -EINVAL;
	for (uint32_t k = 0; k < n && value == 0; k++)
		if (syms[k] >= b->syms.n)
			return -EINVAL;
	if (value == 0)
		return 0;
	r = ap_tree_path(b, syms, n, &node);
	return r < 0 ? r : ap_tree_add_self(b, node, value, side);
}

void ap_tree_totals(const struct ap_tree_builder *b, unsigned int side, uint64_t *total)
{
	const struct ap_tree_node *nodes = b->nodes.p;

	size_t n = b->self[side].n;

	if (n)
		memcpy(total, b->self[side].p, n * sizeof(*total));
	memset(total + n, 0, (b->nodes.n - n) * sizeof(*total));
	for (size_t i = b->nodes.n - 1; i > 0; i--)
		total[nodes[i].parent] = ap_sum_saturating(total[nodes[i].parent], total[i]);
}
