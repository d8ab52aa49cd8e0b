/* SPDX-License-Identifier: Apache-2.0 */
/* Code that says nothing of itself and is found in every program: where ld.so and musl start, and the
 * functions _init and _fini, which the C library puts together from pieces (crti.o, crtn.o). */
#ifndef AP_UNWIND_STARTUP_H
#define AP_UNWIND_STARTUP_H

#include "unwind/sections.h"

/* Adds what `b` does not cover yet: 0, or an error of the builder. */
int ap_unwind_add_startup(const struct ap_unwind_elf *e, struct ap_table_builder *b);

#endif
