/* SPDX-License-Identifier: Apache-2.0 */
#include "base/vec.h"

int ap_vec_grow_raw(void **p, size_t *cap, size_t need, size_t elem)
{
	size_t want = AP_MAX(*cap + *cap / 2, (size_t)8), bytes;
	void *q;

	if (want < need)
		want = need;
	if (!ap_size_mul(want, elem, &bytes))
		return -ENOMEM;
	q = realloc(*p, bytes);
	if (!q)
		return -ENOMEM;
	*p = q;
	*cap = want;
	return 0;
}
