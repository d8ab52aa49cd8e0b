/* SPDX-License-Identifier: Apache-2.0 */
/* What rpm.c asks of each format of rpm's database. */
#ifndef AP_AGENT_RPM_FORMAT_H
#define AP_AGENT_RPM_FORMAT_H

#include "base/buf.h"

#define AP_RPM_PLACES_MAX \
	1000 /* of one name: there are hundreds of __init__.py, of programs a few */

/* A package, and a place in its list of files. Packages are numbered in the order in which they are installed. */
struct ap_rpm_place {
	uint32_t package, file;
};

struct ap_rpm_places {
	struct ap_rpm_place at[AP_RPM_PLACES_MAX];
	size_t n;
};

/* Adds a place; false: there is no room for another one. */
bool ap_rpm_places_add(struct ap_rpm_places *p, uint32_t package, uint32_t file);

/* Functions return 0, -ENOMEM, -EAGAIN where the database is being changed, or another error where it cannot be read.
 * Files may be hostile, and change or shrink at any time. */
struct ap_rpm_format {
	const char *database, *index; /* names of its two files */
	int (*open)(const char *dir, void **ret);
	/* The first AP_RPM_PLACES_MAX places of a file's name without its folder; there may be none. */
	int (*find)(void *db, struct ap_str name, struct ap_rpm_places *ret);
	/* Appends a package's header. -ENOENT: there is none; -EFBIG: it has more than `max` bytes. */
	int (*read)(void *db, uint32_t package, size_t max, struct ap_buf *ret);
	void (*close)(void *db);
};

extern const struct ap_rpm_format ap_rpm_sqlite, ap_rpm_ndb, ap_rpm_bdb;

/* A descriptor to read one of the folder's files by, or -errno. */
int ap_rpm_open(const char *dir, const char *name);

#endif
