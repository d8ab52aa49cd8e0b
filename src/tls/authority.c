/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/authority.h"

#include <arpa/inet.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#define DAY_S	     86400
#define CA_DAYS	     3650
#define ISSUED_DAYS  825
#define SERIAL_BYTES 16

/* What a certificate is made with. */
struct work {
	gnutls_x509_crt_t crt, ca;
	gnutls_x509_privkey_t key, ca_key;
};

static void work_free(struct work *w)
{
	if (w->crt)
		gnutls_x509_crt_deinit(w->crt);
	if (w->ca)
		gnutls_x509_crt_deinit(w->ca);
	if (w->key)
		gnutls_x509_privkey_deinit(w->key);
	if (w->ca_key)
		gnutls_x509_privkey_deinit(w->ca_key);
}

void ap_tls_pair_free(struct ap_tls_pair *p)
{
	if (p->key.p)
		explicit_bzero(p->key.p, p->key.n);
	ap_buf_free(&p->cert);
	ap_buf_free(&p->key);
}

static int begin(struct work *w, const char *name, int days)
{
	unsigned int bits = GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1);
	uint8_t serial[SERIAL_BYTES];
	time_t now = time(NULL);
	int r = gnutls_x509_crt_init(&w->crt);

	if (r == 0)
		r = gnutls_x509_privkey_init(&w->key);
	if (r == 0)
		r = gnutls_x509_privkey_generate(w->key, GNUTLS_PK_ECDSA, bits, 0);
	if (r == 0 && getrandom(serial, sizeof(serial), 0) != sizeof(serial))
		r = GNUTLS_E_RANDOM_FAILED;
	serial[0] = (serial[0] & 0x7f) | 1; /* positive, and not 0 */
	if (r == 0)
		r = gnutls_x509_crt_set_version(w->crt, 3);
	if (r == 0)
		r = gnutls_x509_crt_set_serial(w->crt, serial, sizeof(serial));
	/* An hour for clocks that are behind. */
	if (r == 0)
		r = gnutls_x509_crt_set_activation_time(w->crt, now - 3600);
	if (r == 0)
		r = gnutls_x509_crt_set_expiration_time(w->crt, now + (time_t)days * DAY_S);
	if (r == 0)
		r = gnutls_x509_crt_set_key(w->crt, w->key);
	if (r == 0)
		r = gnutls_x509_crt_set_dn_by_oid(w->crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
						  (unsigned int)AP_MIN(strlen(name), (size_t)64));
	return r;
}

static int add_key_id(gnutls_x509_crt_t crt)
{
	uint8_t id[64];
	size_t n = sizeof(id);
	int r = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA1, id, &n);

	return r < 0 ? r : gnutls_x509_crt_set_subject_key_id(crt, id, n);
}

static int add_authority_id(gnutls_x509_crt_t crt, gnutls_x509_crt_t ca)
{
	uint8_t id[64];
	size_t n = sizeof(id);
	int r = gnutls_x509_crt_get_subject_key_id(ca, id, &n, NULL);

	return r < 0 ? r : gnutls_x509_crt_set_authority_key_id(crt, id, n);
}

static int put_crt(gnutls_x509_crt_t crt, struct ap_buf *out)
{
	gnutls_datum_t pem = {0};
	int r = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem);

	if (r == 0)
		ap_buf_append(out, pem.data, pem.size);
	gnutls_free(pem.data);
	return r;
}

/* The pair of what was made; the certificate of the CA follows where it is another one. */
static int finish(const struct work *w, struct ap_tls_pair *ret)
{
	gnutls_datum_t pem = {0};
	int r = put_crt(w->crt, &ret->cert);

	if (r == 0 && w->ca)
		r = put_crt(w->ca, &ret->cert);
	if (r == 0)
		r = gnutls_x509_privkey_export2_pkcs8(w->key, GNUTLS_X509_FMT_PEM, NULL,
						      GNUTLS_PKCS_PLAIN, &pem);
	if (r == 0) {
		ap_buf_append(&ret->key, pem.data, pem.size);
		explicit_bzero(pem.data, pem.size);
		gnutls_free(pem.data);
	}
	if (ap_buf_error(&ret->cert) || ap_buf_error(&ret->key))
		r = GNUTLS_E_MEMORY_ERROR;
	return r;
}

static int result(int r, const char *what, struct ap_tls_pair *ret, struct ap_error *err)
{
	if (r >= 0)
		return 0;
	ap_tls_pair_free(ret);
	return ap_error_set(err, r == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL,
			    "cannot make the certificate of %s: %s", what, gnutls_strerror(r));
}

int ap_tls_make_ca(const char *name, struct ap_tls_pair *ret, struct ap_error *err)
{
	_cleanup_(work_free) struct work w = {0};
	int r = begin(&w, name, CA_DAYS);

	*ret = (struct ap_tls_pair){0};
	if (r == 0)
		r = gnutls_x509_crt_set_basic_constraints(w.crt, 1, 0);
	if (r == 0)
		r = gnutls_x509_crt_set_key_usage(w.crt,
						  GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
	if (r == 0)
		r = add_key_id(w.crt);
	if (r == 0)
		r = gnutls_x509_crt_sign2(w.crt, w.crt, w.key, GNUTLS_DIG_SHA256, 0);
	if (r == 0)
		r = finish(&w, ret);
	return result(r, name, ret, err);
}

static int add_host(gnutls_x509_crt_t crt, const char *host)
{
	uint8_t ip[16];

	if (inet_pton(AF_INET, host, ip) == 1)
		return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, ip, 4,
							    GNUTLS_FSAN_APPEND);
	if (inet_pton(AF_INET6, host, ip) == 1)
		return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, ip, 16,
							    GNUTLS_FSAN_APPEND);
	return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, host,
						    (unsigned int)strlen(host), GNUTLS_FSAN_APPEND);
}

static int read_ca(struct work *w, const struct ap_tls_pair *ca)
{
	gnutls_datum_t cert = {ca->cert.p, (unsigned int)ca->cert.n};
	gnutls_datum_t key = {ca->key.p, (unsigned int)ca->key.n};
	int r = gnutls_x509_crt_init(&w->ca);

	if (r == 0)
		r = gnutls_x509_privkey_init(&w->ca_key);
	if (r == 0)
		r = gnutls_x509_crt_import(w->ca, &cert, GNUTLS_X509_FMT_PEM);
	if (r == 0)
		r = gnutls_x509_privkey_import2(w->ca_key, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
	return r;
}

int ap_tls_issue(const struct ap_tls_pair *ca, enum ap_tls_purpose purpose, const char *name,
		 const char *const *hosts, struct ap_tls_pair *ret, struct ap_error *err)
{
	_cleanup_(work_free) struct work w = {0};
	int r = read_ca(&w, ca);

	*ret = (struct ap_tls_pair){0};
	if (r == 0)
		r = begin(&w, name, ISSUED_DAYS);
	if (r == 0)
		r = gnutls_x509_crt_set_basic_constraints(w.crt, 0, -1);
	if (r == 0)
		r = gnutls_x509_crt_set_key_usage(w.crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (r == 0)
		r = gnutls_x509_crt_set_key_purpose_oid(w.crt,
							purpose == AP_TLS_SERVER
								? GNUTLS_KP_TLS_WWW_SERVER
								: GNUTLS_KP_TLS_WWW_CLIENT,
							0);
	for (; r == 0 && hosts && *hosts; hosts++)
		r = add_host(w.crt, *hosts);
	if (r == 0)
		r = add_key_id(w.crt);
	if (r == 0)
		r = add_authority_id(w.crt, w.ca);
	if (r == 0)
		r = gnutls_x509_crt_sign2(w.crt, w.ca, w.ca_key, GNUTLS_DIG_SHA256, 0);
	if (r == 0)
		r = finish(&w, ret);
	return result(r, name, ret, err);
}

int ap_tls_fingerprint(struct ap_str pem, char ret[static AP_FINGERPRINT_LEN + 1])
{
	gnutls_datum_t in = {(unsigned char *)(uintptr_t)pem.p, (unsigned int)pem.n};
	uint8_t hash[AP_FINGERPRINT_LEN / 2];
	size_t n = sizeof(hash);
	gnutls_x509_crt_t crt;
	int r = gnutls_x509_crt_init(&crt);

	if (r < 0)
		return -ENOMEM;
	r = gnutls_x509_crt_import(crt, &in, GNUTLS_X509_FMT_PEM);
	if (r == 0)
		r = gnutls_x509_crt_get_fingerprint(crt, GNUTLS_DIG_SHA256, hash, &n);
	gnutls_x509_crt_deinit(crt);
	if (r < 0)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		snprintf(ret + 2 * i, 3, "%02x", hash[i]);
	return 0;
}
