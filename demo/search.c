/* SPDX-License-Identifier: Apache-2.0 */
/* A search service: posting lists, scores, a sort. */
#include <stdlib.h>
#include <string.h>

#include "demo.h"

#define TERMS	 3
#define POSTINGS 4096
#define RESULTS	 512

struct result {
	uint32_t document;
	uint32_t score;
};

struct query {
	uint32_t postings[TERMS][POSTINGS];
	uint32_t both[POSTINGS];
	struct result results[RESULTS];
	size_t n;
};

DEMO_FUNCTION void read_postings(uint32_t *list, uint64_t *random)
{
	uint32_t document = 0;

	demo_frame();
	for (size_t i = 0; i < POSTINGS; i++) {
		document += 1 + (uint32_t)(demo_random(random) & 1);
		list[i] = document;
	}
}

DEMO_FUNCTION size_t intersect_postings(const uint32_t *a, const uint32_t *b, uint32_t *ret)
{
	size_t i = 0, k = 0, n = 0;

	demo_frame();
	while (i < POSTINGS && k < POSTINGS) {
		if (a[i] == b[k]) {
			ret[n++] = a[i];
			i++;
			k++;
		} else if (a[i] < b[k]) {
			i++;
		} else {
			k++;
		}
	}
	return n;
}

DEMO_FUNCTION uint32_t score_document(uint32_t document)
{
	uint64_t h = document;

	demo_frame();
	for (unsigned int i = 0; i < 200; i++)
		h = h * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(h >> 40);
}

DEMO_FUNCTION void rank_results(struct query *q, size_t found)
{
	q->n = found < RESULTS ? found : RESULTS;
	for (size_t i = 0; i < q->n; i++)
		q->results[i] = (struct result){q->both[i], score_document(q->both[i])};
}

static int by_score(const void *a, const void *b)
{
	const struct result *x = a, *y = b;

	return x->score < y->score ? 1 : x->score > y->score ? -1 : 0;
}

DEMO_FUNCTION void sort_results(struct query *q)
{
	qsort(q->results, q->n, sizeof(q->results[0]), by_score);
}

static void handle_query(uint64_t *random)
{
	static __thread struct query q;

	for (unsigned int i = 0; i < 10; i++) {
		size_t found;

		for (size_t t = 0; t < TERMS; t++)
			read_postings(q.postings[t], random);
		found = intersect_postings(q.postings[0], q.postings[1], q.both);
		rank_results(&q, found);
		sort_results(&q);
		demo_keep(q.results[0].score);
	}
}

DEMO_FUNCTION void merge_segments(uint64_t *random)
{
	static __thread uint32_t a[POSTINGS], b[POSTINGS], merged[POSTINGS];

	read_postings(a, random);
	read_postings(b, random);
	demo_keep(intersect_postings(a, b, merged));
}

static void index_documents(uint64_t *random)
{
	for (unsigned int i = 0; i < 50; i++)
		merge_segments(random);
}

int main(void)
{
	static const struct demo_worker workers[] = {
		{"query", 0.09, handle_query},
		{"indexer", 0.03, index_documents},
	};

	return demo_serve(workers, 2);
}
