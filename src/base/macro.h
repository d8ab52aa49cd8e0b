/* SPDX-License-Identifier: Apache-2.0 */
/* Language glue: clean-up attributes, ownership transfer, overflow-safe arithmetic. */
#ifndef AP_BASE_MACRO_H
#define AP_BASE_MACRO_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define AP_ARRAY_SIZE(a)		   (sizeof(a) / sizeof((a)[0]))
#define AP_MIN(a, b)			   ((a) < (b) ? (a) : (b))
#define AP_MAX(a, b)			   ((a) > (b) ? (a) : (b))
#define AP_LIKELY(x)			   __builtin_expect(!!(x), 1)
#define AP_UNLIKELY(x)			   __builtin_expect(!!(x), 0)
#define AP_PRINTF(f, a)			   __attribute__((format(printf, f, a)))
#define AP_MUST_USE			   __attribute__((warn_unused_result))
#define ap_container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* Hands a pointer's ownership on: yields its value and leaves NULL behind. */
#define AP_TAKE_PTR(p)                     \
	({                                 \
		__typeof__(p) *_pp = &(p); \
		__typeof__(p) _v = *_pp;   \
		*_pp = NULL;               \
		_v;                        \
	})

/* The same for a file descriptor: leaves -1 behind. */
#define AP_TAKE_FD(fd)            \
	({                        \
		int *_fp = &(fd); \
		int _v = *_fp;    \
		*_fp = -1;        \
		_v;               \
	})

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Defines ap_cleanup_NAME(), for `_cleanup_(ap_cleanup_NAME) TYPE *v`, from a free function that
 * accepts NULL. */
#define AP_DEFINE_CLEANUP(name, type, func)            \
	static inline void ap_cleanup_##name(type **p) \
	{                                              \
		if (*p)                                \
			func(*p);                      \
	}

static inline void ap_cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void ap_cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define _cleanup_free_ _cleanup_(ap_cleanup_free)
#define _cleanup_fd_   _cleanup_(ap_cleanup_fd)

/* Overflow-safe arithmetic on sizes that come from outside. False: the result does not fit. */
static inline bool ap_size_add(size_t a, size_t b, size_t *ret)
{
	return !__builtin_add_overflow(a, b, ret);
}

static inline bool ap_size_mul(size_t a, size_t b, size_t *ret)
{
	return !__builtin_mul_overflow(a, b, ret);
}

/* Whether [off, off + len) lies within a buffer of `size` bytes. */
static inline bool ap_range_ok(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

#endif
