/* SPDX-License-Identifier: Apache-2.0 */
/* What the clients over libcurl share. */
#ifndef AP_HTTP_CLIENT_INTERNAL_H
#define AP_HTTP_CLIENT_INTERNAL_H

#include <curl/curl.h>
#include <stdbool.h>

/* Puts an http or https address into `url`; false where it is not one. */
bool ap_http_url_parse(CURLU *url, const char *text);
/* Whether it leads to this machine's loopback, which no proxy does. */
bool ap_http_url_is_local(CURLU *url);

#endif
