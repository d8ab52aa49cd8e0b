/* SPDX-License-Identifier: Apache-2.0 */
/* A shop's checkout. Every other minute its discounts turn quadratic, as if a bad release had gone
 * out: compare the two minutes to find it. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "demo.h"

#define ITEMS 64

struct cart {
	uint64_t price[ITEMS], quantity[ITEMS];
	uint64_t total, tax;
	char receipt[ITEMS * 40];
};

static int bad_release(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec / 60 % 2;
}

DEMO_FUNCTION void load_cart(struct cart *c, uint64_t *random)
{
	demo_frame();
	for (size_t i = 0; i < ITEMS; i++) {
		c->price[i] = demo_random(random) % 10000;
		c->quantity[i] = 1 + demo_random(random) % 5;
	}
	c->total = c->tax = 0;
}

DEMO_FUNCTION uint64_t discount_of_pair(const struct cart *c, size_t i, size_t k)
{
	demo_frame();
	return (c->price[i] * c->quantity[k] + c->price[k] * c->quantity[i]) / 100 % 7;
}

DEMO_FUNCTION void apply_discounts(struct cart *c)
{
	size_t reach = bad_release() ? ITEMS : 8;

	for (size_t i = 0; i < ITEMS; i++) {
		for (size_t k = 0; k < reach; k++)
			c->total -= discount_of_pair(c, i, (i + k) % ITEMS);
	}
}

DEMO_FUNCTION void compute_tax(struct cart *c)
{
	demo_frame();
	for (unsigned int round = 0; round < 40; round++) {
		for (size_t i = 0; i < ITEMS; i++)
			c->tax += c->price[i] * c->quantity[i] * (1900 + round) / 10000;
	}
}

DEMO_FUNCTION void price_cart(struct cart *c)
{
	for (size_t i = 0; i < ITEMS; i++)
		c->total += c->price[i] * c->quantity[i];
	apply_discounts(c);
	compute_tax(c);
}

DEMO_FUNCTION uint64_t hash_card_number(uint64_t h)
{
	demo_frame();
	for (unsigned int i = 0; i < 4000; i++)
		h = (h ^ (h >> 29)) * 0xbf58476d1ce4e5b9u + i;
	return h;
}

DEMO_FUNCTION void verify_card(uint64_t *random)
{
	demo_keep(hash_card_number(demo_random(random)));
}

DEMO_FUNCTION void format_receipt(struct cart *c)
{
	size_t n = 0;

	for (size_t i = 0; i < ITEMS; i += 4) {
		int w = snprintf(c->receipt + n, sizeof(c->receipt) - n, "%zu x %llu.%02llu\n", i,
				 (unsigned long long)c->price[i] / 100,
				 (unsigned long long)c->price[i] % 100);

		n += w > 0 ? (size_t)w : 0;
	}
	demo_keep(c->receipt[0]);
}

static void handle_checkout(uint64_t *random)
{
	struct cart c;

	for (unsigned int i = 0; i < 40; i++) {
		load_cart(&c, random);
		price_cart(&c);
		verify_card(random);
		format_receipt(&c);
	}
}

int main(void)
{
	static const struct demo_worker workers[] = {
		{"http-1", 0.06, handle_checkout},
		{"http-2", 0.06, handle_checkout},
	};

	return demo_serve(workers, 2);
}
