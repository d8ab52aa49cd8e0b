/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `aperture symbols` share; see symbols.c for the command. */
#ifndef AP_CLI_SYMBOLS_H
#define AP_CLI_SYMBOLS_H

#include <jansson.h>

#include "cli/cli.h"
#include "http/client.h"

struct ap_symbols_settings {
	char *server;
	uint32_t format; /* enum ap_symbols_format */
	char *from, *to, *filter;
	uint64_t limit;
	struct ap_strings debug_dirs;
};

enum ap_symbols_format { AP_SYMBOLS_TEXT, AP_SYMBOLS_JSON };

struct ap_symbols {
	const struct ap_program *program;
	const struct ap_symbols_settings *set;
	struct ap_http_client *client;
};

/* Both return the exit status, having said what went wrong. */
int ap_symbols_missing(const struct ap_symbols *s);
/* `paths`: files, and folders of them; NULL-terminated. */
int ap_symbols_push(const struct ap_symbols *s, char *const *paths);

#endif
