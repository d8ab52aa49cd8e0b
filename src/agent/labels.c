/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/labels.h"

#include "agent/cgroup.h"
#include "base/buf.h"

#define SHORT_ID	12u
#define KEY_BYTES_MAX	63u
#define VALUE_BYTES_MAX 255u

const char *const ap_label_names[AP_LABEL_COUNT] = {
#define X(id, text) [AP_LABEL_##id] = text,
	AP_LABEL_LIST(X)
#undef X
};

static bool key_ok(struct ap_str key)
{
	for (size_t i = 0; i < key.n; i++) {
		char c = key.p[i];
		bool digit = c >= '0' && c <= '9';

		if (!(c == '_' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (digit && i > 0)))
			return false;
	}
	return key.n > 0 && key.n <= KEY_BYTES_MAX;
}

int ap_user_label_parse(struct ap_str arg, struct ap_user_label *ret, struct ap_error *err)
{
	struct ap_str value = arg, key = ap_str_cut(&value, '=');

	if (!value.p)
		return ap_error_set(err, -EINVAL, "label '%.*s' is not of the form KEY=VALUE",
				    AP_STR_ARG(arg));
	if (!key_ok(key))
		return ap_error_set(err, -EINVAL,
				    "label key '%.*s' is not a letter or '_' followed by letters, "
				    "digits and '_', at most 63 in all",
				    AP_STR_ARG(key));
	for (size_t i = 0; i < AP_LABEL_COUNT; i++)
		if (ap_str_is(key, ap_label_names[i]))
			return ap_error_set(err, -EINVAL,
					    "label '%.*s' is given by Aperture itself: choose "
					    "another name%s",
					    AP_STR_ARG(key),
					    i == AP_LABEL_SERVICE ? ", or use --service" : "");
	if (value.n == 0 || value.n > VALUE_BYTES_MAX || !ap_str_utf8_ok(value))
		return ap_error_set(err, -EINVAL,
				    "the value of label '%.*s' is not 1 to 255 bytes of UTF-8",
				    AP_STR_ARG(key));
	*ret = (struct ap_user_label){key, value};
	return 0;
}

static bool empty(struct ap_str s)
{
	return s.n == 0;
}

static struct ap_str base_name(struct ap_str path)
{
	for (size_t i = path.n; i > 0; i--)
		if (path.p[i - 1] == '/')
			return (struct ap_str){path.p + i, path.n - i};
	return path;
}

/* systemd's escapes in names of units: \x2d is '-'. systemd.unit(5). */
static void unescape(struct ap_str s, struct ap_buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		char hex[3] = {0}, *end;

		if (s.n - i >= 4 && s.p[i] == '\\' && s.p[i + 1] == 'x') {
			unsigned long c;

			memcpy(hex, s.p + i + 2, 2);
			c = strtoul(hex, &end, 16);
			if (end == hex + 2 && c > 0) {
				ap_buf_byte(out, (uint8_t)c);
				i += 3;
				continue;
			}
		}
		ap_buf_byte(out, (uint8_t)s.p[i]);
	}
}

static bool all_of(struct ap_str s, const char *alphabet)
{
	for (size_t i = 0; i < s.n; i++)
		if (!s.p[i] || !strchr(alphabet, s.p[i]))
			return false;
	return true;
}

/* Units made up for one run: systemd-run's run-u12 and run-r0f3a…, D-Bus's dbus-:1.2-…, and a
 * login's user@1000 and session scopes. An instance that names a connection or a crash is left
 * off: sshd@3-10.0.0.1:22-…, systemd-coredump@0-4242-0. */
static struct ap_str service_of_unit(struct ap_str unit)
{
	struct ap_str name = unit, instance;
	ssize_t at;

	if (!ap_str_ends(unit, AP_STR(".service")))
		return AP_STR("");
	name.n -= sizeof(".service") - 1;
	if (ap_str_starts(name, AP_STR("user@")) || ap_str_starts(name, AP_STR("dbus-:")))
		return AP_STR("");
	if (ap_str_starts(name, AP_STR("run-")) && name.n > 5 && strchr("urp", name.p[4]) &&
	    all_of((struct ap_str){name.p + 5, name.n - 5}, "0123456789abcdef-i"))
		return AP_STR("");
	at = ap_str_find(name, '@');
	if (at <= 0)
		return name;
	instance = (struct ap_str){name.p + at + 1, name.n - (size_t)at - 1};
	if (ap_str_find(instance, ':') >= 0 ||
	    (ap_str_find(instance, '-') >= 0 && all_of(instance, "0123456789-")))
		name.n = (size_t)at;
	return name;
}

static struct ap_str process_name(const struct ap_service_facts *f)
{
	if (f->kernel)
		return AP_STR("kernel");
	if (base_name(f->leader_exe).n)
		return base_name(f->leader_exe);
	if (base_name(f->exe).n)
		return base_name(f->exe);
	return empty(f->comm) ? AP_STR("unknown") : f->comm;
}

static int set(char **ret, const struct ap_buf *b)
{
	*ret = ap_buf_error(b) < 0 ? NULL : ap_str_dup(ap_buf_view(b));
	return *ret ? 0 : -ENOMEM;
}

static int set_str(char **ret, struct ap_str s)
{
	*ret = ap_str_dup(s);
	return *ret ? 0 : -ENOMEM;
}

/* The names that hold for a container, and the service that follows from them, if any. */
static int name_container(const struct ap_service_facts *f, const struct ap_cgroup *c,
			  struct ap_process_labels *l, struct ap_buf *service)
{
	struct ap_kube_name k = {0};
	_cleanup_buf_ struct ap_buf name = {0};
	struct ap_str known = c->container_name;
	int err = -ENOENT;

	if (f->kube && c->container_id.n)
		err = ap_kube_names_find(f->kube, c->container_id, f->now_ns, &k);
	if (err == -ENOENT && f->containers && !c->kubernetes)
		err = ap_container_names_find(f->containers, c, f->now_ns, &known);
	if (err == -ENOMEM)
		return err;
	if (k.pod.n) {
		ap_buf_str(&name, k.container);
		ap_buf_str(service, k.ns);
		ap_buf_byte(service, '/');
		ap_buf_str(service, ap_kube_workload(k.pod, f->host));
		ap_buf_byte(service, '/');
		ap_buf_str(service, k.container);
	} else if (known.n) {
		unescape(known, &name);
		ap_buf_str(service, ap_buf_view(&name));
	} else {
		ap_buf_append(&name, c->container_id.p,
			      AP_MIN(c->container_id.n, (size_t)SHORT_ID));
	}
	if (set(&l->container, &name) < 0 || set_str(&l->ns, k.ns) < 0 ||
	    set_str(&l->pod, k.pod) < 0)
		return -ENOMEM;
	return 0;
}

static int find_version(const struct ap_service_facts *f, const struct ap_cgroup *c,
			struct ap_process_labels *l)
{
	const struct ap_package_program program = {f->exe, f->build, f->pid};
	bool contained = c->kind != AP_CGROUP_NONE || c->kubernetes;
	struct ap_str version = {0};
	int err = 0;

	if (contained && f->containers)
		err = ap_container_names_version(f->containers, c, f->now_ns, &version);
	else if (!contained && f->packages && !f->kernel)
		err = ap_packages_find(f->packages, &program, f->now_ns, &version);
	return err == -ENOMEM ? err : set_str(&l->version, err == 0 ? version : AP_STR(""));
}

int ap_process_labels_find(const struct ap_service_facts *f, struct ap_process_labels *ret)
{
	struct ap_process_labels l = {0};
	_cleanup_buf_ struct ap_buf service = {0};
	struct ap_cgroup c;
	int err;

	ap_cgroup_parse(f->cgroup, &c);
	err = name_container(f, &c, &l, &service);
	if (err == 0)
		err = find_version(f, &c, &l);
	if (err == 0)
		err = set_str(&l.unit, c.unit);
	if (service.n == 0 && c.kind == AP_CGROUP_NONE && !c.kubernetes)
		unescape(service_of_unit(c.unit), &service);
	if (service.n == 0)
		ap_buf_str(&service, process_name(f));
	if (f->override.n) {
		ap_buf_clear(&service);
		ap_buf_str(&service, f->override);
	}
	if (err == 0)
		err = set(&l.service, &service);
	if (err < 0) {
		ap_process_labels_free(&l);
		return err;
	}
	*ret = l;
	return 0;
}

void ap_process_labels_free(struct ap_process_labels *l)
{
	free(l->service);
	free(l->container);
	free(l->ns);
	free(l->pod);
	free(l->unit);
	free(l->version);
	*l = (struct ap_process_labels){0};
}
