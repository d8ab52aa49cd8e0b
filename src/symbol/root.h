/* SPDX-License-Identifier: Apache-2.0 */
/* Files as a process sees them, which may be in a container: looked up below the process's own
 * root, where no link leads out of it, and opened only if they are regular, without waiting. */
#ifndef AP_SYMBOL_ROOT_H
#define AP_SYMBOL_ROOT_H

#include "base/macro.h"

/* A descriptor (O_PATH) of the process's root folder, of our own for `pid` 0; or -errno. */
int ap_root_open(uint32_t pid);
/* Whether it is our own root. */
bool ap_root_is_own(int root);
/* `path`, absolute or not, opened for reading below `root`: the descriptor; -EINVAL: not a regular
 * file; -errno. */
int ap_root_open_regular(int root, const char *path);

#endif
