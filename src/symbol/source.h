/* SPDX-License-Identifier: Apache-2.0 */
/* One ELF file, opened and ready to be asked: the only place that speaks to blazesym.
 *
 * blazesym follows what a file says about other files, opens those without asking what they are,
 * and keeps all that it ever parsed. So it sees only regular files that have been looked at, reads
 * DWARF of files that point elsewhere only where they lie in a debug directory, and each source
 * has an instance of its own, which goes when the source does.
 */
#ifndef AP_SYMBOL_SOURCE_H
#define AP_SYMBOL_SOURCE_H

#include "symbol/answers.h"

struct ap_source;

struct ap_source_opts {
	char **debug_dirs;	  /* NULL-terminated */
	const char *download_dir; /* the one of them that holds strangers' files, NULL: none */
	uint64_t max_debug_info;
	bool no_debug_info;
};

struct ap_source_file {
	const char *open_path; /* what to open; "[vdso]" is this process's own */
	const char *path;      /* as the process names it, NULL: unknown */
	uint32_t pid;	       /* a process that maps it, 0: unknown or ended */
};

/* `opts` must outlive it. -ENOEXEC: not an ELF file that can be read; -ENODATA: one without
 * symbols; -EINVAL: not a regular file; or -errno of opening. */
int ap_source_open(const struct ap_source_opts *opts, const struct ap_source_file *file,
		   struct ap_source **ret);
void ap_source_free(struct ap_source *s);
AP_DEFINE_CLEANUP(source, struct ap_source, ap_source_free)
size_t ap_source_bytes(const struct ap_source *s); /* an estimate of what it holds */
/* The build-id of the separate file that would tell more than this one does; "": it tells all. */
const char *ap_source_lacks(const struct ap_source *s);

/* Puts an answer for each of `addrs`, which are sorted: of code, of data (symbol/data_symbols.h). 0 or
 * -ENOMEM. */
int ap_source_find(struct ap_source *s, const uint64_t *addrs, size_t n, struct ap_answers *a);
int ap_source_find_data(struct ap_source *s, const uint64_t *addrs, size_t n, struct ap_answers *a);

#endif
