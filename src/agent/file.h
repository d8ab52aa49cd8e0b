/* SPDX-License-Identifier: Apache-2.0 */
/* The files that processes map, each once: identity, path, segments, build id, and a descriptor
 * that is kept open so that a file that was deleted, or whose mount namespace is gone with its
 * last process, can still be symbolised.
 *
 * A file is known by its build id and path where it has one, else by device, inode, time of
 * change, size and path. One thread uses the table; references may be dropped in any thread. */
#ifndef AP_AGENT_FILE_H
#define AP_AGENT_FILE_H

#include "agent/elf_map.h"
#include "base/str.h"

struct ap_file {
	uint64_t serial; /* from 1; never used twice */
	char *path;	 /* as the process names it, without " (deleted)" */
	int fd;		 /* -1: not open */
	bool elf;	 /* `map` was read */
	struct ap_elf_map map;
	int refs;	      /* atomic */
	int pins;	      /* atomic: holders who need `fd` to stay open */
	int n_keys;	      /* names by which the table finds it; each holds a reference */
	uint64_t used;	      /* the table's tick of last use */
	uint64_t tried;	      /* CLOCK_MONOTONIC when opening it was tried */
	bool wanted;	      /* `fd` was closed and is needed again */
	uint32_t table_id;    /* tables.c's number of it; 0 = none */
	uint64_t rows_serial; /* rows_builder's: the collection that `rows_id` belongs to */
	uint32_t rows_id;
};

/* What is known of a mapped file when it is first seen. */
struct ap_file_source {
	struct ap_str path;
	int32_t pid;	     /* a process that maps it, 0 = none */
	uint64_t start, end; /* where that process maps it */
	uint64_t dev, inode; /* 0 = unknown */
	const uint8_t *build_id;
	uint32_t build_id_bytes; /* 0 = unknown */
	bool needed;		 /* stacks are likely to lie in it soon */
};

struct ap_file_table;

/* `max_fds`: descriptors kept open at most. NULL = out of memory. */
struct ap_file_table *ap_file_table_new(uint32_t max_fds);
void ap_file_table_free(struct ap_file_table *t);
AP_DEFINE_CLEANUP(file_table, struct ap_file_table, ap_file_table_free)

/* Calls `fn` for ELF files that are needed, with the descriptor open: when they have no number yet, and
 * each time that they were opened again; now for those that are open already. */
typedef void (*ap_file_fn)(void *ctx, struct ap_file *f);
void ap_file_table_watch(struct ap_file_table *t, ap_file_fn fn, void *ctx);

/* The file, with a reference that is the caller's; NULL = out of memory. A new one is opened and
 * read now: through /proc/PID/map_files, else /proc/PID/root, else its path, and only if it is the
 * file that was mapped. One that cannot be opened is known by its path alone. One that
 * could not be opened, or was closed and is needed or wanted, is tried again, but not more often than
 * once a second. */
struct ap_file *ap_file_table_get(struct ap_file_table *t, const struct ap_file_source *s);
/* The vDSO as a file (a copy of this process's; all processes map the same), NULL = none. */
struct ap_file *ap_file_table_vdso(struct ap_file_table *t);
/* Forgets files that nothing refers to, once there are many. */
void ap_file_table_trim(struct ap_file_table *t);
uint32_t ap_file_table_count(const struct ap_file_table *t);

static inline struct ap_file *ap_file_ref(struct ap_file *f)
{
	if (f)
		__atomic_add_fetch(&f->refs, 1, __ATOMIC_RELAXED);
	return f;
}
void ap_file_unref(struct ap_file *f);

/* A reference that also keeps the descriptor open; only in the table's thread. */
struct ap_file *ap_file_pin(struct ap_file *f);
void ap_file_unpin(struct ap_file *f);

#endif
