/* SPDX-License-Identifier: Apache-2.0 */
/* A known set of call stacks: every path through four levels of three functions each, all equally
 * hot. Used to compare two profilers' stacks. */
#include <stdlib.h>

#define KEEP __attribute__((noinline, noclone))

static volatile unsigned long sink;

KEEP static unsigned long burn(unsigned long n)
{
	unsigned long sum = n;

	for (unsigned long i = 0; i < 60000; i++)
		sum += sum >> 3 ^ i;
	return sum;
}

#define LEVEL(name, a, b, c)                                                 \
	KEEP static unsigned long name(unsigned long n)                      \
	{                                                                    \
		volatile unsigned long room[sizeof(#name)];                  \
                                                                             \
		room[n % sizeof(#name)] = n;                                 \
		return a(n) + b(n + 1) + c(n + 2) + room[n % sizeof(#name)]; \
	}
LEVEL(leaf_one, burn, burn, burn)
LEVEL(leaf_second, burn, burn, burn)
LEVEL(leaf_the_third, burn, burn, burn)
LEVEL(twig_one, leaf_one, leaf_second, leaf_the_third)
LEVEL(twig_second, leaf_one, leaf_second, leaf_the_third)
LEVEL(twig_the_third, leaf_one, leaf_second, leaf_the_third)
LEVEL(branch_one, twig_one, twig_second, twig_the_third)
LEVEL(branch_second, twig_one, twig_second, twig_the_third)
LEVEL(branch_the_third, twig_one, twig_second, twig_the_third)

KEEP static int by_value(const void *a, const void *b)
{
	sink += burn(*(const unsigned char *)a);
	return *(const unsigned char *)a - *(const unsigned char *)b;
}

KEEP static void through_libc(void)
{
	unsigned char bytes[] = "eight by";

	qsort(bytes, sizeof(bytes) - 1, 1, by_value);
}

int main(void)
{
	for (;;) {
		sink += branch_one(1) + branch_second(2) + branch_the_third(3);
		through_libc();
	}
}
