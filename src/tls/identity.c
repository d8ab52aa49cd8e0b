/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/identity.h"

#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/io.h"
#include "tls/authority.h"

#define FILE_MAX (1u << 20)

struct ap_tls_identity {
	int refs; /* atomic */
	struct ap_buf cert, key,
		client_ca; /* PEM and a NUL; client_ca is empty where there is none */
	gnutls_certificate_credentials_t credentials;
	int64_t expires;
	char ca[AP_FINGERPRINT_LEN + 1]; /* "": not there */
};

struct ap_tls_source {
	struct ap_tls_files files;
	pthread_mutex_t lock; /* guards `current` */
	struct ap_tls_identity *current;
};

static gnutls_datum_t datum(const struct ap_buf *b)
{
	return (gnutls_datum_t){b->p, (unsigned int)(b->n - 1)};
}

static int read_pem(const char *path, struct ap_buf *ret, struct ap_error *err)
{
	int r = ap_read_file(AT_FDCWD, path, FILE_MAX, ret);

	if (r == 0) {
		ap_buf_byte(ret, '\0');
		r = ap_buf_error(ret);
	}
	return r < 0 ? ap_error_set(err, r, "cannot read %s: %s", path, ap_strerror(r)) : 0;
}

/* The last certificate of the file is the CA's where it says so. */
static void take_ca(struct ap_tls_identity *id, gnutls_x509_crt_t last)
{
	gnutls_datum_t pem = {0};

	if (gnutls_x509_crt_get_ca_status(last, NULL) > 0 &&
	    gnutls_x509_crt_export2(last, GNUTLS_X509_FMT_PEM, &pem) == 0)
		ap_tls_fingerprint((struct ap_str){(const char *)pem.data, pem.size}, id->ca);
	gnutls_free(pem.data);
}

static int check_dates(struct ap_tls_identity *id, const char *path, struct ap_error *err)
{
	gnutls_datum_t pem = datum(&id->cert);
	gnutls_x509_crt_t *list = NULL;
	unsigned int n = 0;
	struct tm tm;
	char when[32];
	time_t expires, begins;
	int r = gnutls_x509_crt_list_import2(&list, &n, &pem, GNUTLS_X509_FMT_PEM, 0);

	if (r < 0 || n == 0)
		return ap_error_set(err, -EINVAL, "%s holds no certificate in PEM form: %s", path,
				    gnutls_strerror(r));
	expires = gnutls_x509_crt_get_expiration_time(list[0]);
	begins = gnutls_x509_crt_get_activation_time(list[0]);
	take_ca(id, list[n - 1]);
	for (unsigned int i = 0; i < n; i++)
		gnutls_x509_crt_deinit(list[i]);
	gnutls_free(list);
	id->expires = expires;
	if (expires > time(NULL) && begins <= time(NULL))
		return 0;
	gmtime_r(expires > time(NULL) ? &begins : &expires, &tm);
	strftime(when, sizeof(when), "%F %T UTC", &tm);
	return ap_error_set(err, -EINVAL, "the certificate in %s %s %s: put a new one there", path,
			    expires > time(NULL) ? "is not valid before" : "has expired on", when);
}

static int make_credentials(struct ap_tls_identity *id, const struct ap_tls_files *files,
			    struct ap_error *err)
{
	gnutls_datum_t cert = datum(&id->cert), key = datum(&id->key), ca;
	int r = gnutls_certificate_allocate_credentials(&id->credentials);

	if (r < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r = gnutls_certificate_set_x509_key_mem2(id->credentials, &cert, &key, GNUTLS_X509_FMT_PEM,
						 NULL, 0);
	if (r == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		return ap_error_set(err, -EINVAL,
				    "the key in %s is not that of the certificate in %s",
				    files->key, files->cert);
	if (r < 0)
		return ap_error_set(
			err, -EINVAL,
			"%s and %s are not a certificate and its unencrypted key in PEM "
			"form: %s",
			files->cert, files->key, gnutls_strerror(r));
	if (!files->client_ca)
		return 0;
	ca = datum(&id->client_ca);
	r = gnutls_certificate_set_x509_trust_mem(id->credentials, &ca, GNUTLS_X509_FMT_PEM);
	if (r <= 0)
		return ap_error_set(err, -EINVAL, "%s holds no certificate in PEM form",
				    files->client_ca);
	return 0;
}

int ap_tls_identity_load(const struct ap_tls_files *files, struct ap_tls_identity **ret,
			 struct ap_error *err)
{
	_cleanup_(ap_cleanup_tls_identity) struct ap_tls_identity *id = calloc(1, sizeof(*id));
	int r;

	if (!id)
		return ap_error_set(err, -ENOMEM, "out of memory");
	id->refs = 1;
	r = read_pem(files->cert, &id->cert, err);
	if (r == 0)
		r = read_pem(files->key, &id->key, err);
	if (r == 0 && files->client_ca)
		r = read_pem(files->client_ca, &id->client_ca, err);
	if (r == 0)
		r = check_dates(id, files->cert, err);
	if (r == 0)
		r = make_credentials(id, files, err);
	if (r < 0)
		return r;
	*ret = AP_TAKE_PTR(id);
	return 0;
}

struct ap_tls_identity *ap_tls_identity_ref(struct ap_tls_identity *id)
{
	__atomic_add_fetch(&id->refs, 1, __ATOMIC_RELAXED);
	return id;
}

void ap_tls_identity_unref(struct ap_tls_identity *id)
{
	if (!id || __atomic_sub_fetch(&id->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (id->credentials)
		gnutls_certificate_free_credentials(id->credentials);
	if (id->key.p)
		explicit_bzero(id->key.p, id->key.n);
	ap_buf_free(&id->cert);
	ap_buf_free(&id->key);
	ap_buf_free(&id->client_ca);
	free(id);
}

const char *ap_tls_identity_cert(const struct ap_tls_identity *id)
{
	return (const char *)id->cert.p;
}

const char *ap_tls_identity_key(const struct ap_tls_identity *id)
{
	return (const char *)id->key.p;
}

const char *ap_tls_identity_client_ca(const struct ap_tls_identity *id)
{
	return (const char *)id->client_ca.p;
}

int64_t ap_tls_identity_expires(const struct ap_tls_identity *id)
{
	return id->expires;
}

void ap_tls_identity_use(struct ap_tls_identity *id, void *session)
{
	static gnutls_typed_vdata_st client[] = {
		{.type = GNUTLS_DT_KEY_PURPOSE_OID,
		 .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT}};
	gnutls_session_t s = session;

	gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, id->credentials);
	if (!id->client_ca.n)
		return;
	gnutls_certificate_server_set_request(s, GNUTLS_CERT_REQUIRE);
	gnutls_session_set_verify_cert2(s, client, AP_ARRAY_SIZE(client), 0);
}

/* ---- The one in force. ---- */

int ap_tls_source_new(const struct ap_tls_files *files, struct ap_tls_source **ret,
		      struct ap_error *err)
{
	struct ap_tls_source *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return ap_error_set(err, -ENOMEM, "out of memory");
	s->files = *files;
	pthread_mutex_init(&s->lock, NULL);
	r = ap_tls_identity_load(&s->files, &s->current, err);
	if (r < 0) {
		ap_tls_source_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void ap_tls_source_free(struct ap_tls_source *s)
{
	if (!s)
		return;
	ap_tls_identity_unref(s->current);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int ap_tls_source_reload(struct ap_tls_source *s, struct ap_error *err)
{
	struct ap_tls_identity *id, *old;
	int r = ap_tls_identity_load(&s->files, &id, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	old = s->current;
	s->current = id;
	pthread_mutex_unlock(&s->lock);
	ap_tls_identity_unref(old);
	return 0;
}

struct ap_tls_identity *ap_tls_source_get(struct ap_tls_source *s)
{
	struct ap_tls_identity *id;

	pthread_mutex_lock(&s->lock);
	id = ap_tls_identity_ref(s->current);
	pthread_mutex_unlock(&s->lock);
	return id;
}

int ap_tls_source_ca(struct ap_tls_source *s, char ret_fingerprint[static 65])
{
	struct ap_tls_identity *id = ap_tls_source_get(s);
	bool known = id->ca[0];

	if (known)
		memcpy(ret_fingerprint, id->ca, sizeof(id->ca));
	ap_tls_identity_unref(id);
	return known ? 0 : -ENOENT;
}
