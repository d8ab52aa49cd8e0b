/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* How functions are declared that are compiled for BPF and for the host. */
#ifndef AP_BPF_FUNCTION_BPF_H
#define AP_BPF_FUNCTION_BPF_H

#define AP_INLINE static inline __attribute__((always_inline))
/* Out of the way of what is often, and of its stack; the verifier follows each call. */
#define AP_RARE static __attribute__((noinline, unused))
#ifdef __bpf__
/* Global: the verifier checks it once and not at each call. */
#define AP_WALK_FUNCTION __attribute__((noinline))
#else
#define AP_WALK_FUNCTION static inline
#endif

/* Odd, with bits all over: multiplied by them, numbers spread. */
#define AP_MIX_1 0x9e3779b97f4a7c15ull
#define AP_MIX_2 0xc2b2ae3d27d4eb4full

#endif
