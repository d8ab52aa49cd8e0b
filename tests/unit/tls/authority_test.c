/* SPDX-License-Identifier: Apache-2.0 */
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "../test.h"
#include "tls/authority.h"

static const char *const hosts[] = {"web-1.example", "10.0.0.7", "fd00::2", NULL};

/* What a client of `host` would find: 0 is a good chain. */
static unsigned int verify(const struct ap_buf *chain, const struct ap_buf *ca, const char *host,
			   const char *purpose)
{
	gnutls_typed_vdata_st what[] = {
		{.type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)(uintptr_t)host},
		{.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)(uintptr_t)purpose},
	};
	gnutls_datum_t pem = {chain->p, (unsigned int)chain->n},
		       root = {ca->p, (unsigned int)ca->n};
	gnutls_x509_trust_list_t trust;
	gnutls_x509_crt_t *list;
	unsigned int n, status = 0;

	assert_int_equal(gnutls_x509_crt_list_import2(&list, &n, &pem, GNUTLS_X509_FMT_PEM, 0), 0);
	assert_int_equal(n, 2);
	assert_int_equal(gnutls_x509_trust_list_init(&trust, 0), 0);
	assert_int_equal(
		gnutls_x509_trust_list_add_trust_mem(trust, &root, NULL, GNUTLS_X509_FMT_PEM, 0, 0),
		1);
	assert_int_equal(
		gnutls_x509_trust_list_verify_crt2(trust, list, n, what, 2, 0, &status, NULL), 0);
	for (unsigned int i = 0; i < n; i++)
		gnutls_x509_crt_deinit(list[i]);
	gnutls_free(list);
	gnutls_x509_trust_list_deinit(trust, 1);
	return status;
}

static void issued_certificates_hold_for_their_hosts_alone(void **state)
{
	_cleanup_tls_pair_ struct ap_tls_pair ca = {0}, other = {0}, server = {0}, client = {0};
	struct ap_error err = {0};

	assert_int_equal(ap_tls_make_ca("CA", &ca, &err), 0);
	assert_int_equal(ap_tls_make_ca("CA", &other, &err), 0);
	assert_int_equal(ap_tls_issue(&ca, AP_TLS_SERVER, hosts[0], hosts, &server, &err), 0);
	assert_int_equal(ap_tls_issue(&ca, AP_TLS_CLIENT, "agent", NULL, &client, &err), 0);
	for (size_t i = 0; hosts[i]; i++)
		assert_int_equal(verify(&server.cert, &ca.cert, hosts[i], GNUTLS_KP_TLS_WWW_SERVER),
				 0);
	assert_int_not_equal(
		verify(&server.cert, &ca.cert, "web-2.example", GNUTLS_KP_TLS_WWW_SERVER), 0);
	assert_int_not_equal(verify(&server.cert, &other.cert, hosts[0], GNUTLS_KP_TLS_WWW_SERVER),
			     0);
	assert_int_not_equal(verify(&server.cert, &ca.cert, hosts[0], GNUTLS_KP_TLS_WWW_CLIENT), 0);
	assert_int_not_equal(verify(&client.cert, &ca.cert, "agent", GNUTLS_KP_TLS_WWW_SERVER), 0);
}

static void a_certificate_is_no_authority(void **state)
{
	_cleanup_tls_pair_ struct ap_tls_pair ca = {0}, server = {0}, more = {0}, none = {0},
					      no = {0};
	struct ap_error err = {0};

	assert_int_equal(ap_tls_make_ca("CA", &ca, &err), 0);
	assert_int_equal(ap_tls_issue(&ca, AP_TLS_SERVER, "a", hosts, &server, &err), 0);
	if (ap_tls_issue(&server, AP_TLS_SERVER, "b", hosts, &more, &err) == 0)
		assert_int_not_equal(
			verify(&more.cert, &ca.cert, hosts[0], GNUTLS_KP_TLS_WWW_SERVER), 0);
	assert_int_equal(ap_tls_issue(&none, AP_TLS_SERVER, "b", hosts, &no, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "b"));
}

static void fingerprints_tell_certificates_apart(void **state)
{
	_cleanup_tls_pair_ struct ap_tls_pair a = {0}, b = {0};
	char fa[AP_FINGERPRINT_LEN + 1], fb[AP_FINGERPRINT_LEN + 1];

	assert_int_equal(ap_tls_make_ca("CA", &a, NULL), 0);
	assert_int_equal(ap_tls_make_ca("CA", &b, NULL), 0);
	assert_int_equal(ap_tls_fingerprint(ap_buf_view(&a.cert), fa), 0);
	assert_int_equal(ap_tls_fingerprint(ap_buf_view(&b.cert), fb), 0);
	assert_int_equal(strlen(fa), AP_FINGERPRINT_LEN);
	assert_string_not_equal(fa, fb);
	assert_int_equal(ap_tls_fingerprint(AP_STR("no PEM"), fa), -EINVAL);
	assert_int_equal(ap_tls_fingerprint((struct ap_str){0}, fa), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(issued_certificates_hold_for_their_hosts_alone),
		cmocka_unit_test(a_certificate_is_no_authority),
		cmocka_unit_test(fingerprints_tell_certificates_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
