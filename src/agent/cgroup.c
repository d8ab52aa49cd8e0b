/* SPDX-License-Identifier: Apache-2.0 */
/* Paths are read from the outside in, one component at a time: what a component says is kept, and
 * what an inner container says replaces it, so that a pod within a node that is itself a container
 * is found. The drivers differ in form only: systemd's gives "ENGINE-ID.scope" in slices, cgroupfs
 * gives "ENGINE/ID", and a mixture of both gives "SLICE:ENGINE:ID". */
#include "agent/cgroup.h"

#define ID_HEX 64u

static bool is_hex(struct ap_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
			return false;
	return s.n > 0;
}

static bool is_id(struct ap_str s)
{
	return s.n == ID_HEX && is_hex(s);
}

static struct ap_str tail(struct ap_str s, size_t from)
{
	return (struct ap_str){s.p + from, s.n - from};
}

static struct ap_str without_suffix(struct ap_str s, struct ap_str suffix)
{
	return (struct ap_str){s.p, s.n - (ap_str_ends(s, suffix) ? suffix.n : 0)};
}

static bool find_in(struct ap_str s, struct ap_str what, size_t *ret_end)
{
	for (size_t i = 0; i + what.n <= s.n; i++)
		if (memcmp(s.p + i, what.p, what.n) == 0) {
			*ret_end = i + what.n;
			return true;
		}
	return false;
}

/* A pod's UID: 36 characters with '-' or '_', or the 32 hex digits of a static pod's. */
static bool is_pod_uid(struct ap_str s)
{
	if (s.n == 32)
		return is_hex(s);
	if (s.n != 36)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s.p[i] != '-' && s.p[i] != '_' : !is_hex((struct ap_str){s.p + i, 1}))
			return false;
	}
	return true;
}

static enum ap_cgroup_kind engine_of(struct ap_str name)
{
	static const struct {
		const char *name;
		enum ap_cgroup_kind kind;
	} engines[] = {
		{"docker", AP_CGROUP_DOCKER},
		{"cri-containerd", AP_CGROUP_CONTAINERD},
		{"containerd", AP_CGROUP_CONTAINERD},
		{"nerdctl", AP_CGROUP_CONTAINERD},
		{"crio", AP_CGROUP_CRIO},
		{"libpod", AP_CGROUP_PODMAN},
		{"libpod-payload", AP_CGROUP_PODMAN},
		{"podman", AP_CGROUP_PODMAN},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(engines); i++)
		if (ap_str_is(name, engines[i].name))
			return engines[i].kind;
	return AP_CGROUP_OTHER;
}

/* "ID", "ENGINE-ID" or "…:ENGINE:ID", without ".scope". conmon is an engine's helper outside the
 * container that it is named after. */
static bool take_container(struct ap_str c, struct ap_str parent, struct ap_cgroup *ret)
{
	struct ap_str id, engine;

	if (c.n < ID_HEX)
		return false;
	id = tail(c, c.n - ID_HEX);
	engine = (struct ap_str){c.p, c.n - ID_HEX};
	if (!is_id(id))
		return false;
	if (engine.n == 0)
		engine = parent;
	else if (engine.p[engine.n - 1] != '-' && engine.p[engine.n - 1] != ':')
		return false;
	else
		engine.n--;
	if (ap_str_ends(engine, AP_STR("conmon")))
		return false;
	for (ssize_t colon; (colon = ap_str_find(engine, ':')) >= 0;)
		engine = tail(engine, (size_t)colon + 1);
	ret->container_id = id;
	ret->container_name = AP_STR("");
	ret->kind = engine_of(engine);
	return true;
}

/* What systems call containers by name. */
static bool take_named_container(struct ap_str c, struct ap_str parent, struct ap_cgroup *ret)
{
	enum ap_cgroup_kind kind = AP_CGROUP_LXC;
	struct ap_str name = {0};

	if (ap_str_starts(c, AP_STR("lxc.payload.")))
		name = tail(c, sizeof("lxc.payload.") - 1);
	else if (ap_str_is(parent, "lxc") || ap_str_is(parent, "lxc.payload"))
		name = c;
	else if (ap_str_starts(c, AP_STR("machine-")) && ap_str_ends(c, AP_STR(".scope")) &&
		 ap_str_is(parent, "machine.slice")) {
		name = without_suffix(tail(c, sizeof("machine-") - 1), AP_STR(".scope"));
		kind = AP_CGROUP_NSPAWN;
	} else if (ap_str_starts(c, AP_STR("systemd-nspawn@"))) {
		name = without_suffix(tail(c, sizeof("systemd-nspawn@") - 1), AP_STR(".service"));
		kind = AP_CGROUP_NSPAWN;
	}
	if (name.n == 0)
		return false;
	ret->kind = kind;
	ret->container_id = AP_STR("");
	ret->container_name = name;
	return true;
}

static void take_pod(struct ap_str c, struct ap_cgroup *ret)
{
	struct ap_str name = without_suffix(c, AP_STR(".slice"));
	size_t end;

	if (find_in(c, AP_STR("kubepods"), &end)) {
		ret->kubernetes = true;
		ret->pod_uid = AP_STR("");
		name = tail(name, AP_MIN(end, name.n));
		if (find_in(name, AP_STR("-pod"), &end) && is_pod_uid(tail(name, end)))
			ret->pod_uid = tail(name, end);
	} else if (ret->kubernetes && ap_str_starts(c, AP_STR("pod")) && is_pod_uid(tail(c, 3))) {
		ret->pod_uid = tail(c, 3);
	}
}

static void take_component(struct ap_str c, struct ap_str parent, struct ap_cgroup *ret)
{
	bool inside = ret->kind != AP_CGROUP_NONE;
	struct ap_str bare = without_suffix(c, AP_STR(".scope"));
	ssize_t colon = ap_str_find(c, ':');

	take_pod(colon > 0 && is_id(tail(c, c.n > ID_HEX ? c.n - ID_HEX : 0))
			 ? (struct ap_str){c.p, (size_t)colon}
			 : c,
		 ret);
	if (take_container(bare, parent, ret) || take_named_container(c, parent, ret) || inside)
		return;
	if (ap_str_ends(c, AP_STR(".slice")))
		ret->slice = c;
	else if (ap_str_ends(c, AP_STR(".service")) || ap_str_ends(c, AP_STR(".scope")))
		ret->unit = c;
}

static void parse_path(struct ap_str path, struct ap_cgroup *ret)
{
	struct ap_str parent = AP_STR("");

	*ret = (struct ap_cgroup){0};
	while (path.p) {
		struct ap_str c = ap_str_cut(&path, '/');

		if (c.n == 0 || ap_str_is(c, "..") || ap_str_is(c, "."))
			continue;
		take_component(c, parent, ret);
		parent = c;
	}
}

static unsigned int said(const struct ap_cgroup *c)
{
	return (c->container_id.n || c->container_name.n ? 16u : 0) + (c->pod_uid.n ? 8u : 0) +
	       (c->kubernetes ? 4u : 0) + (c->unit.n ? 2u : 0) + (c->slice.n ? 1u : 0);
}

void ap_cgroup_parse(struct ap_str text, struct ap_cgroup *ret)
{
	struct ap_cgroup best = {0};

	while (text.p) {
		struct ap_str line = ap_str_trim(ap_str_cut(&text, '\n'));
		struct ap_cgroup c;

		if (line.n && line.p[0] != '/') {
			ap_str_cut(&line, ':');
			ap_str_cut(&line, ':');
		}
		parse_path(line, &c);
		if (said(&c) > said(&best))
			best = c;
	}
	*ret = best;
}

size_t ap_cgroup_pod_uid(const struct ap_cgroup *c, char out[static 36])
{
	size_t n = AP_MIN(c->pod_uid.n, (size_t)36);

	for (size_t i = 0; i < n; i++)
		out[i] = c->pod_uid.p[i] == '_' ? '-' : c->pod_uid.p[i];
	return n;
}
