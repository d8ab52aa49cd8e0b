/* SPDX-License-Identifier: Apache-2.0 */
#include "http/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <strings.h>

/* "host:port" or "[v6]:port". The host may be empty, the port may not. */
static int split(struct ap_str text, struct ap_str *ret_host, uint16_t *ret_port)
{
	struct ap_str host = text, port = {0};
	uint64_t n;

	for (size_t i = text.n; i-- > 0;) {
		if (text.p[i] == ':') {
			host = (struct ap_str){text.p, i};
			port = (struct ap_str){text.p + i + 1, text.n - i - 1};
			break;
		}
	}
	if (port.n == 0 || ap_parse_u64(port, &n) < 0 || n > UINT16_MAX)
		return -EINVAL;
	if (host.n && host.p[0] == '[') {
		if (host.n < 3 || host.p[host.n - 1] != ']')
			return -EINVAL;
		host = (struct ap_str){host.p + 1, host.n - 2};
	} else if (ap_str_find(host, ':') >= 0) {
		return -EINVAL; /* an IPv6 address needs its brackets to be told from the port */
	}
	*ret_host = host;
	*ret_port = (uint16_t)n;
	return 0;
}

static bool sockaddr_loopback(const struct sockaddr_storage *sa)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;

	if (sa->ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return sa->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static int resolve(struct ap_address *a, struct ap_error *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *list = NULL;
	char port[8];
	int r;

	snprintf(port, sizeof(port), "%u", a->port);
	/* All interfaces: an IPv6 socket takes IPv4 as well, but not where IPv6 is switched off. */
	hints.ai_family = a->host[0] ? AF_UNSPEC : AF_INET;
	r = getaddrinfo(a->host[0] ? a->host : NULL, port, &hints, &list);
	if (r != 0)
		return ap_error_set(err, -EINVAL,
				    "cannot resolve the address '%s' (%s): give an IP address of "
				    "this machine",
				    a->host, gai_strerror(r));
	memcpy(&a->sa, list->ai_addr, list->ai_addrlen);
	a->sa_len = list->ai_addrlen;
	freeaddrinfo(list);
	a->loopback = sockaddr_loopback(&a->sa);
	return 0;
}

int ap_address_parse(const char *text, struct ap_address *ret, struct ap_error *err)
{
	struct ap_address a = {0};
	struct ap_str host;
	int r;

	r = split(ap_str_of(text), &host, &a.port);
	if (r == 0 && host.n >= sizeof(a.host))
		r = -EINVAL;
	if (r < 0)
		return ap_error_set(err, -EINVAL,
				    "'%s' is not an address: write HOST:PORT, such as "
				    "127.0.0.1:9090 or [::1]:9090",
				    text);
	memcpy(a.host, host.p, host.n);
	r = resolve(&a, err);
	if (r < 0)
		return r;
	*ret = a;
	return 0;
}

static int listen_error(const struct ap_address *a, const char *flag, int e, struct ap_error *err)
{
	const char *host = a->host[0] ? a->host : "all interfaces";

	switch (e) {
	case EADDRINUSE:
		return ap_error_set(err, -e,
				    "port %u on %s is in use by another program: stop it "
				    "(`ss -ltnp sport = :%u` names it) or choose another port "
				    "with %s",
				    a->port, host, a->port, flag);
	case EACCES:
		return ap_error_set(err, -e,
				    "no permission to listen on port %u: ports below 1024 are "
				    "root's; choose a higher one with %s",
				    a->port, flag);
	case EADDRNOTAVAIL:
		return ap_error_set(err, -e,
				    "%s is not an address of this machine (`ip addr` lists them): "
				    "change %s",
				    host, flag);
	default:
		return ap_error_set(err, -e, "cannot listen on %s port %u (%s): change %s", host,
				    a->port, ap_strerror(e), flag);
	}
}

int ap_address_listen(const struct ap_address *a, const char *flag, int *ret_fd, uint16_t *ret_port,
		      struct ap_error *err)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int one = 1;
	_cleanup_fd_ int fd =
		socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return listen_error(a, flag, errno, err);
	/* So that a restart need not wait for the old connections' TIME_WAIT. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&a->sa, a->sa_len) < 0 || listen(fd, 512) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return listen_error(a, flag, errno, err);
	*ret_port = ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
						   : ((struct sockaddr_in *)&sa)->sin_port);
	*ret_fd = AP_TAKE_FD(fd);
	return 0;
}

static bool name_is(struct ap_str host, const char *name)
{
	return host.n == strlen(name) && strncasecmp(host.p, name, host.n) == 0;
}

/* Host without its port and brackets. */
static struct ap_str host_name(struct ap_str host)
{
	struct ap_str rest = host;

	if (host.n && host.p[0] == '[') {
		rest = (struct ap_str){host.p + 1, host.n - 1};
		return ap_str_cut(&rest, ']');
	}
	return ap_str_cut(&rest, ':');
}

bool ap_address_host_ok(struct ap_str host, const char *const *names)
{
	struct ap_str name = host_name(ap_str_trim(host));
	char text[INET6_ADDRSTRLEN], self[256];
	struct in_addr v4;

	if (name.n == 0)
		return false;
	if (name.p[name.n - 1] == '.') /* a fully qualified name's root */
		name.n--;
	if (name_is(name, "localhost") || name_is(name, "::1"))
		return true;
	if (name.n < sizeof(text)) {
		memcpy(text, name.p, name.n);
		text[name.n] = '\0';
		if (inet_pton(AF_INET, text, &v4) == 1 && ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET)
			return true;
	}
	if (gethostname(self, sizeof(self)) == 0 && name_is(name, self))
		return true;
	for (; names && *names; names++) {
		if (name_is(name, *names))
			return true;
	}
	return false;
}
