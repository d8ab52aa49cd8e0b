/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks and frames that questions have met, kept in memory so that a tree is built without asking
 * the store for names again: one profile of dictionaries only, with content ids beside it, and the
 * call path of each stack. Frames are kept under their content ids as they were sent; in the stacks
 * those that have been renamed since (renaming.h) stand under their new names.
 * Reference-counted; readers and writers lock. It only grows: the engine starts a new one when it
 * has grown past its bound, while questions that run keep the one they began with. */
#ifndef AP_AGGREGATOR_QUERY_DICTIONARY_H
#define AP_AGGREGATOR_QUERY_DICTIONARY_H

#include <pthread.h>

#include "aggregator/query/renaming.h"
#include "aggregator/store/identity.h"
#include "aggregator/store/native.h"
#include "base/idmap.h"
#include "profile/tree.h"

/* What every question needs of a stack, close together. */
struct ap_dictionary_stack {
	uint32_t path; /* in `paths` */
	uint16_t reason;
};

struct ap_dictionary {
	uint32_t refs; /* atomic */
	pthread_rwlock_t lock;
	struct ap_profile *p;
	struct ap_idmap stacks, frames;		  /* content id to the profile's */
	struct ap_tree_builder *paths;		  /* without values */
	AP_VEC(struct ap_dictionary_stack) known; /* by the profile's stack id */
	AP_VEC(uint32_t) symbol_of;		  /* by its frame id: in `paths` */
	struct ap_renaming renaming;
};

struct ap_dictionary *ap_dictionary_new(void); /* one reference; NULL = out of memory */
struct ap_dictionary *ap_dictionary_ref(struct ap_dictionary *d);
void ap_dictionary_unref(struct ap_dictionary *d); /* NULL is fine */
size_t ap_dictionary_bytes(struct ap_dictionary *d);

/* The following need the lock held for writing. 0, -ENOMEM. Frames are to be added, and names
 * learned later of them (ap_renaming_add), before the stacks that they are in. */
/* The frames of a stack that is not there yet. */
int ap_dictionary_add_stack_frames(struct ap_dictionary *d, const struct ap_profile *from,
				   const struct ap_identity *id, uint32_t stack);
int ap_dictionary_add_stack(struct ap_dictionary *d, const struct ap_profile *from,
			    const struct ap_identity *id, uint32_t stack);
/* Rows of the table `frames`, columns from id on in the schema's order. */
int ap_dictionary_add_frames(struct ap_dictionary *d, const struct ap_native_view *rows);
/* The profile's frame with a content id; where it is not there the one that is shown as unknown. */
uint32_t ap_dictionary_frame(const struct ap_dictionary *d, uint64_t id);
/* A stack by its frames, as they were sent. */
int ap_dictionary_add_path(struct ap_dictionary *d, uint64_t id, const uint32_t *frames, uint32_t n,
			   uint16_t reason);

#endif
