/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of base/config share. */
#ifndef AP_BASE_CONFIG_INTERNAL_H
#define AP_BASE_CONFIG_INTERNAL_H

#include "base/config.h"

/* Gives option `i` a value. `place` is where it came from, as a message begins: "--frequency",
 * "APERTURE_FREQUENCY", "/etc/aperture/aperture.yaml:3: frequency". A list takes the elements of "a,b" if `split`, else one element; it
 * grows while values come from the same kind of source and starts anew with the first one from a
 * stronger kind. */
int ap_config_set(struct ap_config *cfg, size_t i, struct ap_str text, bool split,
		  struct ap_config_origin origin, const char *place, struct ap_error *err);
/* Starts option `i`, a list, anew. */
void ap_config_clear_list(struct ap_config *cfg, size_t i, struct ap_config_origin origin);
/* Index of the option of that name, or -1. */
ssize_t ap_config_find(const struct ap_program *program, struct ap_str name);
/* Appends the value of an option as a YAML value; false where it has none. */
bool ap_config_value_text(const struct ap_config *cfg, size_t i, struct ap_buf *out);

/* Reads the file into the options that it names. A file that does not exist is an error only if
 * `required`. */
int ap_config_read_file(struct ap_config *cfg, const char *path, bool required,
			struct ap_error *err);
/* The same from bytes; `path` is for messages. */
int ap_config_read_yaml(struct ap_config *cfg, const char *path, struct ap_str yaml,
			struct ap_error *err);

/* "APERTURE_FLUSH_INTERVAL" for "flush-interval". */
void ap_config_env_name(const char *option, struct ap_buf *out);
/* Bytes from outside made fit for one line of a message: cut at 60 bytes, no control characters. */
const char *ap_config_quote(struct ap_str s, char buf[static 72]);
/* "; did you mean X?" or "". */
const char *ap_config_hint(struct ap_str word, const char *const *names, const char *prefix,
			   char buf[static 96]);
/* The names of the options that a source of that kind may set, NULL-terminated; the array is the
 * caller's to free, NULL = out of memory. */
const char **ap_config_names(const struct ap_program *program, enum ap_config_from from);

#endif
