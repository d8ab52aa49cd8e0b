/* SPDX-License-Identifier: Apache-2.0 */
/* The searches of bpf/tree.bpf.h, in trees laid out as the kernels lay theirs out. */
#include "../test.h"

#include "base/macro.h"

#define MAPPINGS  400
#define NODES_MAX 64
#define FIRST	  0x10000ull
#define STEP	  0x3000ull /* from start to start; a third of it is no mapping's */
#define BYTES	  0x2000ull

struct node {
	uint64_t words[32];
} __attribute__((aligned(256)));

struct mapping {
	uint64_t start, end;
	uint64_t rb[3]; /* struct rb_node: parent and color, right, left */
};

static struct {
	struct node nodes[NODES_MAX];
	struct mapping mappings[MAPPINGS];
} memory;

static uint64_t kernel_word(uint64_t address)
{
	uint64_t at = address - (uint64_t)&memory, v = 0;

	if (ap_range_ok(at, sizeof(v), sizeof(memory)))
		memcpy(&v, (const char *)&memory + at, sizeof(v));
	return v;
}

#include "bpf/tree.bpf.h"

/* --- maple trees */

/* An entry of a node, for the addresses up to and including `last`. */
struct entry {
	uint64_t last, value;
};

static uint64_t pointer_to(const struct node *n, uint64_t type)
{
	return (uint64_t)n | type << 3 | 4;
}

/* One level: as many nodes as it takes of the given type, of whose entries the last has no pivot
 * where the node is full. Returns their number; the entries become those of the nodes. */
static size_t make_level(struct entry *entries, size_t n, uint64_t type, size_t *next_node)
{
	size_t slots = type == AP_MAPLE_ARANGE ? 10 : 16, made = 0;

	for (size_t i = 0; i < n; i += slots) {
		struct node *node = &memory.nodes[(*next_node)++];
		size_t count = AP_MIN(slots, n - i);

		assert_true(*next_node <= NODES_MAX);
		for (size_t k = 0; k < count; k++) {
			if (k < slots - 1)
				node->words[1 + k] = entries[i + k].last;
			node->words[(type == AP_MAPLE_ARANGE ? 10 : 16) + k] = entries[i + k].value;
		}
		entries[made++] =
			(struct entry){entries[i + count - 1].last, pointer_to(node, type)};
	}
	return made;
}

static uint64_t maple_tree(size_t n_mappings)
{
	static struct entry entries[2 * MAPPINGS + 1];
	size_t n = 0, next_node = 0;
	uint64_t type = AP_MAPLE_LEAF;

	memset(&memory, 0, sizeof(memory));
	for (size_t i = 0; i < n_mappings; i++) {
		uint64_t start = FIRST + i * STEP;

		memory.mappings[i] = (struct mapping){.start = start, .end = start + BYTES};
		entries[n++] = (struct entry){start - 1, 0};
		entries[n++] = (struct entry){start + BYTES - 1, (uint64_t)&memory.mappings[i]};
	}
	entries[n++] = (struct entry){UINT64_MAX, 0};
	do {
		n = make_level(entries, n, type, &next_node);
		type = AP_MAPLE_ARANGE;
	} while (n > 1);
	return entries[0].value | 2;
}

static void check_maple(uint64_t root, size_t n_mappings)
{
	for (size_t i = 0; i < n_mappings; i++) {
		uint64_t start = FIRST + i * STEP, vma = (uint64_t)&memory.mappings[i];

		assert_int_equal(ap_maple_find(root, start), vma);
		assert_int_equal(ap_maple_find(root, start + BYTES - 1), vma);
		assert_int_equal(ap_maple_find(root, start - 1), 0);
		assert_int_equal(ap_maple_find(root, start + BYTES), 0);
	}
	assert_int_equal(ap_maple_find(root, 0), 0);
	assert_int_equal(ap_maple_find(root, UINT64_MAX - 1), 0);
}

static void finds_every_mapping_in_a_maple_tree(void **state)
{
	for (size_t n = 1; n < MAPPINGS; n += 7)
		check_maple(maple_tree(n), n);
}

static void a_dead_maple_node_tells_nothing(void **state)
{
	uint64_t root = maple_tree(MAPPINGS);

	assert_int_not_equal(ap_maple_find(root, FIRST), 0);
	memory.nodes[0].words[0] = (uint64_t)&memory.nodes[0];
	assert_int_equal(ap_maple_find(root, FIRST), 0);
	assert_int_not_equal(ap_maple_find(root, FIRST + (MAPPINGS - 1) * STEP), 0);
}

/* --- red-black trees; the colors make no difference to a search */

#define RB_AT	 offsetof(struct mapping, rb)
#define RB_START ((int64_t)offsetof(struct mapping, start) - (int64_t)RB_AT)
#define RB_END	 ((int64_t)offsetof(struct mapping, end) - (int64_t)RB_AT)

static uint64_t rb_tree(size_t from, size_t to)
{
	size_t middle = from + (to - from) / 2;
	struct mapping *m = &memory.mappings[middle];

	if (from >= to)
		return 0;
	m->start = FIRST + middle * STEP;
	m->end = m->start + BYTES;
	m->rb[0] = 1;
	m->rb[1] = rb_tree(middle + 1, to);
	m->rb[2] = rb_tree(from, middle);
	return (uint64_t)m->rb;
}

static uint64_t rb_find(uint64_t root, uint64_t address)
{
	uint64_t node = ap_rb_find(root, address, RB_START, RB_END);

	return node ? node - RB_AT : 0;
}

static void finds_every_mapping_in_a_red_black_tree(void **state)
{
	for (size_t n = 1; n < MAPPINGS; n += 7) {
		uint64_t root;

		memset(&memory, 0, sizeof(memory));
		root = rb_tree(0, n);
		for (size_t i = 0; i < n; i++) {
			uint64_t start = FIRST + i * STEP, vma = (uint64_t)&memory.mappings[i];

			assert_int_equal(rb_find(root, start), vma);
			assert_int_equal(rb_find(root, start + BYTES - 1), vma);
			assert_int_equal(rb_find(root, start - 1), 0);
			assert_int_equal(rb_find(root, start + BYTES), 0);
		}
	}
	assert_int_equal(rb_find(0, FIRST), 0);
}

/* What a search reads in the midst of a change can be anything. */
static void ends_whatever_the_memory_holds(void **state)
{
	uint64_t root = maple_tree(MAPPINGS), n_words = sizeof(memory) / 8;
	uint64_t *words = (void *)&memory;

	srandom(1);
	for (int round = 0; round < 20000; round++) {
		uint64_t i = (uint64_t)random() % n_words, to = (uint64_t)random() % NODES_MAX;

		words[i] = random() & 1 ? (uint64_t)random() << 33
					: pointer_to(&memory.nodes[to], (uint64_t)random() & 3);
		ap_maple_find(root, FIRST + (uint64_t)random() % (MAPPINGS * STEP));
		ap_rb_find((uint64_t)&words[i], (uint64_t)random(), RB_START, RB_END);
	}
	/* A ring of two. */
	rb_tree(0, 2);
	memory.mappings[0].rb[1] = (uint64_t)memory.mappings[0].rb;
	assert_int_equal(rb_find((uint64_t)memory.mappings[0].rb, FIRST + STEP), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_every_mapping_in_a_maple_tree),
		cmocka_unit_test(a_dead_maple_node_tells_nothing),
		cmocka_unit_test(finds_every_mapping_in_a_red_black_tree),
		cmocka_unit_test(ends_whatever_the_memory_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
