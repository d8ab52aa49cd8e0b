/* SPDX-License-Identifier: Apache-2.0 */
/* Running a parser over files from strangers without going down with it.
 *
 * blazesym maps files whole, and panics on some malformed DWARF; the library is built so that a
 * panic aborts. Within a guarded call
 * - a page that is gone, since the file's owner cut it short, reads as zeros instead of SIGBUS;
 * - abort() and running out of stack end the call. What it had allocated on its way is lost;
 *   objects that it was given can only be freed afterwards, in a guarded call too.
 * Elsewhere these signals keep their meaning.
 */
#ifndef AP_SYMBOL_GUARD_H
#define AP_SYMBOL_GUARD_H

#include "base/macro.h"

/* Calls fn(arg): 0; -EFAULT: it returned, but a page was missing; -ECANCELED: it was ended. Calls
 * do not nest. Installs its signal handlers at first, once for the process. */
int ap_guard_run(void (*fn)(void *arg), void *arg);

#endif
