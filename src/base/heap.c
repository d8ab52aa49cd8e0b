/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include <malloc.h>

void ap_heap_give_back(struct ap_heap_watch *w, size_t slack)
{
	size_t used = mallinfo2().uordblks;

	w->most = AP_MAX(w->most, used);
	if (w->most - used < slack)
		return;
	malloc_trim(0);
	w->most = used;
}
