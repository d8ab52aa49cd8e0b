/* SPDX-License-Identifier: Apache-2.0 */
/* The heap keeps what is freed, unless it lies at its end. */
#ifndef AP_BASE_HEAP_H
#define AP_BASE_HEAP_H

#include "base/macro.h"

struct ap_heap_watch {
	size_t most; /* bytes in use, since pages were given back */
};

/* To be called now and then, by one thread: gives free pages back once `slack` bytes less are in use than there were. */
void ap_heap_give_back(struct ap_heap_watch *w, size_t slack);

#endif
