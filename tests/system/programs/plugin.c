/* SPDX-License-Identifier: Apache-2.0 */
/* A library that lives for a millisecond: built several times with another PAD, so that its code
 * lies elsewhere in each. */
#ifndef PAD
#define PAD 0
#endif
#define KEEP __attribute__((noinline, noclone, used))

KEEP static unsigned long filler(unsigned long x)
{
	volatile unsigned long room[8 + PAD];

#pragma GCC unroll 64
	for (int i = 0; i < PAD; i++)
		room[i] = x ^ (unsigned long)i;
	return room[0];
}

KEEP static unsigned long inner(unsigned long (*call)(unsigned long), unsigned long n)
{
	volatile unsigned long room[16 + PAD];
	unsigned long sum = 0;

	for (unsigned long i = 0; i < n; i++) {
		room[i % 16] = i;
		sum += room[(i + 3) % 16] ^ sum >> 7;
	}
	return sum + call(n / 4) + filler(n);
}

unsigned long plugin_run(unsigned long (*call)(unsigned long), unsigned long n);
unsigned long plugin_run(unsigned long (*call)(unsigned long), unsigned long n)
{
	return inner(call, n) + 1;
}
