/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/package.h"

#include <stdio.h>
#include <sys/stat.h>
#include <uthash.h>

#include "agent/dpkg.h"
#include "agent/rpm.h"
#include "base/clock.h"

#define PATH_BYTES  4096
#define REST_FACTOR 200	  /* readings take half a percent of a CPU at most */
#define ENTRIES_MAX 4096u /* programs of one host; then all is forgotten and learned again */

struct entry {
	UT_hash_handle hh;
	char *version; /* NULL: of no package */
	char key[];    /* path, NUL, build */
};

struct ap_packages {
	char *root;
	struct entry *entries;
	uint64_t rest_until_ns; /* CLOCK_MONOTONIC: nothing is read before that */
};

struct ap_packages *ap_packages_new(const char *root)
{
	struct ap_packages *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->root = strdup(root ? root : "");
	if (!p->root) {
		free(p);
		return NULL;
	}
	return p;
}

static void forget(struct ap_packages *p)
{
	struct entry *e, *next;

	HASH_ITER(hh, p->entries, e, next) {
		HASH_DEL(p->entries, e);
		free(e->version);
		free(e);
	}
}

void ap_packages_free(struct ap_packages *p)
{
	if (!p)
		return;
	forget(p);
	free(p->root);
	free(p);
}

/* Whether the process runs the file that is at that path here and now: neither a deleted one, nor one of a container's
 * own files. */
static bool runs_it(const struct ap_packages *p, const struct ap_package_program *program,
		    const char *path)
{
	char link[64], here[PATH_BYTES];
	struct stat runs, is;

	snprintf(link, sizeof(link), "/proc/%d/exe", program->pid);
	snprintf(here, sizeof(here), "%s%s", p->root, path);
	return stat(link, &runs) == 0 && stat(here, &is) == 0 && runs.st_dev == is.st_dev &&
	       runs.st_ino == is.st_ino;
}

/* As ap_rpm_version(). */
static int find_version(const struct ap_packages *p, const char *path, char **ret)
{
	int err = ap_dpkg_version(p->root, path, ret);

	return err == -ENOENT ? ap_rpm_version(p->root, path, ret) : err;
}

/* An answer that stays: a version, or that it is of no package. */
static int learn(struct ap_packages *p, const char *key, size_t n, struct entry **ret)
{
	_cleanup_free_ char *version = NULL;
	struct entry *e;
	int err = find_version(p, key, &version);

	if (err < 0 && err != -ENOENT)
		return err;
	e = calloc(1, sizeof(*e) + n);
	if (!e)
		return -ENOMEM;
	if (HASH_COUNT(p->entries) >= ENTRIES_MAX)
		forget(p);
	e->version = AP_TAKE_PTR(version);
	memcpy(e->key, key, n);
	HASH_ADD(hh, p->entries, key[0], n, e);
	*ret = e;
	return 0;
}

int ap_packages_find(struct ap_packages *p, const struct ap_package_program *program,
		     uint64_t now_ns, struct ap_str *ret)
{
	char key[PATH_BYTES + 128];
	size_t n = program->path.n + program->build.n + 2;
	struct entry *e;
	uint64_t begin;
	int err;

	if (program->path.n == 0 || program->path.p[0] != '/' || program->path.n >= PATH_BYTES ||
	    n > sizeof(key))
		return -ENOENT;
	snprintf(key, sizeof(key), "%.*s%c%.*s", AP_STR_ARG(program->path), '\0',
		 AP_STR_ARG(program->build));
	HASH_FIND(hh, p->entries, key, n, e);
	if (!e) {
		if (now_ns < p->rest_until_ns || !runs_it(p, program, key))
			return -ENOENT;
		begin = ap_clock_mono_ns();
		err = learn(p, key, n, &e);
		p->rest_until_ns = now_ns + REST_FACTOR * (ap_clock_mono_ns() - begin);
		if (err < 0)
			return err == -ENOMEM ? err : -ENOENT;
	}
	*ret = ap_str_of(e->version);
	return e->version ? 0 : -ENOENT;
}
