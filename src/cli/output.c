/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/io.h"

#define DEFAULT_NAMES_MAX 10000

/* profile.EXT, profile-2.EXT, …: created here, so that two recordings never choose one name. */
static int create_default(struct ap_output *o, const char *extension, struct ap_error *err)
{
	for (unsigned int i = 1; i < DEFAULT_NAMES_MAX; i++) {
		char name[64];

		if (i == 1)
			snprintf(name, sizeof(name), "profile%s", extension);
		else
			snprintf(name, sizeof(name), "profile-%u%s", i, extension);
		o->fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (o->fd < 0 && errno == EEXIST)
			continue;
		if (o->fd < 0)
			return ap_error_set(err, -errno,
					    "cannot write %s here: %s (give a file with -o)", name,
					    ap_strerror(errno));
		o->path = strdup(name);
		o->temp = strdup(name);
		return o->path && o->temp ? 0 : -ENOMEM;
	}
	return ap_error_set(err, -EEXIST, "profile%s and its successors exist: give a file with -o",
			    extension);
}

static int create_temp(struct ap_output *o, struct ap_error *err)
{
	mode_t mask = umask(0);

	umask(mask);
	if (asprintf(&o->temp, "%s.XXXXXX", o->path) < 0) {
		o->temp = NULL;
		return -ENOMEM;
	}
	o->fd = mkostemp(o->temp, O_CLOEXEC);
	if (o->fd >= 0 && fchmod(o->fd, 0666 & ~mask) == 0)
		return 0;
	ap_error_set(err, -errno, "cannot write %s: %s", o->path, ap_strerror(errno));
	if (o->fd < 0) {
		free(o->temp);
		o->temp = NULL;
	}
	return err ? err->code : -EIO;
}

int ap_output_open(struct ap_output *o, const char *path, const char *extension,
		   struct ap_error *err)
{
	struct stat st;
	int r = 0;

	if (!path) {
		r = create_default(o, extension, err);
	} else {
		o->path = strdup(path);
		if (!o->path)
			r = -ENOMEM;
		else if (strcmp(path, "-") == 0)
			o->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		else if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
			o->fd = open(path, O_WRONLY | O_CLOEXEC);
		else
			r = create_temp(o, err);
		if (r == 0 && o->fd < 0)
			r = ap_error_set(err, -errno, "cannot write %s: %s", path,
					 ap_strerror(errno));
	}
	if (r == -ENOMEM)
		ap_error_set(err, r, "out of memory");
	return r;
}

int ap_output_write(void *ctx, const void *p, size_t n)
{
	struct ap_output *o = ctx;
	int r;

	if (o->cancelled && o->cancelled(o->ctx))
		return -ECANCELED;
	r = ap_write_all(o->fd, p, n);
	if (r == 0)
		o->bytes += n;
	return r;
}

int ap_output_commit(struct ap_output *o, struct ap_error *err)
{
	int r = close(AP_TAKE_FD(o->fd)) < 0 ? -errno : 0;

	if (r == 0 && o->temp && strcmp(o->temp, o->path) != 0 && rename(o->temp, o->path) < 0)
		r = -errno;
	if (r < 0)
		return ap_error_set(err, r, "cannot write %s: %s", o->path, ap_strerror(r));
	free(AP_TAKE_PTR(o->temp));
	return 0;
}

void ap_output_close(struct ap_output *o)
{
	if (o->fd >= 0)
		close(AP_TAKE_FD(o->fd));
	if (o->temp)
		unlink(o->temp);
	free(o->temp);
	free(o->path);
	o->temp = o->path = NULL;
	o->bytes = 0;
}
