/* SPDX-License-Identifier: Apache-2.0 */
/* What tables.c, which serves the reader, and tables_worker.c share. */
#ifndef AP_AGENT_TABLES_INTERNAL_H
#define AP_AGENT_TABLES_INTERNAL_H

#include <pthread.h>
#include <uthash.h>

#include "agent/tables.h"
#include "base/clock.h"
#include "base/vec.h"

#define AP_SLOTS 8192u /* files with a number */

#define AP_TABLE_RETRY_NS (5 * AP_NSEC_PER_SEC)	 /* between two requests for one table */
#define AP_TABLE_IDLE_NS  (10 * AP_NSEC_PER_SEC) /* without a frame: a table may make way */

/* Bytes. A library of 500 MB takes the better part of a second, a program of 1 MB some milliseconds: those that are
 * large have a worker of their own, so that nothing waits for them. */
#define AP_TABLE_LARGE (16u << 20)
enum { AP_TABLE_WORKERS = 2 };

enum ap_slot_state {
	AP_SLOT_UNUSED,	 /* or retired: its number is not given to frames any more */
	AP_SLOT_WITHOUT, /* there is nothing to compile */
	AP_SLOT_WANTED,	 /* has no table; is queued when a frame lies in it */
	AP_SLOT_QUEUED,
	AP_SLOT_WORKED, /* the worker has it */
	AP_SLOT_READY,
};

/* One inode that the map `files` knows. */
struct ap_slot_key {
	UT_hash_handle hh;
	struct ap_file_key key;
	struct ap_slot *slot; /* NULL: memory, which has no number */
	struct ap_slot_key *next;
};

/* A file with a number. `id` and `file` are written by the callers' thread alone, which so may read
 * them without the lock. */
struct ap_slot {
	uint32_t id;		/* the last bits are the slot's own number; 0: never used */
	struct ap_file *file;	/* a reference */
	struct ap_file_ref ref; /* what `files` says of it */
	struct ap_slot_key *keys;
	struct ap_slot *next; /* in the queue or among the retired */
	enum ap_slot_state state;
	bool is_urgent;	      /* queued among those that frames lie in */
	bool compiled;	      /* it was tried */
	uint32_t n_words;     /* of its table */
	uint64_t used;	      /* CLOCK_MONOTONIC of the last frame in it; relaxed atomic */
	uint64_t retry;	      /* not requested again before this */
	uint64_t retired;     /* when its number was taken back */
	uint64_t size, mtime; /* of the file when it came in */
};

struct ap_slot_list {
	struct ap_slot *first, *last;
	uint32_t n;
};

struct ap_tables {
	struct ap_tables_target target;
	pthread_t threads[AP_TABLE_WORKERS];
	int n_threads;
	pthread_mutex_t storing;   /* guards the store; before `lock` */
	pthread_mutex_t lock;	   /* guards what follows, to the end but for the store */
	pthread_cond_t work, idle; /* there is some; there is none any more */
	struct ap_slot *slots;	   /* AP_SLOTS; slot 0 stays unused */
	uint32_t n_slots;	   /* that ever were in use: the others are untouched memory */
	struct ap_slot_key *keys;
	struct ap_slot_list urgent, queue, retired;
	AP_VEC(uint32_t) releases;    /* tables of retired files, for the worker to release */
	struct ap_tables_stats stats; /* but for `keys` and `queued` */
	bool stop;
	int busy; /* workers that are at it */
	struct ap_table_store *store;
	struct ap_slot *stalled; /* waits for room, with its table, until then */
	struct ap_unwind_table *stalled_table;
	uint64_t stalled_until;
};

/* All of these need the lock. */
struct ap_slot *ap_slot_list_pop(struct ap_slot_list *l); /* the first; NULL: empty */
/* Taken out of the queue: the smallest file of those that frames lie in, else of the others, that is large or is not;
 * NULL: none is queued. */
struct ap_slot *ap_slot_next_queued(struct ap_tables *t, bool is_large);
void ap_slot_set_state(struct ap_tables *t, struct ap_slot *s, enum ap_slot_state state);
/* Tells the walker what s->ref says. */
void ap_slot_publish(struct ap_tables *t, const struct ap_slot *s);

/* Slots in the order of their last use. */
struct ap_slot_use {
	struct ap_slot *slot;
	uint64_t used;
};
struct ap_slot_uses {
	AP_VEC(struct ap_slot_use) v; /* ap_vec_free() */
};
/* Those that `fits` says of, but not past memory. */
void ap_slots_by_use(const struct ap_tables *t, bool (*fits)(const struct ap_slot *s),
		     struct ap_slot_uses *ret);

void *ap_tables_worker(void *tables);
void *ap_tables_large_worker(void *tables);

#endif
