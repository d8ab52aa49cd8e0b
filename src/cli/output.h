/* SPDX-License-Identifier: Apache-2.0 */
/* The file that a subcommand writes. It is opened before the work begins, so that an hour's
 * recording is not lost to a missing folder, and appears under its name only when it is whole. */
#ifndef AP_CLI_OUTPUT_H
#define AP_CLI_OUTPUT_H

#include "base/error.h"
#include "profile/format.h"

struct ap_output {
	char *path; /* for messages: "-" is stdout */
	char *temp; /* what is renamed to `path` at the end; NULL: written in place */
	int fd;
	uint64_t bytes;		      /* written so far */
	bool (*cancelled)(void *ctx); /* asked at each piece; NULL: never */
	void *ctx;
};

#define AP_OUTPUT_INIT {.fd = -1}

/* `path`: "-" is stdout, another existing file is replaced at the end (a device or pipe is written
 * in place). NULL: the first of profile.EXT, profile-2.EXT, … that does not exist. */
int ap_output_open(struct ap_output *o, const char *path, const char *extension,
		   struct ap_error *err);
/* A sink for ap_format_write() with ctx = struct ap_output *; -ECANCELED once cancelled. */
int ap_output_write(void *ctx, const void *p, size_t n);
/* Puts the file in its place. */
int ap_output_commit(struct ap_output *o, struct ap_error *err);
/* Removes what has not been committed and frees everything. */
void ap_output_close(struct ap_output *o);
#define _cleanup_output_ _cleanup_(ap_output_close)

#endif
