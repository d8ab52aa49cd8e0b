/* SPDX-License-Identifier: Apache-2.0 */
#include "http/client.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>

#include "base/buf.h"
#include "http/client_internal.h"
#include "tls/secret.h"

#define ANSWER_MAX (64u << 20)
#define TIMEOUT_MS 60000L
#define CONNECT_MS 10000L

struct ap_http_client {
	CURL *curl;
	CURLU *base;
	char *url; /* as given, for messages */
	const char *flag;
	struct curl_slist *headers; /* of a POST */
	struct curl_slist *bare;    /* of a request without a body; NULL: none */
	struct ap_buf answer;
	char error[CURL_ERROR_SIZE];
};

static size_t take(char *p, size_t size, size_t n, void *ctx)
{
	struct ap_http_client *c = ctx;

	if (n > ANSWER_MAX - c->answer.n) /* size is 1 by libcurl's contract */
		return 0;
	ap_buf_append(&c->answer, p, n);
	return ap_buf_error(&c->answer) ? 0 : n;
}

bool ap_http_url_is_local(CURLU *url)
{
	char *host = NULL;
	bool is = false;

	if (curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK)
		is = strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
		     strcmp(host, "[::1]") == 0;
	curl_free(host);
	return is;
}

static void set_options(struct ap_http_client *c)
{
	curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_USERAGENT, "aperture/" APERTURE_VERSION);
	curl_easy_setopt(c->curl, CURLOPT_ACCEPT_ENCODING, "");
	if (ap_http_url_is_local(c->base))
		curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
}

bool ap_http_url_parse(CURLU *url, const char *text)
{
	char *scheme = NULL;
	bool ok = curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
		  curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		  (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);

	curl_free(scheme);
	return ok;
}

int ap_http_client_new(const char *url, const char *flag, struct ap_http_client **ret,
		       struct ap_error *err)
{
	_cleanup_(ap_cleanup_http_client) struct ap_http_client *c = calloc(1, sizeof(*c));

	if (!c || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return ap_error_set(err, -ENOMEM, "out of memory");
	c->flag = flag;
	c->url = strdup(url);
	c->curl = curl_easy_init();
	c->base = curl_url();
	c->headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (!c->url || !c->curl || !c->base || !c->headers)
		return ap_error_set(err, -ENOMEM, "out of memory");
	if (!ap_http_url_parse(c->base, url))
		return ap_error_set(err, -EINVAL,
				    "%s %s is not an address such as http://127.0.0.1:9090", flag,
				    url);
	set_options(c);
	*ret = AP_TAKE_PTR(c);
	return 0;
}

static bool is_encrypted(struct ap_http_client *c)
{
	char *scheme = NULL;
	bool is = curl_url_get(c->base, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		  strcmp(scheme, "https") == 0;

	curl_free(scheme);
	return is;
}

static int add_token(struct ap_http_client *c, const char *token)
{
	struct curl_slist *longer;
	char *line = NULL;

	if (asprintf(&line, "Authorization: Bearer %s", token) < 0)
		return -ENOMEM;
	longer = curl_slist_append(c->headers, line);
	c->bare = curl_slist_append(NULL, line);
	ap_secret_free(line);
	if (longer)
		c->headers = longer;
	return longer && c->bare ? 0 : -ENOMEM;
}

int ap_http_client_secure(struct ap_http_client *c, const struct ap_http_security *s,
			  struct ap_error *err)
{
	if (!s->cert_file != !s->key_file)
		return ap_error_set(
			err, -EINVAL,
			"a certificate needs its key and a key its certificate: give both "
			"--tls-cert and --tls-key");
	if (s->token && !is_encrypted(c) && !ap_http_url_is_local(c->base))
		return ap_error_set(err, -EINVAL,
				    "%s is not encrypted, and everybody on the way could read the "
				    "token: use an https address (%s)",
				    c->url, c->flag);
	curl_easy_setopt(c->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (s->ca_file)
		curl_easy_setopt(c->curl, CURLOPT_CAINFO, s->ca_file);
	if (s->cert_file) {
		curl_easy_setopt(c->curl, CURLOPT_SSLCERT, s->cert_file);
		curl_easy_setopt(c->curl, CURLOPT_SSLKEY, s->key_file);
	}
	if (s->token && add_token(c, s->token) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	return 0;
}

void ap_http_client_free(struct ap_http_client *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->curl);
	curl_url_cleanup(c->base);
	curl_slist_free_all(c->headers);
	curl_slist_free_all(c->bare);
	ap_buf_free(&c->answer);
	free(c->url);
	free(c);
}

/* The request's address: to free with curl_free(). */
static int make_url(struct ap_http_client *c, const char *path, const char *const *query,
		    char **ret)
{
	CURLU *url = curl_url_dup(c->base);
	_cleanup_free_ char *full = NULL;
	char *before = NULL;
	CURLUcode e = url ? CURLUE_OK : CURLUE_OUT_OF_MEMORY;

	if (e == CURLUE_OK)
		e = curl_url_get(url, CURLUPART_PATH, &before, 0);
	if (e == CURLUE_OK) {
		struct ap_str kept = ap_str_of(before);

		while (kept.n && kept.p[kept.n - 1] == '/')
			kept.n--;
		if (asprintf(&full, "%.*s%s", AP_STR_ARG(kept), path) < 0)
			e = CURLUE_OUT_OF_MEMORY;
	}
	if (e == CURLUE_OK)
		e = curl_url_set(url, CURLUPART_PATH, full, 0);
	for (; e == CURLUE_OK && query && *query; query++)
		e = curl_url_set(url, CURLUPART_QUERY, *query, CURLU_APPENDQUERY | CURLU_URLENCODE);
	if (e == CURLUE_OK)
		e = curl_url_get(url, CURLUPART_URL, ret, 0);
	curl_free(before);
	curl_url_cleanup(url);
	return e == CURLUE_OK ? 0 : -ENOMEM;
}

static int transport_error(const struct ap_http_client *c, CURLcode code, struct ap_error *err)
{
	const char *why = c->error[0] ? c->error : curl_easy_strerror(code);

	switch (code) {
	case CURLE_OUT_OF_MEMORY:
		return ap_error_set(err, -ENOMEM, "out of memory");
	case CURLE_OPERATION_TIMEDOUT:
		return ap_error_set(err, -ETIMEDOUT, "%s does not answer in time: %s", c->url, why);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return ap_error_set(err, -EACCES,
				    "%s does not prove who it is: %s; its CA's certificate goes to "
				    "--tls-ca",
				    c->url, why);
	case CURLE_WRITE_ERROR:
		return ap_error_set(err, -EPROTO, "%s answers with more than %u MiB", c->url,
				    ANSWER_MAX >> 20);
	default:
		return ap_error_set(err, -ECONNREFUSED,
				    "%s cannot be asked: %s; is the aggregator running there (%s)?",
				    c->url, why, c->flag);
	}
}

/* What the server said when it refused; `answer` may be anything. */
static int refusal(const struct ap_http_client *c, long status, const json_t *answer,
		   struct ap_error *err)
{
	static const struct {
		long status;
		int code;
	} table[] = {
		{400, -EINVAL}, {401, -EACCES}, {403, -EACCES}, {404, -ENOENT}, {409, -EEXIST},
		{413, -EINVAL}, {422, -EINVAL}, {429, -EBUSY},	{503, -EBUSY},
	};
	const char *text =
		json_string_value(json_object_get(json_object_get(answer, "error"), "message"));
	int code = status >= 500 ? -EIO : -EPROTO;

	for (size_t i = 0; i < AP_ARRAY_SIZE(table); i++)
		if (table[i].status == status)
			code = table[i].code;
	if (!text)
		return ap_error_set(err, -EPROTO,
				    "%s answers with status %ld and not as an aggregator does: %s "
				    "is the address of its dashboard",
				    c->url, status, c->flag);
	ap_error_set(err, code, "%s: %s", c->url, text);
	/* A stranger's control characters could drive the reader's terminal. */
	for (char *p = err ? err->msg : NULL; p && *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return code;
}

static int perform(struct ap_http_client *c, const char *path, const char *const *query,
		   json_t **ret, struct ap_error *err)
{
	char *url = NULL;
	long status = 0;
	CURLcode code;
	json_t *answer;
	int r;

	if (make_url(c, path, query, &url) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	ap_buf_clear(&c->answer);
	c->error[0] = '\0';
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	code = curl_easy_perform(c->curl);
	curl_free(url);
	if (code != CURLE_OK)
		return transport_error(c, code, err);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	answer = json_loadb((const char *)c->answer.p, c->answer.n, JSON_REJECT_DUPLICATES, NULL);
	if (status == 200 && json_is_object(answer)) {
		*ret = answer;
		return 0;
	}
	r = refusal(c, status, answer, err);
	json_decref(answer);
	return r;
}

int ap_http_client_get(struct ap_http_client *c, const char *path, const char *const *query,
		       json_t **ret, struct ap_error *err)
{
	curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->bare);
	return perform(c, path, query, ret, err);
}

int ap_http_client_delete(struct ap_http_client *c, const char *path, json_t **ret,
			  struct ap_error *err)
{
	int r;

	curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->bare);
	curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, "DELETE");
	r = perform(c, path, NULL, ret, err);
	curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, NULL);
	return r;
}

int ap_http_client_post(struct ap_http_client *c, const char *path, struct ap_str body,
			json_t **ret, struct ap_error *err)
{
	return ap_http_client_post_query(c, path, NULL, body, ret, err);
}

int ap_http_client_post_query(struct ap_http_client *c, const char *path, const char *const *query,
			      struct ap_str body, json_t **ret, struct ap_error *err)
{
	curl_easy_setopt(c->curl, CURLOPT_POST, 1L);
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body.p);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
	return perform(c, path, query, ret, err);
}
