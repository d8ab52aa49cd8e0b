/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what. */
#ifndef AP_AGGREGATOR_GUARD_ROLE_H
#define AP_AGGREGATOR_GUARD_ROLE_H

#include "base/macro.h"

/* What a token permits. The numbers are on disk. */
enum ap_role {
	AP_ROLE_NONE = 0,
	AP_ROLE_PUSH = 1,  /* to hand in batches */
	AP_ROLE_READ = 2,  /* to ask */
	AP_ROLE_ADMIN = 3, /* both, and to change what the aggregator and its agents do */
	AP_ROLE_MAX,
};

/* What a route or a method asks for. */
enum ap_access {
	AP_ACCESS_NONE = 0, /* nobody said: nobody may */
	AP_ACCESS_PUBLIC,   /* everybody */
	AP_ACCESS_PUSH,
	AP_ACCESS_READ,
	AP_ACCESS_ADMIN,
};

extern const char *const ap_role_names[]; /* "none", "push", "read", "admin", NULL */

static inline bool ap_role_may(enum ap_role role, enum ap_access access)
{
	switch (access) {
	case AP_ACCESS_PUBLIC:
		return true;
	case AP_ACCESS_PUSH:
		return role == AP_ROLE_PUSH || role == AP_ROLE_ADMIN;
	case AP_ACCESS_READ:
		return role == AP_ROLE_READ || role == AP_ROLE_ADMIN;
	case AP_ACCESS_ADMIN:
		return role == AP_ROLE_ADMIN;
	default:
		return false;
	}
}

#endif
