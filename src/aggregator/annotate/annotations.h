/* SPDX-License-Identifier: Apache-2.0 */
/* What happened beside the profiles, at a time or over a range of it: what people and their CI note, and deploys that
 * were seen (deploys.h). On disk when a function returns 0. Thread-safe.
 *
 * Of each kind the latest AP_ANNOTATIONS_MAX are kept. */
#ifndef AP_AGGREGATOR_ANNOTATE_ANNOTATIONS_H
#define AP_AGGREGATOR_ANNOTATE_ANNOTATIONS_H

#include "aggregator/query/filter.h"
#include "aggregator/state/database.h"

#define AP_ANNOTATIONS_MAX	 10000
#define AP_ANNOTATION_BODY_MAX	 (256u << 10) /* bytes of a body */
#define AP_ANNOTATION_TEXT_MAX	 1000	      /* bytes of a note's text, a link */
#define AP_ANNOTATION_LABELS_MAX 16

enum ap_annotation_kind { AP_ANNOTATION_NOTE, AP_ANNOTATION_DEPLOY };
extern const char *const ap_annotation_kinds[]; /* "note", "deploy"; NULL-terminated */

struct ap_annotation {
	uint64_t id; /* 0: new */
	enum ap_annotation_kind kind;
	int64_t from_ms, to_ms; /* Unix; equal for a moment */
	const char *service;	/* "": of all */
	/* The members "text", "labels", "link" and "deploy" as a JSON object; see docs/openapi.json. */
	const char *body;
};

struct ap_annotations;

/* Errors of ap_database_open(). */
int ap_annotations_open(const char *path, struct ap_annotations **ret, struct ap_error *err);
void ap_annotations_close(struct ap_annotations *a); /* NULL is fine */

/* Adds it, or changes the one with its id. Errors of ap_database_run(). */
int ap_annotations_put(struct ap_annotations *a, const struct ap_annotation *v, uint64_t *ret_id,
		       struct ap_error *err);
int ap_annotations_delete(struct ap_annotations *a, uint64_t id,
			  struct ap_error *err); /* -ENOENT */

struct ap_annotation_query {
	int64_t from_ms, to_ms;		/* those that overlap [from, to) */
	const struct ap_filter *filter; /* NULL: all. Matchers on labels that it lacks hold */
	int kind;			/* enum ap_annotation_kind; -1: all */
	uint32_t limit;
};
/* Appends JSON objects, newest first, as elements of an array that the caller has opened. `*ret_cut`: how many more
 * there are than the limit. */
int ap_annotations_list(struct ap_annotations *a, const struct ap_annotation_query *q,
			struct ap_buf *b, uint64_t *ret_cut, struct ap_error *err);

#endif
