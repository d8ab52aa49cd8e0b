/* SPDX-License-Identifier: Apache-2.0 */
/* What deploys share with annotations: one transaction. */
#ifndef AP_AGGREGATOR_ANNOTATE_INTERNAL_H
#define AP_AGGREGATOR_ANNOTATE_INTERNAL_H

#include <pthread.h>

#include "aggregator/annotate/annotations.h"

struct ap_annotations {
	pthread_mutex_t lock; /* guards the connection */
	struct ap_database *db;
};

/* With the lock held. */
int ap_annotation_write(struct ap_annotations *a, const struct ap_annotation *v, uint64_t *ret_id,
			struct ap_error *err);

#endif
