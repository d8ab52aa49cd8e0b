/* SPDX-License-Identifier: Apache-2.0 */
/* The version of the RPM package that a file is of, by rpm's database in /var/lib/rpm, which may lie behind a link. The
 * first of these that is there is read:
 *
 *	rpmdb.sqlite			SQLite (rpm_sqlite.c): the default since RPM 4.16, of Fedora 33 and RHEL 9
 *	Packages.db, Index.db		ndb (rpm_ndb.c): openSUSE, SLES 15
 *	Packages, Basenames		Berkeley DB (rpm_bdb.c): RHEL 8 and before, Amazon Linux 2
 *
 * Each has an index from files' names without their folder to packages, so that one look-up reads a few pages and the
 * headers of the packages that have a file of that name, which tell whether it is the one. Of several packages that
 * have the path, it is of the one that was installed last: an upgrade adds the new package before it removes the old. */
#ifndef AP_AGENT_RPM_H
#define AP_AGENT_RPM_H

#include "base/str.h"

/* [epoch:]version-release, as `rpm -q --qf '%{EVR}'` has it; the caller's to free. `root` stands before the database's
 * path. Nothing is written, nor any lock waited for. -ENOENT: of no package, or there is no such database, or
 * it cannot be read; -EAGAIN: rpm is changing the database, or has within the last second, and the next question may be
 * answered (package.h asks with the next batch); -ENOMEM. */
int ap_rpm_version(const char *root, const char *path, char **ret);

#endif
