/* SPDX-License-Identifier: Apache-2.0 */
/* The version of the package that a program is of, as dpkg (dpkg.h) or rpm (rpm.h) tells it. Looking costs
 * milliseconds, so answers are kept, those for paths of no package too, and reading is rationed. */
#ifndef AP_AGENT_PACKAGE_H
#define AP_AGENT_PACKAGE_H

#include "base/str.h"

struct ap_packages;

/* `root`: what stands before all paths, NULL for nothing. NULL = out of memory. */
struct ap_packages *ap_packages_new(const char *root);
void ap_packages_free(struct ap_packages *p); /* NULL is fine */
AP_DEFINE_CLEANUP(packages, struct ap_packages, ap_packages_free)

struct ap_package_program {
	struct ap_str path; /* of the executable, as the process names it */
	struct ap_str
		build; /* its build-id as hex: a version is bound to it, whatever is installed later */
	int32_t pid; /* of a process that runs it */
};

/* The version, valid until the next find. -ENOENT: none is known (yet): the path is in no package, or what runs is not
 * the file at that path any more, or packages are being installed, or it is not to be looked for again so soon
 * (`now_ns`: CLOCK_MONOTONIC); -ENOMEM. */
int ap_packages_find(struct ap_packages *p, const struct ap_package_program *program,
		     uint64_t now_ns, struct ap_str *ret);

#endif
