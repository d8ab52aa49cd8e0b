/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kube.h"

#include <dirent.h>
#include <uthash.h>

#include "base/clock.h"

#define ID_MIN	  12u
#define REREAD_NS AP_NSEC_PER_SEC
#define NAMES_MAX 65536u /* a node runs at most a few hundred pods */

struct name {
	UT_hash_handle hh;
	struct ap_kube_name parts;
	struct ap_str id;
	char text[]; /* the link's name, which the others point into */
};

struct ap_kube_names {
	char *dir;
	struct name *names;
	uint64_t read_ns; /* 0: never */
};

struct ap_kube_names *ap_kube_names_new(const char *dir)
{
	struct ap_kube_names *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->dir = strdup(dir ? dir : "/var/log/containers");
	if (!k->dir) {
		free(k);
		return NULL;
	}
	return k;
}

static void forget(struct ap_kube_names *k)
{
	struct name *n, *next;

	HASH_ITER(hh, k->names, n, next) {
		HASH_DEL(k->names, n);
		free(n);
	}
}

void ap_kube_names_free(struct ap_kube_names *k)
{
	if (!k)
		return;
	forget(k);
	free(k->dir);
	free(k);
}

/* Neither part can hold '_', and the id no '-'. */
static bool split(struct name *n, struct ap_str text)
{
	struct ap_str rest = {text.p, text.n - 4};
	size_t dash;

	n->parts.pod = ap_str_cut(&rest, '_');
	n->parts.ns = ap_str_cut(&rest, '_');
	for (dash = rest.n; dash > 0 && rest.p[dash - 1] != '-'; dash--)
		;
	if (dash < 2)
		return false;
	n->parts.container = (struct ap_str){rest.p, dash - 1};
	n->id = (struct ap_str){rest.p + dash, rest.n - dash};
	return n->parts.pod.n && n->parts.ns.n && n->id.n >= ID_MIN;
}

static int add(struct ap_kube_names *k, struct ap_str text)
{
	struct name *n, *same = NULL;

	if (!ap_str_ends(text, AP_STR(".log")) || !ap_str_utf8_ok(text))
		return 0;
	n = calloc(1, sizeof(*n) + text.n + 1);
	if (!n)
		return -ENOMEM;
	memcpy(n->text, text.p, text.n);
	if (split(n, (struct ap_str){n->text, text.n}))
		HASH_FIND(hh, k->names, n->id.p, n->id.n, same);
	else
		same = n;
	if (same) {
		free(n);
		return 0;
	}
	HASH_ADD_KEYPTR(hh, k->names, n->id.p, n->id.n, n);
	return 0;
}

static int reread(struct ap_kube_names *k)
{
	DIR *d = opendir(k->dir);
	struct dirent *e;
	int err = 0;

	forget(k);
	if (!d)
		return 0;
	while (err == 0 && HASH_COUNT(k->names) < NAMES_MAX && (e = readdir(d)))
		err = add(k, ap_str_of(e->d_name));
	closedir(d);
	return err;
}

int ap_kube_names_find(struct ap_kube_names *k, struct ap_str container_id, uint64_t now_ns,
		       struct ap_kube_name *ret)
{
	struct name *n;
	int err = 0;

	HASH_FIND(hh, k->names, container_id.p, container_id.n, n);
	if (!n && (!k->read_ns || now_ns - k->read_ns >= REREAD_NS)) {
		k->read_ns = now_ns ? now_ns : 1;
		err = reread(k);
		HASH_FIND(hh, k->names, container_id.p, container_id.n, n);
	}
	if (!n)
		return err < 0 ? err : -ENOENT;
	*ret = n->parts;
	return 0;
}

static bool made_of(struct ap_str s, const char *alphabet)
{
	for (size_t i = 0; i < s.n; i++)
		if (!s.p[i] || !strchr(alphabet, s.p[i]))
			return false;
	return s.n > 0;
}

/* What stands behind the last '-'; empty where nothing stands before it. */
static struct ap_str last_part(struct ap_str s)
{
	for (size_t i = s.n; i > 1; i--)
		if (s.p[i - 1] == '-')
			return (struct ap_str){s.p + i, s.n - i};
	return AP_STR("");
}

static struct ap_str without_part(struct ap_str s, struct ap_str part)
{
	return (struct ap_str){s.p, s.n - part.n - 1};
}

/* Kubernetes' random suffixes avoid vowels and look-alikes; a pod template's hash is a decimal
 * number written in ten letters of that alphabet (k8s.io/apimachinery/pkg/util/rand). */
struct ap_str ap_kube_workload(struct ap_str pod, struct ap_str host)
{
	struct ap_str part = last_part(pod), before;

	if (host.n && pod.n > host.n + 1 && ap_str_ends(pod, host) &&
	    pod.p[pod.n - host.n - 1] == '-')
		return (struct ap_str){pod.p, pod.n - host.n - 1};
	if (part.n == 0)
		return pod;
	if (part.n <= 4 && made_of(part, "0123456789"))
		return without_part(pod, part);
	if (part.n != 5 || !made_of(part, "bcdfghjklmnpqrstvwxz2456789"))
		return pod;
	pod = without_part(pod, part);
	before = last_part(pod);
	if ((before.n >= 5 && before.n <= 10 && made_of(before, "456789bcdf")) ||
	    (before.n >= 8 && before.n <= 10 && made_of(before, "0123456789")))
		return without_part(pod, before);
	return pod;
}
