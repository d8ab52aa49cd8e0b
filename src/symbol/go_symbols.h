/* SPDX-License-Identifier: Apache-2.0 */
/* Functions, files, lines and inlined calls of Go programs, from the table that each carries for its
 * own runtime (unwind/gopclntab.h). It is asked before symbol tables and DWARF: it is there in
 * stripped programs too, needs no parsing, and names a function the same in every build. */
#ifndef AP_SYMBOL_GO_SYMBOLS_H
#define AP_SYMBOL_GO_SYMBOLS_H

#include "symbol/answers.h"

struct ap_go_symbols;

/* `fd` stays the caller's. `names_only`: no inlined calls, files and lines. -ENODATA and -ENOEXEC: not
 * a Go program; -ENOMEM; or -errno. */
int ap_go_symbols_open(int fd, bool names_only, struct ap_go_symbols **ret);
void ap_go_symbols_free(struct ap_go_symbols *g);
AP_DEFINE_CLEANUP(go_symbols, struct ap_go_symbols, ap_go_symbols_free)

/* Puts an answer for those of `addrs` that are in Go's functions, and moves the others, how many it
 * returns, to the front of `addrs`; -ENOMEM. */
ssize_t ap_go_symbols_find(struct ap_go_symbols *g, uint64_t *addrs, size_t n,
			   struct ap_answers *a);

#endif
