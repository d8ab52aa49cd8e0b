/* SPDX-License-Identifier: Apache-2.0 */
/* The demo's services: processes whose hot functions are known, for a first look at Aperture on an
 * idle machine and for its tests. Each worker thread repeats a task and sleeps in between, so that
 * it takes a set share of one core and no more. */
#ifndef AP_DEMO_DEMO_H
#define AP_DEMO_DEMO_H

#include <stddef.h>
#include <stdint.h>

/* A function that keeps its name, its frame and its calls. */
#define DEMO_FUNCTION __attribute__((noinline, noclone, noipa)) static

struct demo_worker {
	const char *thread;		/* name, at most 15 bytes */
	double share;			/* of one core, 0 … 1 */
	void (*task)(uint64_t *random); /* a few milliseconds of work at most */
};

/* Runs the workers until SIGTERM or SIGINT; the process's exit status. */
int demo_serve(const struct demo_worker *workers, size_t n);

/* A next pseudo-random number (xorshift64). */
static inline uint64_t demo_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Gives a function that calls no other a frame: without one, frame pointers miss its caller. */
#define demo_frame() demo_keep(__builtin_frame_address(0))

/* Makes the compiler believe that a value is used. */
#define demo_keep(value) __asm__ volatile("" : : "g"(value) : "memory")

#endif
