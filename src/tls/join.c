/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/join.h"

#include <stdio.h>

static bool is_host_port(struct ap_str s)
{
	size_t colon = s.n;
	uint64_t port;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		/* What may be in a name, an address or its brackets: nothing that a shell or YAML would read. */
		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    c != '.' && c != '-' && c != '_' && c != ':' && c != '[' && c != ']')
			return false;
		if (c == ':')
			colon = i;
	}
	return colon > 0 && colon < s.n && s.n < sizeof(((struct ap_join *)0)->server) &&
	       ap_parse_u64((struct ap_str){s.p + colon + 1, s.n - colon - 1}, &port) == 0 &&
	       port > 0 && port <= UINT16_MAX;
}

static bool is_fingerprint(struct ap_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!(s.p[i] >= '0' && s.p[i] <= '9') && !(s.p[i] >= 'a' && s.p[i] <= 'f'))
			return false;
	return s.n == AP_FINGERPRINT_LEN;
}

int ap_join_parse(struct ap_str text, struct ap_join *ret, struct ap_error *err)
{
	struct ap_str scheme = AP_STR(AP_JOIN_SCHEME), rest = ap_str_trim(text), token, server;
	struct ap_join j = {0};

	if (!ap_str_starts(rest, scheme))
		return ap_error_set(
			err, -EINVAL,
			"this is no join string: it begins with " AP_JOIN_SCHEME
			", and `aperture-aggregator setup` or the Agents page shows it");
	rest = (struct ap_str){rest.p + scheme.n, rest.n - scheme.n};
	token = ap_str_cut(&rest, '@');
	server = ap_str_cut(&rest, '?');
	if (!ap_secret_is_token(token) || !is_host_port(server) ||
	    !ap_str_starts(rest, AP_STR("ca=")) ||
	    !is_fingerprint((struct ap_str){rest.p + 3, rest.n - 3}))
		return ap_error_set(err, -EINVAL,
				    "the join string is damaged or was cut short: copy all of it");
	memcpy(j.token, token.p, token.n);
	memcpy(j.server, server.p, server.n);
	memcpy(j.fingerprint, rest.p + 3, AP_FINGERPRINT_LEN);
	*ret = j;
	return 0;
}

void ap_join_format(const struct ap_join *join, struct ap_buf *out)
{
	ap_buf_printf(out, AP_JOIN_SCHEME "%s@%s?ca=%s", join->token, join->server,
		      join->fingerprint);
}

void ap_join_command(const struct ap_join *join, struct ap_buf *out)
{
	ap_buf_puts(out, "echo '");
	ap_join_format(join, out);
	ap_buf_puts(out,
		    "' | sudo aperture-agent join && sudo systemctl enable --now aperture-agent");
}
