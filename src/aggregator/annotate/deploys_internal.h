/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AP_AGGREGATOR_ANNOTATE_DEPLOYS_INTERNAL_H
#define AP_AGGREGATOR_ANNOTATE_DEPLOYS_INTERNAL_H

#include "aggregator/annotate/deploys.h"
#include "aggregator/annotate/internal.h"
#include "base/vec.h"

#define HASH_NONFATAL_OOM	 1
#define uthash_nonfatal_oom(elt) ((elt)->lost = true)
#include <uthash.h>

/* One identity of a program. */
struct build {
	char *build, *version;
	int64_t seen_ms, saved_ms; /* seen_ms as it is on file */
	int64_t since_ms;	   /* the first sample after the current one's last; 0: none */
	uint32_t returns;
	bool dirty;
};

/* A program of a service. */
struct program {
	char *key; /* service, NUL, program */
	size_t key_n;
	struct build builds[AP_DEPLOY_BUILDS_MAX];
	uint32_t n, current; /* current < n */
	int64_t since_ms;    /* since when that is current; 0: nothing was seen yet */
	int64_t seen_ms;
	bool lost; /* the table had no memory for it */
	UT_hash_handle hh;
};

struct names {
	char **p;
	size_t n, cap;
};

struct marker {
	uint64_t id; /* 0: not on file yet */
	uint64_t serial;
	char *service, *program;
	char *from[2], *to[2]; /* build, version */
	int64_t at_ms;
	struct names hosts;
	struct names programs; /* further ones that changed with it */
	bool dirty;
};

struct ap_deploys {
	struct ap_annotations *a;
	pthread_mutex_t lock; /* guards what follows; never held while the disk is waited for */
	struct program *table;
	AP_VEC(struct marker) markers; /* open ones: those of the last day */
	uint64_t last_serial;
	bool save_all; /* the last save failed: what was not dirty may not be on file */
	struct ap_deploys_stats stats;
};

static inline const char *program_service(const struct program *p)
{
	return p->key;
}

static inline const char *program_name(const struct program *p)
{
	return p->key + strlen(p->key) + 1;
}

/* With the lock held. The program, made if it is new; NULL = out of memory. */
struct program *program_get(struct ap_deploys *d, struct ap_str service, struct ap_str name);
/* A new identity, in place of the one unseen for longest where there are many; NULL = out of memory. */
struct build *program_add(struct program *p, struct ap_str build, struct ap_str version);
void marker_free(struct marker *m); /* what it owns */
/* The marker's body as a JSON object. */
void marker_body(const struct marker *m, struct ap_buf *b);

#endif
