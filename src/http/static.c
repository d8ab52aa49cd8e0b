/* SPDX-License-Identifier: Apache-2.0 */
#include "http/static.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <xxhash.h>

#include "base/io.h"
#include "base/vec.h"

#define FILES_MAX 4096
#define BYTES_MAX (64u << 20)
#define DEPTH_MAX 16

struct entry {
	char *path; /* "/assets/x.js" */
	struct ap_buf bytes;
	char etag[24];
};

struct ap_http_static {
	AP_VEC(struct entry) files; /* sorted by path */
	size_t total;		    /* bytes held */
};

static const struct {
	const char *suffix, *type;
} types[] = {
	{".html", "text/html; charset=utf-8"},
	{".js", "text/javascript; charset=utf-8"},
	{".mjs", "text/javascript; charset=utf-8"},
	{".css", "text/css; charset=utf-8"},
	{".json", "application/json"},
	{".webmanifest", "application/manifest+json"},
	{".map", "application/json"},
	{".svg", "image/svg+xml"},
	{".png", "image/png"},
	{".ico", "image/x-icon"},
	{".webp", "image/webp"},
	{".woff2", "font/woff2"},
	{".wasm", "application/wasm"},
	{".txt", "text/plain; charset=utf-8"},
};

static const char *content_type(struct ap_str path)
{
	for (size_t i = 0; i < AP_ARRAY_SIZE(types); i++) {
		if (ap_str_ends(path, ap_str_of(types[i].suffix)))
			return types[i].type;
	}
	return "application/octet-stream";
}

static int entry_cmp(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

static int load_file(struct ap_http_static *s, int dirfd, const char *name, const char *path)
{
	struct entry e = {0};
	int r;

	if (s->files.n == FILES_MAX)
		return -EFBIG;
	r = ap_read_file(dirfd, name, BYTES_MAX - s->total, &e.bytes);
	if (r == 0) {
		e.path = strdup(path);
		snprintf(e.etag, sizeof(e.etag), "\"%016llx\"",
			 (unsigned long long)XXH3_64bits(e.bytes.p, e.bytes.n));
		r = e.path ? ap_vec_push(&s->files, e) : -ENOMEM;
	}
	if (r < 0) {
		free(e.path);
		ap_buf_free(&e.bytes);
		return r;
	}
	s->total += e.bytes.n;
	return 0;
}

static void cleanup_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* `prefix` is the request path of the folder, "" for the top. Takes `fd`. */
static int load_dir(struct ap_http_static *s, int fd, const char *prefix, unsigned int depth)
{
	_cleanup_(cleanup_dir) DIR *dir = fdopendir(fd);
	struct dirent *d;
	int r = 0;

	if (!dir) {
		close(fd);
		return -errno;
	}
	while (r == 0 && (d = readdir(dir))) {
		char path[1024];
		struct stat st;

		if (d->d_name[0] == '.' ||
		    fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", prefix, d->d_name) >=
		    sizeof(path))
			return -ENAMETOOLONG;
		if (S_ISREG(st.st_mode)) {
			r = load_file(s, dirfd(dir), d->d_name, path);
		} else if (S_ISDIR(st.st_mode)) {
			int sub = openat(dirfd(dir), d->d_name,
					 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			if (sub >= 0 && depth < DEPTH_MAX)
				r = load_dir(s, sub, path, depth + 1);
			else
				r = sub < 0 ? -errno : (close(sub), -ELOOP);
		}
	}
	return r;
}

void ap_http_static_free(struct ap_http_static *s)
{
	if (!s)
		return;
	AP_VEC_FOREACH(&s->files, e) {
		free(e->path);
		ap_buf_free(&e->bytes);
	}
	ap_vec_free(&s->files);
	free(s);
}

/* A path given as pointer and length has no NUL to compare by strcmp(). */
static const struct entry *lookup(const struct ap_http_static *s, struct ap_str path)
{
	size_t i = ap_first(s->files.p, s->files.n, f, ap_str_cmp(ap_str_of(f->path), path) >= 0);

	return i < s->files.n && ap_str_is(path, s->files.p[i].path) ? &s->files.p[i] : NULL;
}

int ap_http_static_load(const char *dir, struct ap_http_static **ret, struct ap_error *err)
{
	_cleanup_(ap_cleanup_http_static) struct ap_http_static *s = calloc(1, sizeof(*s));
	int fd, r;

	if (!s)
		return ap_error_set(err, -ENOMEM, "out of memory");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -errno : load_dir(s, fd, "", 0);
	if (r < 0)
		return ap_error_set(err, r, "cannot read the web files in %s: %s", dir,
				    ap_strerror(r));
	if (s->files.n)
		qsort(s->files.p, s->files.n, sizeof(*s->files.p), entry_cmp);
	if (!lookup(s, AP_STR("/index.html")))
		return ap_error_set(err, -ENOENT, "there is no index.html in %s", dir);
	*ret = AP_TAKE_PTR(s);
	return 0;
}

/* Whether a path that is no file is a page of the application: its last segment has no dot. */
static bool is_page(struct ap_str path)
{
	for (size_t i = path.n; i-- > 0 && path.p[i] != '/';) {
		if (path.p[i] == '.')
			return false;
	}
	return true;
}

bool ap_http_static_find(const struct ap_http_static *s, struct ap_str path, bool accept_gzip,
			 struct ap_http_file *ret)
{
	const struct entry *plain, *gz = NULL, *use;
	char name[1032];

	if (path.n == 0 || path.p[0] != '/' || path.n > sizeof(name) - 4)
		return false;
	plain = lookup(s, path);
	if (!plain) {
		if (!is_page(path))
			return false;
		path = AP_STR("/index.html");
		plain = lookup(s, path);
	}
	memcpy(name, path.p, path.n);
	memcpy(name + path.n, ".gz", 3);
	gz = lookup(s, (struct ap_str){name, path.n + 3});
	use = gz && accept_gzip ? gz : plain;
	*ret = (struct ap_http_file){
		.bytes = {(const char *)use->bytes.p, use->bytes.n},
		.content_type = content_type(path),
		.etag = use->etag,
		.gzip = use == gz,
		.has_gzip = gz != NULL,
		.immutable = ap_str_starts(path, AP_STR("/assets/")),
	};
	return true;
}
