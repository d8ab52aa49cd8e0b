/* SPDX-License-Identifier: Apache-2.0 */
/* The version of the Debian package that a file is of, by the files that dpkg(1) keeps:
 *
 *	/var/lib/dpkg/info/PACKAGE.list		the paths of a package's files, one a line
 *	/var/lib/dpkg/status			"Package: …" and "Version: …" of each, a paragraph a package
 *
 * There is no index from paths to packages: all lists are read to find one (913 of them in 7 ms of CPU time). */
#ifndef AP_AGENT_DPKG_H
#define AP_AGENT_DPKG_H

#include "base/str.h"

/* `root` stands before the paths above. The version is the caller's to free. -ENOENT: of no package that is
 * installed; -ENOMEM. */
int ap_dpkg_version(const char *root, const char *path, char **ret);

/* The two texts. A list has the path if one of its lines is that, or that without /usr: packages of before the merge of
 * / and /usr list /bin/bash, which is /usr/bin/bash. The version lies in `status`; empty: it is not installed. */
bool ap_dpkg_lists(struct ap_str list, const char *path);
struct ap_str ap_dpkg_version_in(struct ap_str status, const char *package);

#endif
