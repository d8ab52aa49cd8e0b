/* SPDX-License-Identifier: Apache-2.0 */
/* The CA's certificate, taken from the server that it vouches for and known by its fingerprint. */
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "tls/identity.h"
#include "tls/join.h"

#define TIMEOUT_S 10

/* "host" and "port" of "host:port", without brackets. */
static void split(const char *server, char host[static 300], const char **ret_port)
{
	const char *colon = strrchr(server, ':');
	size_t n = (size_t)(colon - server);

	if (n >= 2 && server[0] == '[' && server[n - 1] == ']') {
		server++;
		n -= 2;
	}
	memcpy(host, server, n);
	host[n] = '\0';
	*ret_port = colon + 1;
}

static int connect_to(const char *host, const char *port, int *ret_fd, struct ap_error *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list;
	const struct timeval limit = {.tv_sec = TIMEOUT_S};
	int r = getaddrinfo(host, port, &hints, &list), e = ECONNREFUSED;

	if (r != 0)
		return ap_error_set(err, -ECONNREFUSED, "%s is not found: %s", host,
				    gai_strerror(r));
	for (struct addrinfo *a = list; a; a = a->ai_next) {
		_cleanup_fd_ int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		if (connect(fd, a->ai_addr, a->ai_addrlen) == 0) {
			*ret_fd = AP_TAKE_FD(fd);
			freeaddrinfo(list);
			return 0;
		}
		e = errno == EINPROGRESS ? ETIMEDOUT : errno;
	}
	freeaddrinfo(list);
	return ap_error_set(err, e == ETIMEDOUT ? -ETIMEDOUT : -ECONNREFUSED,
			    "%s port %s cannot be reached: %s", host, port, ap_strerror(e));
}

/* Whether the certificate's fingerprint is `want`; its PEM form is then appended. */
static bool take_if(const gnutls_datum_t *der, const char *want, struct ap_buf *ret)
{
	char have[AP_FINGERPRINT_LEN + 1];
	gnutls_datum_t pem = {0};
	bool is;

	if (gnutls_pem_base64_encode2("CERTIFICATE", der, &pem) < 0)
		return false;
	is = ap_tls_fingerprint((struct ap_str){(const char *)pem.data, pem.size}, have) == 0 &&
	     strcmp(have, want) == 0;
	if (is)
		ap_buf_append(ret, pem.data, pem.size);
	gnutls_free(pem.data);
	return is;
}

/* Whether the chain that was shown leads from a certificate for `host` to the CA in `pem`. */
static bool chain_is_good(const gnutls_datum_t *chain, unsigned int n, const struct ap_buf *pem,
			  const char *host)
{
	gnutls_x509_trust_list_t trust = NULL;
	gnutls_x509_crt_t list[16] = {0};
	gnutls_datum_t ca = {pem->p, (unsigned int)pem->n};
	gnutls_typed_vdata_st hostname = {.type = GNUTLS_DT_DNS_HOSTNAME,
					  .data = (unsigned char *)(uintptr_t)host};
	unsigned int status = 1, k = 0;
	int r = gnutls_x509_trust_list_init(&trust, 0);

	if (r == 0 &&
	    gnutls_x509_trust_list_add_trust_mem(trust, &ca, NULL, GNUTLS_X509_FMT_PEM, 0, 0) < 1)
		r = -1;
	for (; r == 0 && k < AP_MIN(n, AP_ARRAY_SIZE(list)); k++) {
		r = gnutls_x509_crt_init(&list[k]);
		if (r == 0)
			r = gnutls_x509_crt_import(list[k], &chain[k], GNUTLS_X509_FMT_DER);
	}
	if (r == 0)
		r = gnutls_x509_trust_list_verify_crt2(trust, list, k, &hostname, 1, 0, &status,
						       NULL);
	for (unsigned int i = 0; i < AP_ARRAY_SIZE(list); i++)
		if (list[i])
			gnutls_x509_crt_deinit(list[i]);
	gnutls_x509_trust_list_deinit(trust, 0);
	return r == 0 && status == 0;
}

static int handshake(gnutls_session_t s, gnutls_certificate_credentials_t cred, const char *host,
		     int fd, struct ap_error *err)
{
	const gnutls_datum_t h2 = {(unsigned char *)(uintptr_t)"h2", 2};
	int r = gnutls_priority_set_direct(s, AP_TLS_PRIORITIES, NULL);

	if (r == 0)
		r = gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, cred);
	if (r == 0)
		r = gnutls_alpn_set_protocols(s, &h2, 1, 0); /* a gRPC server insists */
	if (r == 0)
		r = gnutls_server_name_set(s, GNUTLS_NAME_DNS, host, strlen(host));
	gnutls_handshake_set_timeout(s, TIMEOUT_S * 1000);
	gnutls_transport_set_int(s, fd);
	while (r == 0 && (r = gnutls_handshake(s)) < 0 && !gnutls_error_is_fatal(r))
		r = 0;
	if (r >= 0)
		return 0;
	return ap_error_set(err, r == GNUTLS_E_TIMEDOUT ? -ETIMEDOUT : -EACCES,
			    "%s does not speak TLS there: %s", host, gnutls_strerror(r));
}

static int take_ca(gnutls_session_t s, const struct ap_join *join, const char *host,
		   struct ap_buf *ret, struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf pem = {0};
	unsigned int n = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(s, &n);

	for (unsigned int i = 0; chain && i < n && pem.n == 0; i++)
		take_if(&chain[i], join->fingerprint, &pem);
	if (pem.n == 0)
		return ap_error_set(
			err, -EACCES,
			"%s is not the aggregator that this join string is from, or has "
			"another CA since: its certificates do not have the fingerprint",
			join->server);
	if (!chain_is_good(chain, n, &pem, host))
		return ap_error_set(
			err, -EACCES,
			"the certificate of %s has expired or is for another name: give "
			"`aperture-aggregator setup` the name with --host",
			join->server);
	ap_buf_str(ret, ap_buf_view(&pem));
	return ap_buf_error(ret) < 0 ? ap_error_set(err, -ENOMEM, "out of memory") : 0;
}

int ap_join_fetch_ca(const struct ap_join *join, struct ap_buf *ret, struct ap_error *err)
{
	gnutls_certificate_credentials_t cred = NULL;
	gnutls_session_t s = NULL;
	_cleanup_fd_ int fd = -1;
	const char *port;
	char host[300];
	int r;

	split(join->server, host, &port);
	r = connect_to(host, port, &fd, err);
	if (r < 0)
		return r;
	if (gnutls_certificate_allocate_credentials(&cred) < 0 ||
	    gnutls_init(&s, GNUTLS_CLIENT) < 0)
		r = ap_error_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = handshake(s, cred, host, fd, err);
	if (r == 0)
		r = take_ca(s, join, host, ret, err);
	if (s)
		gnutls_deinit(s);
	if (cred)
		gnutls_certificate_free_credentials(cred);
	return r;
}
