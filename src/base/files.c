/* SPDX-License-Identifier: Apache-2.0 */
#include "base/files.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define LEVELS 8

/* The plain form of dir/name if that exists. */
static int try(const char *dir, const char *name, char **ret)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (access(path, R_OK) < 0)
		return -ENOENT;
	*ret = realpath(path, NULL);
	return *ret ? 0 : -errno;
}

/* Cuts the last segment; false: there is none. */
static bool parent(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash || slash == path)
		return false;
	*slash = '\0';
	return true;
}

int ap_files_find(const char *installed, const char *in_tree, char **ret)
{
	char dir[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	int r;

	if (n < 0)
		return -errno;
	dir[n] = '\0';
	if (!parent(dir))
		return -ENOENT;
	r = try(dir, installed, ret);
	for (int i = 0; r == -ENOENT && i < LEVELS && parent(dir); i++)
		r = try(dir, in_tree, ret);
	return r;
}
