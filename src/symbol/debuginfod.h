/* SPDX-License-Identifier: Apache-2.0 */
/* A client for debuginfod servers: fetches the debug files of build-ids in a thread of its own, one
 * after the other, into a folder that is searched like a debug directory.
 *
 * Nothing waits for it: a file is asked for, and the next batch but one finds it there. What comes
 * is a stranger's: bounded in size and time, kept only if it is an ELF file with that build-id, and
 * parsed as such. The folder has a byte cap, under which the least recently used files go; what no
 * server has is remembered for a day, across restarts too; a server that cannot be reached is left
 * alone for ten minutes.
 *
 * Source: debuginfod(8), "WEBAPI": GET URL/buildid/BUILDID/debuginfo. */
#ifndef AP_SYMBOL_DEBUGINFOD_H
#define AP_SYMBOL_DEBUGINFOD_H

#include "base/error.h"
#include "symbol/symbolizer.h"

struct ap_debuginfod;

struct ap_debuginfod_opts {
	const char *const *urls; /* of servers, tried in order: http:// or https://; copied */
	size_t n_urls;
	const char *dir;      /* made where it is missing; of this client alone; copied */
	uint64_t cache_bytes; /* all files; 0 = 1 GiB */
	uint64_t file_bytes;  /* one file; 0 = 512 MiB, at most cache_bytes */
	uint64_t timeout_ns;  /* one file; 0 = 5 minutes */
};

/* Begins to serve. -EINVAL: no or a bad URL; errors of making the folder; -ENOMEM; with `err`. */
int ap_debuginfod_start(const struct ap_debuginfod_opts *opts, struct ap_debuginfod **ret,
			struct ap_error *err);
/* Breaks off what is being fetched, and frees. */
void ap_debuginfod_stop(struct ap_debuginfod *d);
AP_DEFINE_CLEANUP(debuginfod, struct ap_debuginfod, ap_debuginfod_stop)

/* For struct ap_symbolizer_opts; valid until the stop. */
const struct ap_debug_fetcher *ap_debuginfod_fetcher(struct ap_debuginfod *d);

struct ap_debuginfod_stats {
	uint64_t fetched; /* files */
	uint64_t absent;  /* build-ids that no server has */
	uint64_t failed;  /* tries that ended otherwise: unreachable, too large, too slow, not it */
	uint64_t cache_bytes;
	uint32_t queued;
};

/* Any thread. */
void ap_debuginfod_get_stats(struct ap_debuginfod *d, struct ap_debuginfod_stats *ret);

#endif
