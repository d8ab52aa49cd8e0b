/* SPDX-License-Identifier: Apache-2.0 */
/* aperture-aggregator setup. What is secret of the authority stays with root in the configuration's folder; what the
 * aggregator serves with is in its data folder and belongs to that folder's owner. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>

#include "aggregator/commands.h"
#include "aggregator/guard/guard.h"
#include "base/config_section.h"
#include "base/io.h"
#include "base/vec.h"
#include "tls/join.h"

#define PEM_MAX	     (1u << 20)
#define TOKENS_MAX   10000
#define DEFAULT_HTTP "0.0.0.0:9090"
#define DEFAULT_GRPC "0.0.0.0:50051"
#define ADMIN	     "admin"

struct setup {
	const struct ap_command_settings *set;
	struct ap_tls_pair ca, server;
	AP_VEC(char *) hosts; /* NULL-terminated once complete; owned */
	struct stat owner;    /* of the data folder */
	struct ap_join join;
	bool has_admin; /* there was an administrator's token before */
	struct ap_error err;
};

static int oom(struct setup *s)
{
	return ap_error_set(&s->err, -ENOMEM, "out of memory");
}

static char *path_of(const char *dir, const char *name)
{
	char *path = NULL;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

static int make_folder(struct setup *s, const char *path, unsigned int mode)
{
	int r = ap_mkdir_all(path, mode);

	return r < 0 ? ap_error_set(&s->err, r, "cannot make the folder %s: %s", path,
				    ap_strerror(r))
		     : 0;
}

static int write_file(struct setup *s, const char *dir, const char *name, struct ap_str text,
		      unsigned int mode)
{
	_cleanup_free_ char *path = path_of(dir, name);
	int r = path ? ap_write_file_atomic(path, text.p, text.n, mode, true) : -ENOMEM;

	return r < 0 ? ap_error_set(&s->err, r, "cannot write %s/%s: %s", dir, name, ap_strerror(r))
		     : 0;
}

/* Gives a file that root made to the owner of the data folder. */
static int give(struct setup *s, const char *dir, const char *name)
{
	_cleanup_free_ char *path = path_of(dir, name);

	if (!path)
		return oom(s);
	if (geteuid() != 0 || chown(path, s->owner.st_uid, s->owner.st_gid) == 0)
		return 0;
	return ap_error_set(&s->err, -errno, "cannot give %s to the aggregator: %s", path,
			    ap_strerror(errno));
}

/* ---- Which names the certificate is for. ---- */

static int add_host(struct setup *s, const char *name)
{
	char *copy;

	AP_VEC_FOREACH(&s->hosts, h) {
		if (strcmp(*h, name) == 0)
			return 0;
	}
	copy = strdup(name);
	if (!copy || ap_vec_push(&s->hosts, copy) < 0) {
		free(copy);
		return oom(s);
	}
	return 0;
}

/* The name that the resolver knows this machine by. */
static int add_full_name(struct setup *s, const char *name)
{
	struct addrinfo hints = {.ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM}, *list;
	int r = 0;

	if (getaddrinfo(name, NULL, &hints, &list) != 0)
		return 0;
	if (list->ai_canonname)
		r = add_host(s, list->ai_canonname);
	freeaddrinfo(list);
	return r;
}

static int add_addresses(struct setup *s)
{
	struct ifaddrs *list;
	int r = 0;

	if (getifaddrs(&list) < 0)
		return 0;
	for (struct ifaddrs *i = list; i && r == 0; i = i->ifa_next) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)i->ifa_addr;
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)i->ifa_addr;
		char text[INET6_ADDRSTRLEN];

		if (!i->ifa_addr || (i->ifa_flags & IFF_LOOPBACK))
			continue;
		if (v4->sin_family == AF_INET)
			inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
		else if (v6->sin6_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
			inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
		else
			continue;
		r = add_host(s, text);
	}
	freeifaddrs(list);
	return r;
}

/* The first one is what other hosts are told. */
static int find_hosts(struct setup *s)
{
	static const char *const own[] = {"localhost", "127.0.0.1", "::1"};
	char name[256] = "localhost";
	int r = 0;

	gethostname(name, sizeof(name) - 1);
	for (size_t i = 0; r == 0 && i < s->set->hosts.n; i++)
		r = add_host(s, s->set->hosts.p[i]);
	if (r == 0)
		r = add_host(s, name);
	if (r == 0)
		r = add_full_name(s, name);
	if (r == 0)
		r = add_addresses(s);
	for (size_t i = 0; r == 0 && i < AP_ARRAY_SIZE(own); i++)
		r = add_host(s, own[i]);
	if (r == 0 && ap_vec_push(&s->hosts, NULL) < 0)
		r = oom(s);
	return r;
}

/* ---- Certificates. ---- */

static int read_pem(const char *dir, const char *name, struct ap_buf *ret)
{
	_cleanup_free_ char *path = path_of(dir, name);

	return path ? ap_read_file(AT_FDCWD, path, PEM_MAX, ret) : -ENOMEM;
}

static int make_ca(struct setup *s)
{
	const char *dir = s->set->config_dir;
	char name[320];
	int r = read_pem(dir, "ca.pem", &s->ca.cert);

	if (r == 0)
		r = read_pem(dir, "ca-key.pem", &s->ca.key);
	if (r == 0)
		return 0;
	if (r != -ENOENT)
		return ap_error_set(&s->err, r, "cannot read %s/ca.pem and ca-key.pem: %s", dir,
				    ap_strerror(r));
	if (s->ca.cert.n)
		return ap_error_set(
			&s->err, -EEXIST,
			"%s/ca.pem is there without ca-key.pem: this host has joined another "
			"aggregator; choose another --config-dir",
			dir);
	snprintf(name, sizeof(name), "Aperture CA of %s", s->hosts.p[0]);
	r = ap_tls_make_ca(name, &s->ca, &s->err);
	if (r == 0)
		r = write_file(s, dir, "ca-key.pem", ap_buf_view(&s->ca.key), 0600);
	if (r == 0)
		r = write_file(s, dir, "ca.pem", ap_buf_view(&s->ca.cert), 0644);
	return r;
}

static int make_server(struct setup *s, const char *dir)
{
	int r = ap_tls_issue(&s->ca, AP_TLS_SERVER, s->hosts.p[0], (const char *const *)s->hosts.p,
			     &s->server, &s->err);

	if (r == 0)
		r = make_folder(s, dir, 0700);
	if (r == 0)
		r = write_file(s, dir, "server-key.pem", ap_buf_view(&s->server.key), 0600);
	if (r == 0)
		r = write_file(s, dir, "server.pem", ap_buf_view(&s->server.cert), 0644);
	if (r == 0)
		r = give(s, dir, "server-key.pem");
	if (r == 0)
		r = give(s, dir, "server.pem");
	return r == 0 ? give(s, dir, ".") : r;
}

/* ---- Tokens. ---- */

static int make_admin(struct setup *s, struct ap_guard_db *db)
{
	char token[AP_SECRET_TEXT];
	int r = ap_guard_create(db, ADMIN, AP_ROLE_ADMIN, 0, token, &s->err);

	s->has_admin = r == -EEXIST;
	if (s->has_admin)
		return 0;
	if (r == 0)
		r = write_file(s, s->set->config_dir, "admin-token", ap_str_of(token), 0600);
	explicit_bzero(token, sizeof(token));
	return r;
}

/* One more token for agents: "agents-1", "agents-2", … */
static int make_agents(struct setup *s, struct ap_guard_db *db)
{
	int r = -EEXIST;

	for (int i = 1; r == -EEXIST && i <= TOKENS_MAX; i++) {
		char name[32];

		snprintf(name, sizeof(name), "agents-%d", i);
		r = ap_guard_create(db, name, AP_ROLE_PUSH, 0, s->join.token, &s->err);
	}
	return r;
}

static int make_tokens(struct setup *s)
{
	_cleanup_(ap_cleanup_guard_db) struct ap_guard_db *db = NULL;
	_cleanup_free_ char *path = path_of(s->set->data_dir, "guard.db");
	int r = path ? ap_guard_db_open(path, &db, &s->err) : oom(s);

	if (r == 0)
		r = make_admin(s, db);
	if (r == 0)
		r = make_agents(s, db);
	if (r == 0)
		r = give(s, s->set->data_dir, "guard.db");
	return r;
}

/* ---- The configuration, and what to do next. ---- */

static const char *port_of(const char *address)
{
	return strrchr(address, ':') + 1;
}

static void put_config(const struct setup *s, const char *tls_dir, struct ap_buf *out)
{
	_cleanup_free_ char *cert = path_of(tls_dir, "server.pem");
	_cleanup_free_ char *key = path_of(tls_dir, "server-key.pem");
	const struct ap_command_settings *set = s->set;

	ap_config_put_key(out, "listen", set->listen ? set->listen : DEFAULT_HTTP);
	ap_config_put_key(out, "grpc-listen", set->grpc_listen ? set->grpc_listen : DEFAULT_GRPC);
	ap_config_put_key(out, "agent-address", s->join.server);
	ap_config_put_key(out, "data-dir", set->data_dir);
	ap_config_put_key(out, "auth", "token");
	ap_config_put_key(out, "tls-cert", cert ? cert : "");
	ap_config_put_key(out, "tls-key", key ? key : "");
}

static int write_config(struct setup *s, const char *tls_dir)
{
	_cleanup_free_ char *path = path_of(s->set->config_dir, "aperture.yaml");
	_cleanup_buf_ struct ap_buf body = {0};
	int r;

	put_config(s, tls_dir, &body);
	if (!path || ap_buf_error(&body))
		return oom(s);
	r = ap_config_add_section(path, "aggregator", ap_buf_view(&body), &s->err);
	if (r == -EEXIST) {
		printf("%s has a section aggregator: and is left as it is. It needs:\n\n%.*s\n",
		       path, AP_STR_ARG(ap_buf_view(&body)));
		r = 0;
	}
	return r;
}

static void put_server(struct setup *s)
{
	const char *host = s->hosts.p[0];

	snprintf(s->join.server, sizeof(s->join.server), strchr(host, ':') ? "[%s]:%s" : "%s:%s",
		 host, port_of(s->set->grpc_listen ? s->set->grpc_listen : DEFAULT_GRPC));
}

static int say_what_is_next(struct setup *s)
{
	const struct ap_command_settings *set = s->set;
	_cleanup_buf_ struct ap_buf command = {0};
	const char *host = s->hosts.p[0];

	ap_join_command(&s->join, &command);
	if (ap_buf_error(&command))
		return oom(s);
	printf("Certificates are valid for");
	for (size_t i = 0; s->hosts.p[i]; i++)
		printf(" %s", s->hosts.p[i]);
	printf("\n\nStart the aggregator, or restart it:\n    sudo systemctl restart "
	       "aperture-aggregator\n\nIts dashboard is at ");
	printf(strchr(host, ':') ? "https://[%s]:%s/" : "https://%s:%s/", host,
	       port_of(set->listen ? set->listen : DEFAULT_HTTP));
	printf("; browsers want the CA %s/ca.pem.\n", set->config_dir);
	if (s->has_admin)
		printf("The token " ADMIN " is from before and is not shown again.\n");
	else
		printf("The token to log in with is in %s/admin-token.\n", set->config_dir);
	printf("\nOn the next host, paste this; it is a secret:\n    %.*s\n",
	       AP_STR_ARG(ap_buf_view(&command)));
	return 0;
}

static int set_up(struct setup *s)
{
	_cleanup_free_ char *tls_dir = path_of(s->set->data_dir, "tls");
	int r = tls_dir ? find_hosts(s) : oom(s);

	if (r == 0)
		r = make_folder(s, s->set->config_dir, 0755);
	if (r == 0)
		r = make_folder(s, s->set->data_dir, 0750);
	if (r == 0 && stat(s->set->data_dir, &s->owner) < 0)
		r = ap_error_set(&s->err, -errno, "cannot use %s: %s", s->set->data_dir,
				 ap_strerror(errno));
	if (r == 0)
		r = make_ca(s);
	if (r == 0)
		r = make_server(s, tls_dir);
	if (r == 0)
		r = ap_tls_fingerprint(ap_buf_view(&s->ca.cert), s->join.fingerprint);
	if (r < 0)
		return r;
	put_server(s);
	r = make_tokens(s);
	if (r == 0)
		r = write_config(s, tls_dir);
	return r == 0 ? say_what_is_next(s) : r;
}

int ap_command_setup(const struct ap_command_settings *set)
{
	struct setup s = {.set = set};
	int r = set_up(&s);

	if (r < 0)
		fprintf(stderr, "aperture-aggregator setup: %s\n",
			s.err.msg[0] ? s.err.msg : ap_strerror(r));
	AP_VEC_FOREACH(&s.hosts, h)
		free(*h);
	ap_vec_free(&s.hosts);
	ap_tls_pair_free(&s.ca);
	ap_tls_pair_free(&s.server);
	explicit_bzero(&s.join, sizeof(s.join));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
