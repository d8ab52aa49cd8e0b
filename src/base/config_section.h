/* SPDX-License-Identifier: Apache-2.0 */
/* A program's own section in the configuration file, for programs that set themselves up. */
#ifndef AP_BASE_CONFIG_SECTION_H
#define AP_BASE_CONFIG_SECTION_H

#include "base/error.h"
#include "base/str.h"

/* Appends `section` to the file, which is made where there is none, with its folder: `body` is its lines,
 * indented. -EEXIST: it has that section already, and is left as it is; others with `err`. */
int ap_config_add_section(const char *path, const char *section, struct ap_str body,
			  struct ap_error *err);
/* Appends `key: "value"` as a line of a section, quoted as YAML wants it. */
struct ap_buf;
void ap_config_put_key(struct ap_buf *out, const char *key, const char *value);

#endif
