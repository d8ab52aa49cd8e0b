/* SPDX-License-Identifier: Apache-2.0 */
/* Benchmarks: each is a row of the table in main.c and prints JSON lines, one per figure set. They
 * measure; nothing here passes or fails. */
#ifndef AP_BENCH_BENCH_H
#define AP_BENCH_BENCH_H

#include "base/clock.h"
#include "profile/profile.h"

/* The data set of the design's figures: services × stacks of depth about 30, seeded, so that every
 * run measures the same. */
enum { BENCH_SERVICES = 50, BENCH_STACKS = 2000, BENCH_DEPTH = 30 };

/* A small generator (splitmix64) with a state of its own. */
uint64_t bench_random(uint64_t *state);

/* A profile as one agent's batch: `rows` rows of service number `service`, at whole seconds from
 * `start_ns` on over `seconds`. Stacks follow a skewed distribution over the service's
 * BENCH_STACKS. Exits where memory is short. */
struct ap_profile *bench_profile(unsigned int service, uint32_t rows, int64_t start_ns,
				 uint32_t seconds, uint64_t seed);

/* Prints {"bench":NAME, then the printf'd members, and a closing brace. */
void bench_report(const char *name, const char *fmt, ...) AP_PRINTF(2, 3);
/* Ends the program with a message: a benchmark whose set-up fails measures nothing. */
void bench_fail(const char *what, const char *why) __attribute__((noreturn));
/* Sorts `ns` and gives the q-th quantile in milliseconds. */
double bench_quantile_ms(uint64_t *ns, size_t n, double q);

void bench_tree(void);
void bench_wire(void);
void bench_store(void);
void bench_rollup(void);
void bench_unwind(void);
void bench_syscall(void);

#endif
