/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/segment_insert.h"

#include <stdio.h>

#include "aggregator/store/schema.h"
#include "aggregator/store/sure_insert.h"
#include "base/clock.h"

struct target {
	struct ap_store *store;
	uint64_t segment;
	bool again;	 /* with no regard to what is remembered (sure_insert.c) */
	bool remembered; /* a server may, of blocks that have failed */
};

/* Whether the table has the segment already, of which it is to have so many rows. */
static int has_segment(const struct target *t, const char *table, size_t rows, bool *ret,
		       struct ap_error *err)
{
	uint64_t n = 0;
	int r = ap_store_segment_rows(t->store, table, t->segment, &n, err);

	if (r == 0 && n != 0 && n < rows)
		r = ap_error_set(err, -EIO,
				 "%s has %llu rows of segment %llu, which has %zu: does another "
				 "aggregator run on a copy of this data folder?",
				 table, (unsigned long long)n, (unsigned long long)t->segment,
				 rows);
	*ret = n > 0;
	return r;
}

/* Rows of the segment, for ap_insert_make_sure(). */
struct sent {
	const struct target *target;
	const char *table;
	const struct ap_native_block *block;
};

static int count_sent(void *ctx, uint64_t *ret, struct ap_error *err)
{
	const struct sent *s = ctx;
	bool there = false;
	int r = has_segment(s->target, s->table, ap_native_block_rows(s->block), &there, err);

	*ret = there;
	return r;
}

static int send_again(void *ctx, const char *name, struct ap_error *err)
{
	const struct sent *s = ctx;

	return ap_store_insert(s->target->store, s->table, s->block, name, err);
}

static int make_sure(const struct target *t, const char *table, const struct ap_native_block *block,
		     struct ap_error *err)
{
	struct sent sent = {t, table, block};
	unsigned long long segment = t->segment;
	char what[96], name[64];

	snprintf(what, sizeof(what), "segment %llu of %s", segment, table);
	snprintf(name, sizeof(name), "aperture-%llu", segment);
	return ap_insert_make_sure(&(struct ap_sure_insert){.count = count_sent,
							    .insert = send_again,
							    .ctx = &sent,
							    .what = what,
							    .name = name},
				   err);
}

/* Rows that are to be there once. */
static int insert_once(const struct target *t, const char *table,
		       const struct ap_native_block *block, bool unsure, struct ap_error *err)
{
	size_t n = ap_native_block_rows(block);
	bool there = false;
	int r = unsure && n ? has_segment(t, table, n, &there, err) : 0;

	if (r < 0 || there || n == 0)
		return r;
	r = ap_store_insert(t->store, table, block, t->again ? AP_STORE_ANEW : NULL, err);
	return r == 0 && t->remembered ? make_sure(t, table, block, err) : r;
}

/* Rows of a dictionary, by a name of their own where they may be remembered. Where a failed insert is over, they are
 * never looked for among those: another segment's may be the same, whose insert has failed. */
static int insert_names(const struct target *t, const char *table,
			const struct ap_native_block *block, struct ap_error *err)
{
	const char *token = t->again || t->store->driver->inserts_end ? AP_STORE_ANEW : NULL;
	char name[64];

	snprintf(name, sizeof(name), "aperture-%llu-at-%lld", (unsigned long long)t->segment,
		 (long long)ap_clock_unix_ns());
	return ap_store_insert(t->store, table, block, t->remembered ? name : token, err);
}

static struct target target_of(struct ap_store *s, const struct ap_cut *cut, bool lost)
{
	bool failed = cut->unsure && !lost;

	return (struct target){
		.store = s,
		.segment = cut->segment,
		.again = lost || (failed && s->driver->inserts_end),
		.remembered = failed && ap_store_remembers(s),
	};
}

int ap_segment_insert_names(struct ap_store *s, const struct ap_rows *rows,
			    const struct ap_cut *cut, bool lost, struct ap_error *err)
{
	const struct target t = target_of(s, cut, lost);
	size_t samples = ap_native_block_rows(rows->samples);
	bool named = false;
	int r = 0;

	/* They go first, and are not sent where samples are there. */
	if ((t.remembered || (t.again && !lost)) && samples)
		r = has_segment(&t, ap_schema_samples.name, samples, &named, err);
	if (r == 0 && !named)
		r = insert_names(&t, ap_schema_frames.name, rows->frames, err);
	if (r == 0 && !named)
		r = insert_names(&t, ap_schema_stacks.name, rows->stacks, err);
	return r;
}

int ap_segment_insert_rows(struct ap_store *s, const struct ap_rows *rows, const struct ap_cut *cut,
			   bool lost, struct ap_error *err)
{
	const struct target t = target_of(s, cut, lost);
	int r = insert_once(&t, ap_schema_samples.name, rows->samples, cut->unsure, err);

	if (r == 0)
		r = insert_once(&t, ap_schema_syscalls.name, rows->syscalls, cut->unsure, err);
	if (r == 0)
		r = insert_once(&t, ap_schema_ledger.name, rows->ledger, cut->unsure, err);
	return r;
}
