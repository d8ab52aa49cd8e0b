/* SPDX-License-Identifier: Apache-2.0 */
/* Deploys, as the samples tell of them: a program of a service that runs with another build or version than before.
 *
 * Each accepted batch says which (service, program, build, version) ran on its host. Of each program of a service one
 * identity (build and version) is the current one. A deploy is
 *  - an identity that was not seen for a week: at its first sample, however long the old one goes on beside it;
 *  - a known one that is seen for QUIET_MS while the current one is not: it was rolled back to.
 * So two builds side by side are one deploy, on however many hosts and for however long; hosts that follow within a
 * day are added to it. Programs that come and go in turns (jobs of a scheduler under one name) are known after two
 * returns, and make no more markers. Changes of several programs of one service within ten minutes are one deploy.
 *
 * Markers are annotations; what is known of identities is in the same file, so that a start knows what ran before. */
#ifndef AP_AGGREGATOR_ANNOTATE_DEPLOYS_H
#define AP_AGGREGATOR_ANNOTATE_DEPLOYS_H

#include "aggregator/annotate/annotations.h"
#include "profile/profile.h"

#define AP_DEPLOY_PROGRAMS_MAX 8192 /* programs of services; the one unseen for longest makes way */
#define AP_DEPLOY_BUILDS_MAX   8    /* identities of a program */
#define AP_DEPLOY_HOSTS_MAX    1000 /* of a marker */

struct ap_deploys;

/* `a` is borrowed, and closed after. Errors of ap_database_run(). */
int ap_deploys_open(struct ap_annotations *a, struct ap_deploys **ret, struct ap_error *err);
void ap_deploys_close(struct ap_deploys *d); /* without saving; NULL is fine */

struct ap_sighting {
	struct ap_str service, host, program, build, version;
	int64_t at_ms; /* Unix */
};
/* In memory, and on disk by the next save. Sightings may come late and out of order. -ENOMEM. Thread-safe. */
int ap_deploys_see(struct ap_deploys *d, const struct ap_sighting *s);
/* All that a batch tells. */
int ap_deploys_see_batch(struct ap_deploys *d, const struct ap_profile *p, struct ap_str host);
/* Writes new and changed markers, and what is known of identities. Errors of ap_database_run(): it is tried
 * again by the next. */
int ap_deploys_save(struct ap_deploys *d, struct ap_error *err);

struct ap_deploys_stats {
	uint32_t programs;
	uint64_t forgotten; /* programs that made way for others */
};
void ap_deploys_get_stats(struct ap_deploys *d, struct ap_deploys_stats *ret);

#endif
