/* SPDX-License-Identifier: Apache-2.0 */
/* What each day takes in each table. */
#ifndef AP_AGGREGATOR_STORE_PARTS_H
#define AP_AGGREGATOR_STORE_PARTS_H

#include "aggregator/store/store.h"
#include "base/vec.h"

struct ap_store_day {
	char table[32];
	int32_t day; /* Unix time / 86,400 s; of tables without days: AP_STORE_NO_DAY */
	uint64_t rows, bytes, parts;
};
#define AP_STORE_NO_DAY INT32_MAX

/* By table, then day. */
struct ap_store_days {
	AP_VEC(struct ap_store_day) v;
};

/* Errors of statements, or -ENOMEM. */
int ap_store_read_days(struct ap_store *s, struct ap_store_days *ret, struct ap_error *err);
void ap_store_days_free(struct ap_store_days *d);
#define _cleanup_days_ _cleanup_(ap_store_days_free)

/* "2026-11-23" */
void ap_store_day_name(int32_t day, char buf[16]);

#endif
