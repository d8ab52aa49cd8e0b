/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/place.h"

#include <stdio.h>

int ap_place_open(const struct ap_aggregator_settings *set, struct ap_store **ret,
		  struct ap_error *err)
{
	const struct ap_store_options o = {
		.driver = set->clickhouse.url ? "server" : "embedded",
		.path = set->data_dir,
		.locked = true,
		.query_channels = (unsigned int)set->query.concurrency,
		.library = set->chdb_library,
		.url = set->clickhouse.url,
		.user = set->clickhouse.user,
		.password_file = set->clickhouse.password_file,
		.database = set->clickhouse.database,
		.cluster = set->clickhouse.cluster,
		.ca_file = set->clickhouse.ca_file,
		.cert_file = set->clickhouse.cert_file,
		.key_file = set->clickhouse.key_file,
	};
	int r = ap_store_open(&o, ret, err);

	if (r == -ENOENT && o.library)
		ap_error_prefix(err, "--chdb-library");
	return r;
}

int ap_place_sums(const struct ap_aggregator_settings *set, struct ap_store *store,
		  struct ap_rollup **ret, struct ap_error *err)
{
	const struct ap_rollup_options o = {
		.store = store,
		.hold_ns = ap_place_hold_ns(set),
		.folder = set->clickhouse.url ? set->data_dir : NULL,
	};

	return ap_rollup_new(&o, ret, err);
}

int ap_place_keep(const struct ap_aggregator_settings *set, struct ap_store *store,
		  struct ap_rollup *rollup, struct ap_buffer *buffer, struct ap_retention **ret,
		  struct ap_error *err)
{
	const struct ap_retention_options o = {
		.store = store,
		.rollup = rollup,
		.buffer = buffer,
		.retention_ns = {set->retention_ns, set->retention_hourly_ns,
				 set->retention_daily_ns},
		.rollup_interval_ns = set->rollup_interval_ns,
		.hold_ns = ap_place_hold_ns(set),
		.budget_bytes = set->disk_budget_bytes,
		.budget_share = set->disk_share,
		.free_share = set->disk_free_share,
		.data_dir = set->clickhouse.url ? NULL : set->data_dir,
	};

	return ap_retention_start(&o, ret, err);
}

void ap_place_name(const struct ap_aggregator_settings *set, const struct ap_store *s, bool late,
		   char *buf, size_t cap)
{
	if (!set->clickhouse.url)
		snprintf(buf, cap, "%s in %s", s->version, set->data_dir);
	else if (late)
		snprintf(buf, cap, "at %s (not reached yet)", set->clickhouse.url);
	else
		snprintf(buf, cap, "%s at %s", s->version, set->clickhouse.url);
}

const char *ap_place_wal_folder(const struct ap_aggregator_settings *set)
{
	return set->clickhouse.url ? "wal-server" : "wal";
}

uint64_t ap_place_hold_ns(const struct ap_aggregator_settings *set)
{
	return set->clickhouse.url ? set->clickhouse.hold_ns : 0;
}
