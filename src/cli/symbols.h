/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `aperture symbols` share; see symbols.c for the command. */
#ifndef AP_CLI_SYMBOLS_H
#define AP_CLI_SYMBOLS_H

#include "cli/remote.h"

struct ap_symbols_settings {
	struct ap_remote remote;
	char *from, *to, *filter;
	uint64_t limit;
	struct ap_strings debug_dirs;
};

/* The verbs. The operands of push are files, and folders of them. */
int ap_symbols_missing(struct ap_remote_call *c);
int ap_symbols_push(struct ap_remote_call *c);

#endif
