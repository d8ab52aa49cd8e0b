/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder's own: batch_open.c unwraps the request, batch_columns.c reads its columns of numbers, batch_meta.c reads what the batch says about
 * itself, batch_decode.c its dictionaries and samples, batch_syscalls.c its system calls. */
#ifndef AP_WIRE_BATCH_INTERNAL_H
#define AP_WIRE_BATCH_INTERNAL_H

#include "aggregator.pb-c.h"
#include "base/arena.h"
#include "wire/batch.h"

struct ap_decoder {
	struct ap_arena arena; /* everything but the profile */
	size_t max_raw, max_memory;
	uint32_t max_depth;
	struct ap_push_result *result; /* filled by ap_decode_fail() */
	const Aperture__Aggregator__V1__Batch *batch;
	struct ap_profile *profile;
	/* Wire index → id in the profile, for each dictionary; n counts index 0. */
	struct ap_id_map {
		uint32_t *ids;
		size_t n;
	} strings, mappings, functions, frames, stacks, label_sets;
	struct ap_buf text; /* scratch for repaired strings */
};

/* Fills the result with a refusal; returns the errno that ap_batch_decode() documents for `code`. */
int ap_decode_fail(struct ap_decoder *d, enum ap_push_code code, const char *fmt, ...)
	AP_PRINTF(3, 4);
/* Out of memory: not the batch's fault, so the agent may try again. -ENOMEM. */
int ap_decode_no_memory(struct ap_decoder *d);

/* Rows may lie this far outside the batch's times: clocks and buffers between probe and batch. */
#define AP_DECODE_TIME_SLACK_NS 60000000000ll
/* The batch's counts and nanoseconds add up to at most this, so that sums over batches do not wrap. */
#define AP_DECODE_SUM_MAX (UINT64_MAX >> 12)

/* Refuses an index that the dictionary has not got. */
int ap_decode_bad_index(struct ap_decoder *d, const char *field, size_t i, const char *dictionary,
			const struct ap_id_map *m, uint32_t index);

/* Checks an index into a dictionary and gives the profile's id. */
static inline int ap_decode_resolve(struct ap_decoder *d, const char *field, size_t i,
				    const char *dictionary, const struct ap_id_map *m,
				    uint32_t index, uint32_t *ret)
{
	if (AP_UNLIKELY(index >= m->n))
		return ap_decode_bad_index(d, field, i, dictionary, m, index);
	*ret = m->ids[index];
	return 0;
}
/* Refuses a column whose length is not that of the first one. */
int ap_decode_same_length(struct ap_decoder *d, const char *field, size_t n, const char *first,
			  size_t expected);

/* The system calls; the dictionaries must have been decoded. */
int ap_decode_syscalls(struct ap_decoder *d);

/* Unwraps: d->batch is set and lives in the arena. */
int ap_decode_open(struct ap_decoder *d, struct ap_str request);
int ap_decode_batch(struct ap_decoder *d, struct ap_str raw);
/* A message by protobuf-c, in the arena; NULL where it is refused. */
void *ap_decode_unpack(struct ap_decoder *d, const ProtobufCMessageDescriptor *type,
		       const char *what, struct ap_str bytes);
/* A message of packed columns of numbers, in the arena: 1, 0 where protobuf-c is to read it, or -ENOMEM. */
int ap_decode_columns(struct ap_arena *arena, const ProtobufCMessageDescriptor *type,
		      struct ap_str bytes, ProtobufCMessage **ret);
int ap_decode_meta(struct ap_decoder *d, struct ap_batch_meta *ret);

#endif
