/* SPDX-License-Identifier: Apache-2.0 */
/* A client of an aggregator's REST API, over libcurl: JSON in and out, one request at a time.
 *
 * An answer is bounded (64 MiB) and so is the time it may take (60 s); redirects are not followed.
 * HTTP_PROXY and its like count, but not for this machine itself. Not thread-safe. */
#ifndef AP_HTTP_CLIENT_H
#define AP_HTTP_CLIENT_H

#include "base/error.h"
#include "base/str.h"

struct json_t;
struct ap_http_client;

/* `url`: "http://host:9090" or https, a path before the API's is kept. -EINVAL where it is not;
 * `flag`, what the user calls it, is for messages: "--server". */
int ap_http_client_new(const char *url, const char *flag, struct ap_http_client **ret,
		       struct ap_error *err);
/* How the client shows who it is, and whom it believes; NULL in a field: the default. */
struct ap_http_security {
	const char *ca_file; /* certificates (PEM) that vouch for the server; the system's */
	const char *cert_file, *key_file; /* its own certificate and key (PEM); none */
	const char *token;		  /* shown with each request; none */
};
/* Before the first request; the strings are copied. -EINVAL: one of certificate and key, or a token that would
 * travel in the clear to another machine. */
int ap_http_client_secure(struct ap_http_client *c, const struct ap_http_security *s,
			  struct ap_error *err);
void ap_http_client_free(struct ap_http_client *c);
AP_DEFINE_CLEANUP(http_client, struct ap_http_client, ap_http_client_free)

/* GET `path` ("/api/v1/top") with `query`: "name=value", NULL-terminated, values as they are (NULL:
 * none); POST of `body`, which is JSON. `ret` is the answer, for json_decref(). Otherwise `err` has
 * what the server said, or why it could not be asked: -EINVAL (400, 413, 422), -EEXIST (409), -EACCES (401, 403),
 * -ENOENT (404), -EBUSY (503: again in a moment), -ECONNREFUSED (cannot be reached), -ETIMEDOUT,
 * -EPROTO (not an aggregator's answer), -EIO (it failed), -ENOMEM. */
int ap_http_client_get(struct ap_http_client *c, const char *path, const char *const *query,
		       struct json_t **ret, struct ap_error *err);
int ap_http_client_post(struct ap_http_client *c, const char *path, struct ap_str body,
			struct json_t **ret, struct ap_error *err);
int ap_http_client_post_query(struct ap_http_client *c, const char *path, const char *const *query,
			      struct ap_str body, struct json_t **ret, struct ap_error *err);
int ap_http_client_delete(struct ap_http_client *c, const char *path, struct json_t **ret,
			  struct ap_error *err);

#endif
