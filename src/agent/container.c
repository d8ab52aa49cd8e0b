/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/io.h"

#define FILE_MAX    (4u << 20)
#define ID_BYTES    64u
#define RETRY_NS    (60 * AP_NSEC_PER_SEC)
#define ENTRIES_MAX 4096u /* containers of one host; then all is forgotten and learned again */

struct entry {
	UT_hash_handle hh;
	char id[ID_BYTES];
	char *name;	   /* NULL: not found */
	uint64_t asked_ns; /* when it was not found */
};

struct ap_container_names {
	char *root;
	struct entry *entries;
};

struct ap_container_names *ap_container_names_new(const char *root)
{
	struct ap_container_names *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->root = strdup(root ? root : "");
	if (!c->root) {
		free(c);
		return NULL;
	}
	return c;
}

static void forget(struct ap_container_names *c)
{
	struct entry *e, *next;

	HASH_ITER(hh, c->entries, e, next) {
		HASH_DEL(c->entries, e);
		free(e->name);
		free(e);
	}
}

void ap_container_names_free(struct ap_container_names *c)
{
	if (!c)
		return;
	forget(c);
	free(c->root);
	free(c);
}

static json_t *load(const char *path)
{
	_cleanup_buf_ struct ap_buf b = {0};

	if (ap_read_file(AT_FDCWD, path, FILE_MAX, &b) < 0)
		return NULL;
	return json_loadb((const char *)b.p, b.n, 0, NULL);
}

static char *docker_name(const struct ap_container_names *c, struct ap_str id)
{
	char path[4096];
	const char *name;
	json_t *root;
	char *copy = NULL;

	snprintf(path, sizeof(path), "%s/var/lib/docker/containers/%.*s/config.v2.json", c->root,
		 AP_STR_ARG(id));
	root = load(path);
	name = json_string_value(json_object_get(root, "Name"));
	if (name && name[name[0] == '/'])
		copy = strdup(name + (name[0] == '/'));
	json_decref(root);
	return copy;
}

static char *podman_name(const struct ap_container_names *c, struct ap_str id)
{
	char path[4096], *copy = NULL;
	json_t *root, *item;
	size_t i;

	snprintf(path, sizeof(path), "%s/var/lib/containers/storage/overlay-containers/%s", c->root,
		 "containers.json");
	root = load(path);
	json_array_foreach(root, i, item)
	{
		const char *name =
			json_string_value(json_array_get(json_object_get(item, "names"), 0));
		const char *its_id = json_string_value(json_object_get(item, "id"));

		if (!copy && name && name[0] && its_id && ap_str_is(id, its_id))
			copy = strdup(name);
	}
	json_decref(root);
	return copy;
}

static struct entry *entry_of(struct ap_container_names *c, struct ap_str id)
{
	struct entry *e;

	HASH_FIND(hh, c->entries, id.p, id.n, e);
	if (e)
		return e;
	if (HASH_COUNT(c->entries) >= ENTRIES_MAX)
		forget(c);
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	memcpy(e->id, id.p, ID_BYTES);
	HASH_ADD(hh, c->entries, id, ID_BYTES, e);
	return e;
}

int ap_container_names_find(struct ap_container_names *c, const struct ap_cgroup *cgroup,
			    uint64_t now_ns, struct ap_str *ret)
{
	struct ap_str id = cgroup->container_id;
	struct entry *e;

	if (id.n != ID_BYTES ||
	    (cgroup->kind != AP_CGROUP_DOCKER && cgroup->kind != AP_CGROUP_PODMAN))
		return -ENOENT;
	e = entry_of(c, id);
	if (!e)
		return -ENOMEM;
	if (!e->name && (!e->asked_ns || now_ns - e->asked_ns >= RETRY_NS)) {
		e->asked_ns = now_ns ? now_ns : 1;
		e->name =
			cgroup->kind == AP_CGROUP_DOCKER ? docker_name(c, id) : podman_name(c, id);
	}
	*ret = ap_str_of(e->name);
	return e->name ? 0 : -ENOENT;
}
