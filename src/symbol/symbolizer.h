/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses to functions, files and lines: ELF symbol tables, DWARF with inlined functions,
 * separate debug files, the kernel, the vDSO, and the maps that JIT compilers leave in /tmp.
 *
 * Every address gets an answer; one that nothing is known about gets a symbol of no levels, and
 * is shown as module+0xoffset. Files belong to strangers: they are checked before they are parsed,
 * what they cost is bounded, and a hostile one yields no symbols rather than trouble.
 *
 * Answers are cached by (file, offset). Not thread-safe: one thread owns it (which may change).
 */
#ifndef AP_SYMBOL_SYMBOLIZER_H
#define AP_SYMBOL_SYMBOLIZER_H

#include "base/error.h"
#include "base/str.h"
#include "symbol/runtime.h"

struct ap_symbolizer;

/* How far a wanted debug file is. */
enum ap_debug_state {
	AP_DEBUG_PENDING, /* may come */
	AP_DEBUG_HERE,
	AP_DEBUG_ABSENT, /* no server had it when last asked; it is asked for again later */
};

/* Where debug files come from that are not on this machine, such as debuginfod servers. */
struct ap_debug_fetcher {
	/* Asks for the file with a build-id (lower-case hex); never waits. */
	enum ap_debug_state (*want)(void *ctx, const char *build_id);
	void *ctx;
	const char *dir; /* where it puts them: DIR/.build-id/ab/cdef….debug */
};

struct ap_symbolizer_opts {
	/* Where separate debug files are: DIR/.build-id/ab/cdef….debug. NULL-terminated; NULL is
	 * /usr/lib/debug alone. Copied. */
	const char *const *debug_dirs;
	/* Asked for what is in none of them; names get better once it is there. NULL: nobody is
	 * asked. Must outlive the symboliser. */
	const struct ap_debug_fetcher *fetcher;
	size_t cache_bytes;  /* answers kept; 0 = 16 MiB */
	size_t source_bytes; /* parsed symbol tables and DWARF kept; 0 = 16 MiB, an estimate */
	uint64_t
		max_debug_info; /* bytes of DWARF past which only symbol tables are read; 0 = 1 GiB */
	const char *kallsyms;	/* NULL = /proc/kallsyms */
	bool no_debug_info;	/* symbol tables only: no inlined functions, files and lines */
};

/* One function at an address. The strings are never NULL. */
struct ap_symbol_level {
	struct ap_str name;	   /* demangled; never empty */
	struct ap_str system_name; /* as in the symbol table; empty: the same as name */
	struct ap_str file;	   /* source file, empty: unknown */
	uint32_t line;		   /* of this place (for an inlined-into function: of the call) */
	uint32_t start_line;	   /* of the function's first instruction, 0 = unknown */
};

/* The most that travels of one address; what is larger stays unnamed. */
enum { AP_SYMBOL_LEVELS_MAX = 256, AP_SYMBOL_TEXT_MAX = 32768 };

/* What is at an address: levels[0] is the function that holds the code, each further one was
 * inlined into the one before it, so that the last is the innermost. n = 0: no symbol. */
struct ap_symbol {
	const struct ap_symbol_level *levels;
	uint32_t n;
};

/* A file to look in. */
struct ap_symbol_file {
	struct ap_str key; /* identity, the cache's key: build-id, or device and inode in hex */
	/* What to open: "/proc/self/fd/7", "/usr/bin/x"; "[vdso]"; NULL: gone. Its own build-id is
	 * what separate debug files are looked for by. */
	const char *open_path;
	/* For separate files that stand beside it, or in its container: its path as the process
	 * `pid` names it. NULL and 0: unknown. */
	const char *path;
	uint32_t pid;
};

/* A process with code that has no file. */
struct ap_symbol_process {
	uint64_t serial;     /* never given to another process */
	uint64_t start_time; /* ns since boot, 0 = unknown */
	uint32_t pid;
	enum ap_runtime runtime; /* what compiled the code */
	bool alive;
};

/* NULL `opts` takes every default. NULL = out of memory. */
struct ap_symbolizer *ap_symbolizer_new(const struct ap_symbolizer_opts *opts);
void ap_symbolizer_free(struct ap_symbolizer *s);
AP_DEFINE_CLEANUP(symbolizer, struct ap_symbolizer, ap_symbolizer_free)

/* The look-ups fill `ret[i]` for `addrs[i]`, of which there are `n`, each valid until the
 * next call of any of them. An address is that of an instruction: for a return address give the
 * byte before it. 0 or -ENOMEM; then all of `ret` are without symbol. */

/* ELF virtual addresses in `f`. */
int ap_symbolizer_file(struct ap_symbolizer *s, const struct ap_symbol_file *f,
		       const uint64_t *addrs, size_t n, struct ap_symbol *ret);
/* The same of data: the variable that holds an address, "lock" or within it "table+0x40". */
int ap_symbolizer_data(struct ap_symbolizer *s, const struct ap_symbol_file *f,
		       const uint64_t *addrs, size_t n, struct ap_symbol *ret);
/* Kernel addresses. A module's symbols are named "symbol [module]". */
int ap_symbolizer_kernel(struct ap_symbolizer *s, const uint64_t *addrs, size_t n,
			 struct ap_symbol *ret);
/* Addresses of the kernel's own data: "symbol", "symbol+0x40", each perhaps with " [module]". */
int ap_symbolizer_kernel_data(struct ap_symbolizer *s, const uint64_t *addrs, size_t n,
			      struct ap_symbol *ret);
/* Addresses of anonymous executable memory, from /tmp/perf-PID.map as that process sees it,
 * provided that it is a regular file owned by the process's user or root. It has to be asked for
 * while the process lives; within a minute of that also later. An address without name gets one
 * that says why, such as "[jit: needs --perf-basic-prof]", so none is without symbol. */
int ap_symbolizer_jit(struct ap_symbolizer *s, const struct ap_symbol_process *p,
		      const uint64_t *addrs, size_t n, struct ap_symbol *ret);

/* Gives back memory that is of use only while addresses are asked for: sources over the budget or
 * long unused, pages of mapped files (they stay in the page cache), and what the allocator holds
 * free. For when nothing will be asked for some seconds. */
void ap_symbolizer_rest(struct ap_symbolizer *s);

/* Whether kernel addresses can be named: 0; -EACCES where kptr_restrict or a missing CAP_SYSLOG
 * hides the addresses; another errno. `err` says what to do. */
int ap_symbolizer_kernel_status(struct ap_symbolizer *s, struct ap_error *err);

struct ap_symbolizer_stats {
	uint64_t lookups;	/* addresses asked for */
	uint64_t hits;		/* answered by the cache */
	uint64_t unknown;	/* without symbol, cached answers included */
	uint64_t files_refused; /* files not opened or not parsed because of what they are */
	size_t cache_bytes;	/* held by answers */
	size_t source_bytes;	/* held by parsed sources, an estimate */
	size_t jit_bytes;	/* held by indices of perf maps */
};

void ap_symbolizer_get_stats(const struct ap_symbolizer *s, struct ap_symbolizer_stats *ret);

#endif
