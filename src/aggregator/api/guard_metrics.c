/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/api/access.h"
#include "aggregator/api/grpc.h"
#include "http/prometheus.h"

#define LABEL(key, value) AP_PROM_LABELS({key, AP_STR(value)})

static void write_guard(struct ap_prom *p, const struct ap_api *api)
{
	struct ap_guard_stats s;

	ap_guard_get_stats(api->guard, &s);
	ap_prom_family(
		p, "aperture_auth_refused_total", AP_PROM_COUNTER,
		"Requests and calls refused, by why: no token, one that does not hold, or a role "
		"that does not suffice.");
	ap_prom_u64(p, LABEL("reason", "missing"), s.missing);
	ap_prom_u64(p, LABEL("reason", "unknown"), s.tokens_unknown);
	ap_prom_u64(p, LABEL("reason", "forbidden"), s.forbidden);
	ap_prom_family(p, "aperture_logins_total", AP_PROM_COUNTER,
		       "Log-ins on the dashboard, by outcome.");
	ap_prom_u64(p, LABEL("status", "ok"), s.logins);
	ap_prom_u64(p, LABEL("status", "failed"), s.logins_failed);
	ap_prom_u64(p, LABEL("status", "rate_limited"), s.logins_limited);
	ap_prom_u64(p, LABEL("status", "sessions_full"), s.sessions_refused);
	ap_prom_family(p, "aperture_sessions", AP_PROM_GAUGE, "Browsers that are logged in.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s.sessions);
	ap_prom_family(p, "aperture_sessions_max", AP_PROM_GAUGE, "As many may be.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s.max_sessions);
	ap_prom_family(p, "aperture_audit_entries_total", AP_PROM_COUNTER,
		       "Entries of the audit log since the start, by outcome.");
	ap_prom_u64(p, LABEL("status", "written"), s.audit_written);
	ap_prom_u64(p, LABEL("status", "failed"), s.audit_failed);
}

static void write_limits(struct ap_prom *p, const struct ap_http_request *req,
			 const struct ap_api *api)
{
	struct ap_limits_stats l;
	struct ap_http_stats h;

	ap_limits_get_stats(api->limits, &l);
	ap_http_get_stats(req, &h);
	ap_prom_family(
		p, "aperture_limit_refused_total", AP_PROM_COUNTER,
		"What was refused because of a limit: messages, bodies and requests, or batches "
		"that their agents keep.");
	ap_prom_u64(p, LABEL("limit", "message_size"), ap_grpc_too_large(api->grpc));
	ap_prom_u64(p, LABEL("limit", "body_size"), h.refused_large);
	ap_prom_u64(p, LABEL("limit", "waiting_requests"), h.refused_busy);
	ap_prom_u64(p, LABEL("limit", "agent_rate"), l.rate_limited);
	ap_prom_family(
		p, "aperture_labels_cut_total", AP_PROM_COUNTER,
		"Labels of rows that were cut, by how: values that became (other), and labels "
		"that were left out; the rows are kept.");
	ap_prom_u64(p, LABEL("how", "folded"), l.values_folded);
	ap_prom_u64(p, LABEL("how", "dropped"), l.labels_dropped);
	ap_prom_family(p, "aperture_label_values", AP_PROM_GAUGE,
		       "Distinct values of labels from all agents in this hour.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, l.values);
	ap_prom_family(p, "aperture_http_connections", AP_PROM_GAUGE, "Open HTTP connections.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, h.connections);
	ap_prom_family(p, "aperture_http_connections_max", AP_PROM_GAUGE,
		       "As many may be; further ones wait.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, h.max_connections);
}

static void write_certificate(struct ap_prom *p, const struct ap_api *api)
{
	struct ap_tls_identity *id;

	if (!api->tls)
		return;
	id = ap_tls_source_get(api->tls);
	ap_prom_family(p, "aperture_tls_certificate_expires_seconds", AP_PROM_GAUGE,
		       "When the certificate in force expires, in Unix seconds.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, (uint64_t)ap_tls_identity_expires(id));
	ap_tls_identity_unref(id);
}

void ap_api_guard_metrics(struct ap_prom *p, const struct ap_http_request *req,
			  const struct ap_api *api)
{
	write_guard(p, api);
	write_limits(p, req, api);
	write_certificate(p, api);
}
