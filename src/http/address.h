/* SPDX-License-Identifier: Apache-2.0 */
/* Listening addresses as users write them: "127.0.0.1:9090", "[::1]:9090", "localhost:0",
 * ":9090" (all interfaces). */
#ifndef AP_HTTP_ADDRESS_H
#define AP_HTTP_ADDRESS_H

#include <sys/socket.h>

#include "base/error.h"
#include "base/str.h"

struct ap_address {
	char host[256]; /* as written, without brackets; "" = all interfaces */
	uint16_t port;	/* 0: any free one */
	bool loopback;	/* only programs on this machine can reach it */
	struct sockaddr_storage sa;
	socklen_t sa_len;
};

/* Parses and resolves (names through the system's resolver). 0 or -EINVAL with a message. */
int ap_address_parse(const char *text, struct ap_address *ret, struct ap_error *err);

/* A listening, non-blocking, close-on-exec socket. `flag` is what the user calls the address, for
 * the remedy in the message. 0, -EADDRINUSE, -EACCES, -EADDRNOTAVAIL, … */
int ap_address_listen(const struct ap_address *a, const char *flag, int *ret_fd, uint16_t *ret_port,
		      struct ap_error *err);

/* Whether a Host header names this machine as seen from itself: localhost, a loopback address, the
 * host's own name, or one of `names` (NULL-terminated, or NULL). The port is not looked at. */
bool ap_address_host_ok(struct ap_str host, const char *const *names);

#endif
