/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/secret.h"

#include <fcntl.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/io.h"

#define LINE_MAX_BYTES 4096

int ap_secret_make(const char *prefix, char ret[static AP_SECRET_TEXT])
{
	uint8_t bytes[AP_SECRET_BYTES];
	size_t n = strlen(prefix);

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return errno ? -errno : -EIO;
	memcpy(ret, prefix, n);
	for (size_t i = 0; i < sizeof(bytes); i++)
		n += (size_t)snprintf(ret + n, AP_SECRET_TEXT - n, "%02x", bytes[i]);
	explicit_bzero(bytes, sizeof(bytes));
	return 0;
}

bool ap_secret_is_token(struct ap_str s)
{
	if (!ap_str_starts(s, AP_STR(AP_TOKEN_PREFIX)))
		return false;
	s = (struct ap_str){s.p + strlen(AP_TOKEN_PREFIX), s.n - strlen(AP_TOKEN_PREFIX)};
	for (size_t i = 0; i < s.n; i++)
		if (!(s.p[i] >= '0' && s.p[i] <= '9') && !(s.p[i] >= 'a' && s.p[i] <= 'f'))
			return false;
	return s.n == 2 * AP_SECRET_BYTES;
}

void ap_secret_hash(struct ap_str s, uint8_t ret[static AP_SHA256_BYTES])
{
	memset(ret, 0, AP_SHA256_BYTES);
	gnutls_hash_fast(GNUTLS_DIG_SHA256, s.p ? s.p : "", s.n, ret);
}

bool ap_secret_equal(const uint8_t a[static AP_SHA256_BYTES],
		     const uint8_t b[static AP_SHA256_BYTES])
{
	return gnutls_memcmp(a, b, AP_SHA256_BYTES) == 0;
}

int ap_secret_read(const char *path, const char *what, char **ret, struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf b = {0};
	int r = ap_read_file(AT_FDCWD, path, LINE_MAX_BYTES, &b);
	struct ap_str rest = ap_buf_view(&b), line;
	char *copy;

	if (r < 0)
		return ap_error_set(err, r, "%s: cannot read %s: %s", what, path, ap_strerror(r));
	line = ap_str_trim(ap_str_cut(&rest, '\n'));
	for (size_t i = 0; i < line.n; i++)
		if ((unsigned char)line.p[i] < 0x20 || line.p[i] == 0x7f)
			line.n = 0;
	copy = line.n ? ap_str_dup(line) : NULL;
	if (b.p)
		explicit_bzero(b.p, b.n);
	if (!line.n)
		return ap_error_set(err, -EINVAL, "%s: %s does not hold a secret in its first line",
				    what, path);
	if (!copy)
		return ap_error_set(err, -ENOMEM, "out of memory");
	*ret = copy;
	return 0;
}

void ap_secret_free(char *secret)
{
	if (!secret)
		return;
	explicit_bzero(secret, strlen(secret));
	free(secret);
}
