/* SPDX-License-Identifier: Apache-2.0 */
/* A typed growable array:
 *
 *	AP_VEC(uint32_t) ids = {0};
 *	if (ap_vec_push(&ids, 7) < 0)
 *		return -ENOMEM;
 *
 * Elements move when it grows: hold indices, not pointers. */
#ifndef AP_BASE_VEC_H
#define AP_BASE_VEC_H

#include "base/macro.h"

#define AP_VEC(type)           \
	struct {               \
		type *p;       \
		size_t n, cap; \
	}

/* Makes room for `need` elements in all; 0 or -ENOMEM. */
int ap_vec_grow_raw(void **p, size_t *cap, size_t need, size_t elem);

#define ap_vec_reserve(v, more)      \
	((v)->n + (more) <= (v)->cap \
		 ? 0                 \
		 : ap_vec_grow_raw((void **)&(v)->p, &(v)->cap, (v)->n + (more), sizeof(*(v)->p)))

#define ap_vec_push(v, value)                          \
	({                                             \
		int _r = ap_vec_reserve(v, (size_t)1); \
		if (_r == 0)                           \
			(v)->p[(v)->n++] = (value);    \
		_r;                                    \
	})

#define ap_vec_free(v)                 \
	do {                           \
		free((v)->p);          \
		(v)->p = NULL;         \
		(v)->n = (v)->cap = 0; \
	} while (0)

/* The index of the first of `count` elements for which `condition` of the pointer `it` holds, found by halves: it must
 * hold for all that follow one for which it does. `count` where it holds for none. */
#define ap_first(array, count, it, condition)                           \
	({                                                              \
		size_t _low = 0, _high = (count);                       \
		while (_low < _high) {                                  \
			size_t _middle = _low + (_high - _low) / 2;     \
			__typeof__(&(array)[0]) it = &(array)[_middle]; \
			if (condition)                                  \
				_high = _middle;                        \
			else                                            \
				_low = _middle + 1;                     \
		}                                                       \
		_low;                                                   \
	})

#define AP_VEC_FOREACH(v, it) \
	for (__typeof__(*(v)->p) *it = (v)->p; it && it < (v)->p + (v)->n; it++)

#endif
