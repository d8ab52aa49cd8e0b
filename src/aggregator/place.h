/* SPDX-License-Identifier: Apache-2.0 */
/* Where the aggregator keeps profiles, of its settings: the embedded engine or a ClickHouse server. */
#ifndef AP_AGGREGATOR_PLACE_H
#define AP_AGGREGATOR_PLACE_H

#include "aggregator/aggregator.h"
#include "aggregator/store/retention.h"

/* The data folder is locked by the caller. Errors as ap_store_open(). */
int ap_place_open(const struct ap_aggregator_settings *set, struct ap_store **ret,
		  struct ap_error *err);
/* What the sums of it are known by. Errors as ap_rollup_new(). */
int ap_place_sums(const struct ap_aggregator_settings *set, struct ap_store *store,
		  struct ap_rollup **ret, struct ap_error *err);
/* Begins to sum it up and to drop what is old. Errors as ap_retention_start(). */
int ap_place_keep(const struct ap_aggregator_settings *set, struct ap_store *store,
		  struct ap_rollup *rollup, struct ap_buffer *buffer, struct ap_retention **ret,
		  struct ap_error *err);
/* For people: "26.7.3.1 in /var/lib/aperture/aggregator"; `late`: a server that is not reached yet. */
void ap_place_name(const struct ap_aggregator_settings *set, const struct ap_store *s, bool late,
		   char *buf, size_t cap);
/* Its log's folder in the data folder. Each place has one of its own: what one of them has, the other one
 * lacks. */
const char *ap_place_wal_folder(const struct ap_aggregator_settings *set);
/* How long the log keeps what is stored, ns (struct ap_writer_options). */
uint64_t ap_place_hold_ns(const struct ap_aggregator_settings *set);

#endif
