/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's own symbols. Read here rather than by blazesym, which keeps a boxed string per
 * symbol and drops the module: of 120,000 lines only functions are kept, packed.
 *
 * Source: proc(5), /proc/kallsyms: "ADDRESS TYPE NAME [MODULE]", types as of nm(1). */
#ifndef AP_SYMBOL_KALLSYMS_H
#define AP_SYMBOL_KALLSYMS_H

#include "base/buf.h"

struct ap_kallsyms;

/* Whether addresses are shown, found out by the first of them: 0; -EACCES: the kernel shows every
 * address as 0; or -errno of opening. */
int ap_kallsyms_check(const char *path);
/* Errors of the same, and -ENOMEM. */
int ap_kallsyms_read(const char *path, struct ap_kallsyms **ret);
void ap_kallsyms_free(struct ap_kallsyms *k);
AP_DEFINE_CLEANUP(kallsyms, struct ap_kallsyms, ap_kallsyms_free)
size_t ap_kallsyms_bytes(const struct ap_kallsyms *k);

/* Appends "name" or "name [module]" of the function that holds `addr`; -ENOENT: none does. */
int ap_kallsyms_find(const struct ap_kallsyms *k, uint64_t addr, struct ap_buf *out);

/* Names of the data that hold `addrs`, which ascend: appends "name", "name+0x40", each perhaps with " [module]", to
 * names[i]; nothing where none is known. A kernel without CONFIG_KALLSYMS_ALL names no data. -EACCES, -ENOMEM, or
 * -errno of opening. */
int ap_kallsyms_objects(const char *path, const uint64_t *addrs, size_t n, struct ap_buf *names);

/* The address of a symbol of any type: 0; -ENOENT: there is none; -EACCES, or -errno of opening. */
int ap_kallsyms_address(const char *path, const char *name, uint64_t *ret);

#endif
