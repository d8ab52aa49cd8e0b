/* SPDX-License-Identifier: Apache-2.0 */
#include "http/post.h"

#include <curl/curl.h>

#include "http/client_internal.h"

#define ANSWER_MAX (1u << 20)

bool ap_http_url_ok(const char *text)
{
	const char *authority = strstr(text, "://");
	CURLU *url = curl_url();
	char *host = NULL;
	/* libcurl passes over a third slash. */
	bool ok = url && authority && authority[3] != '/' && ap_http_url_parse(url, text) &&
		  curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK && host[0];

	for (const char *p = text; *p; p++)
		ok = ok && (unsigned char)*p > 0x20 && *p != 0x7f;
	curl_free(host);
	curl_url_cleanup(url);
	return ok;
}

/* Nothing in an answer is of use; one without end is cut. */
static size_t pass_over(char *p, size_t size, size_t n, void *ctx)
{
	size_t *seen = ctx;

	*seen += n; /* size is 1 by libcurl's contract */
	return *seen > ANSWER_MAX ? 0 : n;
}

static void set_options(CURL *curl, CURLU *url, struct ap_str body, unsigned int timeout_ms)
{
	curl_easy_setopt(curl, CURLOPT_CURLU, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, pass_over);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "aperture/" APERTURE_VERSION);
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.p);
	if (ap_http_url_is_local(url))
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
}

static int perform(CURL *curl, long *ret_status, struct ap_error *err)
{
	char why[CURL_ERROR_SIZE] = "";
	size_t seen = 0;
	CURLcode code;

	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &seen);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
	if (code == CURLE_OK && *ret_status >= 200 && *ret_status < 300)
		return 0;
	if (code == CURLE_OK || code == CURLE_WRITE_ERROR)
		return ap_error_set(err, -EIO, "it answers with status %ld", *ret_status);
	*ret_status = 0;
	return ap_error_set(err, code == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT : -ECONNREFUSED,
			    "%s", why[0] ? why : curl_easy_strerror(code));
}

int ap_http_post_json(const char *text, struct ap_str body, unsigned int timeout_ms,
		      long *ret_status, struct ap_error *err)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	CURL *curl = curl_easy_init();
	CURLU *url = curl_url();
	int r = -ENOMEM;

	*ret_status = 0;
	if (!curl || !url || !headers) {
		ap_error_set(err, r, "out of memory");
	} else if (!ap_http_url_parse(url, text)) {
		r = ap_error_set(err, -EINVAL, "it is no http or https address");
	} else {
		set_options(curl, url, body, timeout_ms);
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		r = perform(curl, ret_status, err);
	}
	curl_easy_cleanup(curl);
	curl_url_cleanup(url);
	curl_slist_free_all(headers);
	return r;
}
