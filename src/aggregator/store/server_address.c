/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/server_address.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/io.h"

enum { PASSWORD_MAX = 1024 };

static int check_url(const char *url, struct ap_error *err)
{
	static const CURLUPart unwanted[] = {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY,
					     CURLUPART_FRAGMENT};
	CURLU *u = curl_url();
	char *part = NULL;
	bool ok = u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
		  curl_url_get(u, CURLUPART_SCHEME, &part, 0) == CURLUE_OK &&
		  (strcmp(part, "http") == 0 || strcmp(part, "https") == 0);

	curl_free(part);
	for (size_t i = 0; i < AP_ARRAY_SIZE(unwanted) && ok; i++) {
		part = NULL;
		ok = curl_url_get(u, unwanted[i], &part, 0) != CURLUE_OK;
		curl_free(part);
	}
	curl_url_cleanup(u);
	if (ok)
		return 0;
	/* The text is not repeated: it may hold a password. */
	return ap_error_set(err, -EINVAL,
			    "--clickhouse-url is not an address such as http://host:8123 or "
			    "https://host:8443; a user and a password are given by "
			    "--clickhouse-user and --clickhouse-password-file");
}

/* What goes into a header must not end it. */
static bool is_header_text(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static int read_password(const char *path, char **ret, struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf text = {0};
	struct ap_str password;
	int r = ap_read_file(AT_FDCWD, path, PASSWORD_MAX, &text);

	if (r < 0)
		return ap_error_set(err, r, "--clickhouse-password-file %s cannot be read: %s",
				    path, ap_strerror(r));
	password = ap_buf_view(&text);
	while (password.n && strchr("\r\n", password.p[password.n - 1]))
		password.n--;
	*ret = ap_str_dup(password);
	explicit_bzero(text.p, text.n);
	if (!*ret)
		return ap_error_set(err, -ENOMEM, "out of memory");
	if (password.n == 0 || strlen(*ret) != password.n || !is_header_text(*ret))
		return ap_error_set(err, -EINVAL,
				    "--clickhouse-password-file %s is to hold a password in one "
				    "line",
				    path);
	return 0;
}

static int check_file(const char *flag, const char *path, struct ap_error *err)
{
	if (!path || access(path, R_OK) == 0)
		return 0;
	return ap_error_set(err, -errno, "%s %s cannot be read: %s", flag, path,
			    ap_strerror(errno));
}

static int check_all(const struct ap_store_options *o, struct ap_error *err)
{
	int r = check_url(o->url ?: "", err);

	if (r == 0)
		r = check_file("--clickhouse-ca", o->ca_file, err);
	if (r == 0)
		r = check_file("--clickhouse-cert", o->cert_file, err);
	if (r == 0)
		r = check_file("--clickhouse-key", o->key_file, err);
	if (r == 0 && o->user && !is_header_text(o->user))
		r = ap_error_set(err, -EINVAL, "--clickhouse-user has control characters");
	return r;
}

/* NULL stays NULL. False = out of memory. */
static bool copy(const char *s, char **ret)
{
	*ret = s ? strdup(s) : NULL;
	return !s || *ret;
}

int ap_server_address_take(struct ap_server_address *a, const struct ap_store_options *o,
			   struct ap_error *err)
{
	int r = check_all(o, err);

	if (r < 0)
		return r;
	if (!copy(o->url, &a->url) || !copy(o->ca_file, &a->ca_file) ||
	    !copy(o->cert_file, &a->cert_file) || !copy(o->key_file, &a->key_file) ||
	    !copy(o->user, &a->user))
		return ap_error_set(err, -ENOMEM, "out of memory");
	for (size_t n = strlen(a->url); n && a->url[n - 1] == '/'; n--)
		a->url[n - 1] = '\0';
	return o->password_file ? read_password(o->password_file, &a->password, err) : 0;
}

void ap_server_address_free(struct ap_server_address *a)
{
	if (a->password)
		explicit_bzero(a->password, strlen(a->password));
	free(a->password);
	free(a->url);
	free(a->ca_file);
	free(a->cert_file);
	free(a->key_file);
	free(a->user);
}
