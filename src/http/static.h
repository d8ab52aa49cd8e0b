/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of built web files, served from memory. All files are read once, at start, and only
 * names found then can be asked for: no request ever reaches the file system, so that no path can
 * lead out of the folder, and an upgrade under a running server cannot mix two versions.
 *
 * "x.js.gz" beside "x.js" is sent to clients that accept gzip. Files below /assets/ carry a hash in
 * their name and are immutable; all others are revalidated by ETag. A path whose last segment has
 * no dot is a page of the single-page application: it gets index.html.
 */
#ifndef AP_HTTP_STATIC_H
#define AP_HTTP_STATIC_H

#include "base/error.h"
#include "base/str.h"

struct ap_http_static;

/* One representation to send. */
struct ap_http_file {
	struct ap_str bytes; /* owned by the ap_http_static */
	const char *content_type;
	const char *etag; /* quoted, of this representation */
	bool gzip;	  /* `bytes` are gzip'd: Content-Encoding */
	bool has_gzip;	  /* the other representation exists: Vary */
	bool immutable;
};

/* Reads the files below `dir` (regular files; no symbolic links, no dot files; 4,096 files and
 * 64 MiB at most). -ENOENT: no folder, or no index.html in it. */
int ap_http_static_load(const char *dir, struct ap_http_static **ret, struct ap_error *err);
void ap_http_static_free(struct ap_http_static *s);
AP_DEFINE_CLEANUP(http_static, struct ap_http_static, ap_http_static_free)
/* The file for a decoded request path; false: there is none. */
bool ap_http_static_find(const struct ap_http_static *s, struct ap_str path, bool accept_gzip,
			 struct ap_http_file *ret);

#endif
