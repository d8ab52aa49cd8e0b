/* SPDX-License-Identifier: Apache-2.0 */
/* One POST to an address that a user gave: bounded in time, answers are read and thrown away, redirects are
 * not followed. HTTP_PROXY and its like count, but not for this machine itself. Thread-safe. */
#ifndef AP_HTTP_POST_H
#define AP_HTTP_POST_H

#include "base/error.h"
#include "base/str.h"

/* Whether `url` is http:// or https:// with a host, and without control characters or spaces. */
bool ap_http_url_ok(const char *url);

/* Sends `body` as JSON. 0: the answer's status was 2xx. -EIO: it was another, *ret_status says which;
 * -ETIMEDOUT, -ECONNREFUSED (no answer, *ret_status is 0), -EINVAL (no such address), -ENOMEM. */
int ap_http_post_json(const char *url, struct ap_str body, unsigned int timeout_ms,
		      long *ret_status, struct ap_error *err);

#endif
