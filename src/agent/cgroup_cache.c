/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cgroup_cache.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <uthash.h>

#define ENTRIES_MAX 1024u

struct entry {
	UT_hash_handle hh;
	uint64_t id;
	char text[];
};

struct ap_cgroup_cache {
	struct entry *entries;
	char *root;
};

struct ap_cgroup_cache *ap_cgroup_cache_new(const char *root)
{
	struct ap_cgroup_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->root = strdup(root ? root : "/sys/fs/cgroup");
	if (!c->root) {
		free(c);
		return NULL;
	}
	return c;
}

static void drop(struct ap_cgroup_cache *c, struct entry *e)
{
	HASH_DEL(c->entries, e);
	free(e);
}

void ap_cgroup_cache_free(struct ap_cgroup_cache *c)
{
	struct entry *e, *next;

	if (!c)
		return;
	HASH_ITER(hh, c->entries, e, next)
		drop(c, e);
	free(c->root);
	free(c);
}

const char *ap_cgroup_cache_get(const struct ap_cgroup_cache *c, uint64_t id)
{
	struct entry *e;

	HASH_FIND(hh, c->entries, &id, sizeof(id), e);
	return e ? e->text : NULL;
}

/* "0::PATH\n" alone, PATH being the folder with the number `id`. */
static bool is_of(const struct ap_cgroup_cache *c, uint64_t id, const char *text)
{
	static const char v2[] = "0::/";
	char path[2 * PATH_MAX];
	const char *end = strchr(text, '\n');
	struct stat st;

	if (strncmp(text, v2, sizeof(v2) - 1) != 0 || !end || end[1])
		return false;
	snprintf(path, sizeof(path), "%s%.*s", c->root, (int)(end - text - 3), text + 3);
	return stat(path, &st) == 0 && st.st_ino == id;
}

void ap_cgroup_cache_put(struct ap_cgroup_cache *c, uint64_t id, const char *text)
{
	size_t n = strlen(text) + 1;
	struct entry *e;

	if (id == 0 || ap_cgroup_cache_get(c, id) || !is_of(c, id, text))
		return;
	if (HASH_COUNT(c->entries) >= ENTRIES_MAX)
		drop(c, c->entries);
	e = calloc(1, sizeof(*e) + n);
	if (!e)
		return;
	e->id = id;
	memcpy(e->text, text, n);
	HASH_ADD(hh, c->entries, id, sizeof(e->id), e);
}
