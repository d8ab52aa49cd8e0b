/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/facts.h"

int ap_facts_read(struct ap_store *s, const struct ap_store_limits *limits, ap_store_block_fn fn,
		  void *ctx, struct ap_error *err)
{
	return ap_store_query(
		s, AP_STR("SELECT kind, writer, max(value) FROM rollups GROUP BY kind, writer"),
		limits, fn, ctx, err);
}

int ap_facts_note(struct ap_store *s, unsigned int kind, uint64_t writer, uint64_t value,
		  struct ap_error *err)
{
	return ap_store_exec(s, err,
			     "INSERT INTO rollups (kind, writer, value) VALUES (%u, %llu, %llu)",
			     kind, (unsigned long long)writer, (unsigned long long)value);
}
