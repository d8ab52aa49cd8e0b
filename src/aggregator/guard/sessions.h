/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of browsers that have shown a token: in memory, so that a restart asks for it again. A session is
 * known by the hash of its id, ends after a time without use, and with the token that it came from. Not thread-safe. */
#ifndef AP_AGGREGATOR_GUARD_SESSIONS_H
#define AP_AGGREGATOR_GUARD_SESSIONS_H

#include "aggregator/guard/db.h"

struct ap_session {
	uint8_t hash[AP_SHA256_BYTES];
	uint64_t token; /* its id; 0: the place is free */
	uint64_t used_ns;
	char csrf[AP_SECRET_TEXT]; /* what each change must show beside the cookie */
};

struct ap_sessions {
	struct ap_session *p;
	uint32_t max;
	uint64_t idle_ns;
};

int ap_sessions_init(struct ap_sessions *s, uint32_t max, uint64_t idle_ns); /* 0, -ENOMEM */
void ap_sessions_free(struct ap_sessions *s);
/* A new session of that token: its id, which is nowhere else, in `ret_id`. -EBUSY: there are `max` already. */
int ap_sessions_add(struct ap_sessions *s, uint64_t token, uint64_t now_ns,
		    char ret_id[static AP_SECRET_TEXT], const struct ap_session **ret);
/* The session of that id, which counts as used; NULL: none, or it has ended. */
const struct ap_session *ap_sessions_find(struct ap_sessions *s, struct ap_str id, uint64_t now_ns);
void ap_sessions_end(struct ap_sessions *s, struct ap_str id);
/* Ends those whose token is not among `tokens`. */
void ap_sessions_keep(struct ap_sessions *s, const struct ap_token *tokens, size_t n);
uint32_t ap_sessions_count(const struct ap_sessions *s, uint64_t now_ns);

#endif
