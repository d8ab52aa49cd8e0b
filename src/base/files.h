/* SPDX-License-Identifier: Apache-2.0 */
/* Files that come with the program. */
#ifndef AP_BASE_FILES_H
#define AP_BASE_FILES_H

#include "base/macro.h"

/* Where a file that belongs to the running program is: `installed` relative to the program's own
 * folder ("../share/aperture/ui"), else `in_tree` below one of the eight folders above it (a build
 * tree: "ui/dist"). An absolute path without links or
 * "..", to free; -ENOENT, -ENOMEM, or another error of realpath(). */
int ap_files_find(const char *installed, const char *in_tree, char **ret);

#endif
