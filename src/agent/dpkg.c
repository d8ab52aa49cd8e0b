/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/dpkg.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/io.h"

#define LIST_MAX   (4u << 20) /* bytes of one list */
#define STATUS_MAX (64u << 20)
#define PATH_BYTES 4096

static bool has_line(struct ap_str text, const char *line)
{
	size_t n = strlen(line);
	const char *at = text.p, *end = text.p + text.n;

	while (at && (at = memmem(at, (size_t)(end - at), line, n))) {
		if ((at == text.p || at[-1] == '\n') && (at + n == end || at[n] == '\n'))
			return true;
		at++;
	}
	return false;
}

bool ap_dpkg_lists(struct ap_str text, const char *path)
{
	return has_line(text, path) || (strncmp(path, "/usr/", 5) == 0 && has_line(text, path + 4));
}

/* The package of a list's name: "libc6:amd64.list" is of libc6. Empty: it is no list. */
static struct ap_str package_of(const char *name)
{
	struct ap_str s = ap_str_of(name);

	if (!ap_str_ends(s, AP_STR(".list")))
		return AP_STR("");
	s.n -= sizeof(".list") - 1;
	return ap_str_cut(&s, ':');
}

/* The name of the package that has the path, to free; NULL: none has. */
static char *find_package(const char *root, const char *path)
{
	_cleanup_buf_ struct ap_buf list = {0};
	char dir[PATH_BYTES], *found = NULL;
	const struct dirent *d;
	DIR *info;

	snprintf(dir, sizeof(dir), "%s/var/lib/dpkg/info", root);
	info = opendir(dir);
	while (info && !found && (d = readdir(info))) {
		struct ap_str package = package_of(d->d_name);

		if (package.n == 0)
			continue;
		ap_buf_clear(&list);
		if (ap_read_file(dirfd(info), d->d_name, LIST_MAX, &list) == 0 &&
		    ap_dpkg_lists(ap_buf_view(&list), path))
			found = ap_str_dup(package);
	}
	if (info)
		closedir(info);
	return found;
}

/* The value of a field in a paragraph; empty where it is not there. */
static struct ap_str field_of(struct ap_str paragraph, const char *name)
{
	while (paragraph.p) {
		struct ap_str value = ap_str_cut(&paragraph, '\n'), key = ap_str_cut(&value, ':');

		if (value.p && ap_str_is(key, name))
			return ap_str_trim(value);
	}
	return AP_STR("");
}

struct ap_str ap_dpkg_version_in(struct ap_str status, const char *package)
{
	while (status.n) {
		const char *end = memmem(status.p, status.n, "\n\n", 2);
		size_t n = end ? (size_t)(end - status.p) : status.n;
		struct ap_str paragraph = {status.p, n}, version;

		status = end ? (struct ap_str){end + 2, status.n - n - 2} : (struct ap_str){0};
		if (!ap_str_is(field_of(paragraph, "Package"), package))
			continue;
		version = field_of(paragraph, "Version");
		if (version.n)
			return version;
	}
	return AP_STR("");
}

int ap_dpkg_version(const char *root, const char *path, char **ret)
{
	_cleanup_free_ char *package = find_package(root, path), *status_path = NULL;
	_cleanup_buf_ struct ap_buf status = {0};
	struct ap_str version;

	if (!package)
		return -ENOENT;
	if (asprintf(&status_path, "%s/var/lib/dpkg/status", root) < 0)
		return -ENOMEM;
	if (ap_read_file(AT_FDCWD, status_path, STATUS_MAX, &status) < 0)
		return -ENOENT;
	version = ap_dpkg_version_in(ap_buf_view(&status), package);
	if (version.n == 0)
		return -ENOENT;
	*ret = ap_str_dup(version);
	return *ret ? 0 : -ENOMEM;
}
