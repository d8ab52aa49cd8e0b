/* SPDX-License-Identifier: Apache-2.0 */
/* A package's header as rpm's databases keep it: an index of tags and a store of their values; see "Package File Format"
 * in the Linux Standard Base, 5.0. */
#ifndef AP_AGENT_RPM_HEADER_H
#define AP_AGENT_RPM_HEADER_H

#include "base/str.h"

/* [epoch:]version-release, if the header's file `i` has the path (or the path without /usr); the caller's to free.
 * -ENOENT: it has not, or the header is damaged; -ENOMEM. */
int ap_rpm_header_version(struct ap_str header, uint32_t i, const char *path, char **ret);

#endif
