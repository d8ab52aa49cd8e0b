/* SPDX-License-Identifier: Apache-2.0 */
/* TLS of the server, and what a call tells of its client. gRPC asks before each handshake whether there is a new
 * certificate. */
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <stdio.h>

#include "tls/identity.h"
#include "wire/server_internal.h"

struct ap_server_tls {
	struct ap_tls_source *source;
	pthread_mutex_t lock;		/* guards `served` */
	struct ap_tls_identity *served; /* what gRPC was given last */
};

static grpc_ssl_certificate_config_reload_status on_handshake(
	void *ctx, grpc_ssl_server_certificate_config **ret)
{
	struct ap_server_tls *t = ctx;
	struct ap_tls_identity *now = ap_tls_source_get(t->source);
	grpc_ssl_pem_key_cert_pair pair = {.private_key = ap_tls_identity_key(now),
					   .cert_chain = ap_tls_identity_cert(now)};
	const char *client_ca = ap_tls_identity_client_ca(now);
	bool same;

	pthread_mutex_lock(&t->lock);
	same = now == t->served;
	if (!same) {
		ap_tls_identity_unref(t->served);
		t->served = ap_tls_identity_ref(now);
		/* gRPC 1.51 insists on some CA, even if no client is asked for a certificate. */
		*ret = grpc_ssl_server_certificate_config_create(
			client_ca ? client_ca : pair.cert_chain, &pair, 1);
	}
	pthread_mutex_unlock(&t->lock);
	ap_tls_identity_unref(now);
	return same ? GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED
		    : GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

grpc_server_credentials *ap_server_credentials(struct ap_tls_source *source,
					       struct ap_server_tls **ret)
{
	grpc_ssl_client_certificate_request_type ask = GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
	struct ap_tls_identity *id;
	struct ap_server_tls *t;

	if (!source)
		return grpc_insecure_server_credentials_create();
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->source = source;
	pthread_mutex_init(&t->lock, NULL);
	*ret = t;
	id = ap_tls_source_get(source);
	if (ap_tls_identity_client_ca(id))
		ask = GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
	ap_tls_identity_unref(id);
	return grpc_ssl_server_credentials_create_with_options(
		grpc_ssl_server_credentials_create_options_using_config_fetcher(ask, on_handshake,
										t));
}

void ap_server_tls_free(struct ap_server_tls *t)
{
	if (!t)
		return;
	ap_tls_identity_unref(t->served);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* "10.0.0.7" of "ipv4:10.0.0.7:4711"; "::1" of "ipv6:%5B::1%5D:4711". */
static void peer_address(const char *uri, char ret[static 64])
{
	struct ap_str s = ap_str_of(uri);
	bool v4 = ap_str_starts(s, AP_STR("ipv4:")), v6 = ap_str_starts(s, AP_STR("ipv6:"));
	ssize_t end;

	ret[0] = '\0';
	if (!v4 && !v6)
		return;
	s = (struct ap_str){s.p + 5, s.n - 5};
	if (v6 && ap_str_starts(s, AP_STR("%5B")))
		s = (struct ap_str){s.p + 3, s.n - 3};
	else if (v6 && ap_str_starts(s, AP_STR("[")))
		s = (struct ap_str){s.p + 1, s.n - 1};
	end = v4 ? ap_str_find(s, ':') : ap_str_find(s, '%');
	if (v6 && end < 0)
		end = ap_str_find(s, ']');
	if (end >= 0)
		s.n = (size_t)end;
	snprintf(ret, 64, "%.*s", (int)AP_MIN(s.n, (size_t)63), s.p);
}

void ap_server_caller(const struct ap_server_call *c, struct ap_rpc_caller *ret)
{
	char *peer = grpc_call_get_peer(c->call);

	*ret = (struct ap_rpc_caller){.method = c->method ? c->method->name : NULL};
	for (size_t i = 0; i < c->metadata.count && !ret->authorization.p; i++)
		if (ap_str_is(ap_grpc_slice_view(&c->metadata.metadata[i].key), "authorization"))
			ret->authorization = ap_grpc_slice_view(&c->metadata.metadata[i].value);
	peer_address(peer ? peer : "", ret->peer);
	gpr_free(peer);
}
