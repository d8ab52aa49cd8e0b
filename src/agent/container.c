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
	char *version;	   /* the same, of the image */
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
		free(e->version);
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

struct ap_str ap_image_version(struct ap_str reference)
{
	enum { DIGEST_SHOWN = sizeof("sha256:0123456789ab") - 1 };
	struct ap_str digest = reference, name = ap_str_cut(&digest, '@');

	for (size_t i = name.n; i > 0 && name.p[i - 1] != '/'; i--)
		if (name.p[i - 1] == ':')
			return (struct ap_str){name.p + i, name.n - i};
	return (struct ap_str){digest.p, AP_MIN(digest.n, (size_t)DIGEST_SHOWN)};
}

static char *version_of(const char *reference)
{
	struct ap_str version = ap_image_version(ap_str_of(reference));

	return version.n ? ap_str_dup(version) : NULL;
}

static void look_at_docker(const struct ap_container_names *c, struct entry *e)
{
	char path[4096];
	const char *name;
	json_t *root;

	snprintf(path, sizeof(path), "%s/var/lib/docker/containers/%.*s/config.v2.json", c->root,
		 (int)ID_BYTES, e->id);
	root = load(path);
	name = json_string_value(json_object_get(root, "Name"));
	if (name && name[name[0] == '/'])
		e->name = strdup(name + (name[0] == '/'));
	e->version = version_of(
		json_string_value(json_object_get(json_object_get(root, "Config"), "Image")));
	json_decref(root);
}

static void look_at_podman(const struct ap_container_names *c, struct entry *e)
{
	const struct ap_str id = {e->id, ID_BYTES};
	json_t *root, *item, *meta;
	char path[4096];
	size_t i;

	snprintf(path, sizeof(path), "%s/var/lib/containers/storage/overlay-containers/%s", c->root,
		 "containers.json");
	root = load(path);
	json_array_foreach(root, i, item)
	{
		const char *name =
			json_string_value(json_array_get(json_object_get(item, "names"), 0));
		const char *its_id = json_string_value(json_object_get(item, "id"));
		const char *more = json_string_value(json_object_get(item, "metadata"));

		if (e->name || !its_id || !ap_str_is(id, its_id))
			continue;
		if (name && name[0])
			e->name = strdup(name);
		meta = more ? json_loads(more, 0, NULL) : NULL;
		e->version = version_of(json_string_value(json_object_get(meta, "image-name")));
		json_decref(meta);
	}
	json_decref(root);
}

/* The names of such containers are the kubelet's (kube.h). */
static void look_at_containerd(const struct ap_container_names *c, struct entry *e)
{
	char path[4096];
	json_t *root;

	snprintf(path, sizeof(path),
		 "%s/run/containerd/io.containerd.runtime.v2.task/k8s.io/%.*s/config.json", c->root,
		 (int)ID_BYTES, e->id);
	root = load(path);
	e->version = version_of(json_string_value(json_object_get(
		json_object_get(root, "annotations"), "io.kubernetes.cri.image-name")));
	json_decref(root);
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

/* What is known of a container, looked for if it is time to. -ENOENT: no engine that is known here. */
static int look_up(struct ap_container_names *c, const struct ap_cgroup *cgroup, uint64_t now_ns,
		   const struct entry **ret)
{
	struct entry *e;

	if (cgroup->container_id.n != ID_BYTES ||
	    (cgroup->kind != AP_CGROUP_DOCKER && cgroup->kind != AP_CGROUP_PODMAN &&
	     cgroup->kind != AP_CGROUP_CONTAINERD))
		return -ENOENT;
	e = entry_of(c, cgroup->container_id);
	if (!e)
		return -ENOMEM;
	if (!e->name && !e->version && (!e->asked_ns || now_ns - e->asked_ns >= RETRY_NS)) {
		e->asked_ns = now_ns ? now_ns : 1;
		if (cgroup->kind == AP_CGROUP_DOCKER)
			look_at_docker(c, e);
		else if (cgroup->kind == AP_CGROUP_PODMAN)
			look_at_podman(c, e);
		else
			look_at_containerd(c, e);
	}
	*ret = e;
	return 0;
}

int ap_container_names_find(struct ap_container_names *c, const struct ap_cgroup *cgroup,
			    uint64_t now_ns, struct ap_str *ret)
{
	const struct entry *e;
	int r = look_up(c, cgroup, now_ns, &e);

	if (r < 0)
		return r;
	*ret = ap_str_of(e->name);
	return e->name ? 0 : -ENOENT;
}

int ap_container_names_version(struct ap_container_names *c, const struct ap_cgroup *cgroup,
			       uint64_t now_ns, struct ap_str *ret)
{
	const struct entry *e;
	int r = look_up(c, cgroup, now_ns, &e);

	if (r < 0)
		return r;
	*ret = ap_str_of(e->version);
	return e->version ? 0 : -ENOENT;
}
