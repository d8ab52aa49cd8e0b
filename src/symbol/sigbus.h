/* SPDX-License-Identifier: Apache-2.0 */
/* Reading mapped files that somebody may truncate.
 *
 * The parser maps files whole; if their owner cuts one short meanwhile, the kernel answers reads
 * past the end with SIGBUS. Within a guarded section the missing page reads as zeros instead, and
 * the section's end tells that it happened. Elsewhere SIGBUS keeps its meaning.
 */
#ifndef AP_SYMBOL_SIGBUS_H
#define AP_SYMBOL_SIGBUS_H

#include "base/macro.h"

/* Installs the handler, once for the process; the one there before still gets other signals. */
void ap_sigbus_install(void);
/* Begins a section in this thread; sections do not nest. */
void ap_sigbus_begin(void);
/* Ends it: whether a page was missing. */
bool ap_sigbus_end(void);

#endif
