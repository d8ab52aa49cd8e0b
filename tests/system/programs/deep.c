/* SPDX-License-Identifier: Apache-2.0 */
/* Recurses 400 deep through frames of different sizes, one of which is only known at run time. */
#include <alloca.h>
#include <string.h>

#define KEEP  __attribute__((noinline, noclone))
#define DEPTH 400

static volatile unsigned long sink;
static unsigned long descend(unsigned int depth);

KEEP static unsigned long burn(unsigned int n)
{
	unsigned long sum = 0;

	for (unsigned int i = 0; i < n * 200; i++)
		sum += sum >> 5 ^ i;
	return sum;
}

KEEP static unsigned long small(unsigned int depth)
{
	return descend(depth) + 1;
}

KEEP static unsigned long large(unsigned int depth)
{
	volatile char room[700];

	room[depth % sizeof(room)] = (char)depth;
	return descend(depth) + (unsigned long)room[depth % sizeof(room)];
}

KEEP static unsigned long variable(unsigned int depth)
{
	char *room = alloca(16 + depth % 200);

	memset(room, (int)depth, 16 + depth % 200);
	return descend(depth) + (unsigned long)room[3];
}

KEEP static unsigned long aligned(unsigned int depth)
{
	volatile char room[96] __attribute__((aligned(64)));

	room[depth % 96] = (char)depth;
	return descend(depth) + (unsigned long)room[depth % 96];
}

KEEP static unsigned long descend(unsigned int depth)
{
	static unsigned long (*const by_kind[])(unsigned int) = {small, large, variable, aligned};
	unsigned long sum;

	if (depth == 0)
		return burn(1000);
	sum = by_kind[depth % 4](depth - 1);
	return sum + burn(1);
}

int main(void)
{
	for (;;)
		sink += descend(DEPTH / 2);
}
