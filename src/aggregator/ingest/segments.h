/* SPDX-License-Identifier: Apache-2.0 */
/* The segments beyond the watermark and how far each is; the buffer's own, under its lock.
 *
 *	gathers parts ──cut──▶ out ──▶ stored
 *	                       ▲  │
 *	                       └──┘ retry */
#ifndef AP_AGGREGATOR_INGEST_SEGMENTS_H
#define AP_AGGREGATOR_INGEST_SEGMENTS_H

#include "base/vec.h"

enum segment_state { SEGMENT_WAITING, SEGMENT_OUT, SEGMENT_RETRY, SEGMENT_STORED };

struct segment {
	enum segment_state state;
	bool gathers;		/* parts of its day may still join */
	bool unsure;		/* the store may have it, or some of its tables */
	bool was_cut;		/* once, at least */
	int32_t day;		/* of its rows */
	uint32_t parts;		/* that are in */
	uint32_t unsettled;	/* that may yet turn out not to be */
	size_t rows;		/* of both */
	bool timed;		/* what follows is known: */
	int64_t min_ns, max_ns; /* of the batches of parts that are in; min > max: there are none */
};

/* Of the last ones that the watermark passed it is remembered when their rows are of. */
#define SEGMENTS_PASSED 1024u
struct segment_times {
	uint64_t number;
	int64_t min_ns, max_ns;
};

struct segments {
	AP_VEC(struct segment) list; /* watermark + 1, watermark + 2, … */
	uint64_t watermark;
	struct segment_times passed[SEGMENTS_PASSED]; /* by number modulo that; 0: none */
};

void segments_free(struct segments *s);
/* Room for `n` new segments. 0, -ENOMEM. */
int segments_reserve(struct segments *s, size_t n);
/* The segment that a part of so many rows of that day joins, a new one where none has room for it; it is
 * unsettled. Needs room. */
uint64_t segments_join(struct segments *s, int32_t day, size_t rows, size_t max_rows);
/* NULL: stored without a gap before it, or not begun. */
struct segment *segments_get(struct segments *s, uint64_t number);
/* Makes all segments up to that number known. 0, -ENOMEM. */
int segments_extend(struct segments *s, uint64_t number);
/* The next one to store, which is out from now on: one to retry, else the oldest that has parts, none of
 * which is unsettled. 0: none. */
uint64_t segments_cut(struct segments *s);
/* A part of a batch of that time is in. */
void segment_covers(struct segment *g, int64_t min_ns, int64_t max_ns);
/* When the rows of segments (after, upto] are of, inclusive, min > max where they have none: false where
 * that is not known, or not all have been passed. */
bool segments_times(const struct segments *s, uint64_t after, uint64_t upto, int64_t *ret_min_ns,
		    int64_t *ret_max_ns);
/* Moves the watermark over what is stored without a gap: whether it moved. */
bool segments_advance(struct segments *s);

#endif
