/* SPDX-License-Identifier: Apache-2.0 */
/* Which unwind tables the walker has: files get numbers for frames, their tables are compiled by a
 * worker thread of its own and put into the store (unwind/store.h), and the BPF map `files` says of
 * each inode which file it is and where its table lies.
 *
 * A file comes in when a process is first seen to map it, and is then found by what fstat() says of
 * it; or when the walker meets an inode that `files` does not know and sends a notice. fstat()'s
 * view may not be the kernel's (overlays, subvolumes): then the notice puts it right, and one file
 * has several inodes.
 *
 * Memory is bounded. Files that no frame was in for the longest time make way for new ones; tables
 * that no frame was in for a while make way where the store is full, and are compiled again when one
 * is. Nothing here waits for the worker, but for ap_tables_wait() and ap_tables_free().
 *
 * One thread at a time calls these functions, but for ap_tables_get_stats(): any. */
#ifndef AP_AGENT_TABLES_H
#define AP_AGENT_TABLES_H

#include "agent/file.h"
#include "unwind/store.h"

struct ap_tables;

/* The map `files` and the words that the walker reads. The functions are called in any thread, by
 * one at a time, and return 0 or the kernel's error (set: -E2BIG where the map is full). */
struct ap_tables_target {
	int (*set)(void *ctx, const struct ap_file_key *key, const struct ap_file_ref *ref);
	int (*forget)(void *ctx, const struct ap_file_key *key);
	void *ctx;
	uint32_t *words; /* zeroed; outlive the tables */
	uint32_t n_words;
};

/* `files` is borrowed. Begins with the vDSO. 0 or -errno. */
int ap_tables_new(struct ap_file_table *files, const struct ap_tables_target *target,
		  struct ap_tables **ret);
/* Ends the worker, at the latest when the file that it is compiling is done. */
void ap_tables_free(struct ap_tables *t);
AP_DEFINE_CLEANUP(tables, struct ap_tables, ap_tables_free)

/* A file that code was mapped from: numbers it, tells the walker, and queues its table; one that is
 * known already is left as it is. The time is CLOCK_MONOTONIC here and below. */
void ap_tables_add(struct ap_tables *t, struct ap_file *f, uint64_t now);
/* The same for one that the walker met as `key` and does not know. */
void ap_tables_add_key(struct ap_tables *t, struct ap_file *f, const struct ap_file_key *key,
		       uint64_t now);
/* Counts a notice whose file could not be told. */
void ap_tables_unresolved(struct ap_tables *t);

/* The file of a frame by its number, borrowed until the next call that adds one; NULL: there is no
 * such file. Notes that it is in use, and asks for its table again where that had to make way. */
struct ap_file *ap_tables_use(struct ap_tables *t, uint32_t id, uint64_t now);

/* Waits until no table is queued or being compiled, at most until `deadline`. */
void ap_tables_wait(struct ap_tables *t, uint64_t deadline);

struct ap_tables_stats {
	struct ap_table_store_stats store;
	uint32_t files;	     /* numbered */
	uint32_t keys;	     /* inodes that `files` knows */
	uint32_t queued;     /* tables to be compiled */
	uint32_t without;    /* files without unwind information, or whose table cannot be made */
	uint64_t built;	     /* tables compiled, ever */
	uint64_t build_ns;   /* the worker's CPU time for them */
	uint64_t cut;	     /* tables that a limit left something out of, ever */
	uint64_t postponed;  /* requests that found the queue full, ever */
	uint64_t notices;    /* inodes that the walker did not know, ever */
	uint64_t unresolved; /* of those, whose file could not be told */
	uint64_t files_evicted; /* numbers taken back, ever */
};
void ap_tables_get_stats(struct ap_tables *t, struct ap_tables_stats *ret);

#endif
