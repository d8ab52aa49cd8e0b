/* SPDX-License-Identifier: Apache-2.0 */
/* Names as D compilers mangle them, as their authors wrote them. Those of C++ and Rust blazesym reads. */
#ifndef AP_SYMBOL_DEMANGLE_H
#define AP_SYMBOL_DEMANGLE_H

#include "base/macro.h"

enum { AP_DEMANGLE_NAME_MAX = 4096 }; /* bytes; longer ones are not read */

/* Of "_D4main3fooFiZi" "main.foo(int)", to be freed. 0; -ENOENT: no D name, or one that is too long
 * either way; -ETIME: a name made to take time and memory without bound, which were spent up to
 * a bound; -EAGAIN: the system has no timer to spare; -ENOMEM. */
int ap_demangle_d(const char *name, char **ret);

#endif
