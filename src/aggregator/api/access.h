/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what: one rule for each route of the REST API and each method of the gRPC service, and those who
 * keep them. A route without a rule is nobody's where tokens are asked for. */
#ifndef AP_AGGREGATOR_API_ACCESS_H
#define AP_AGGREGATOR_API_ACCESS_H

#include "aggregator/api/api.h"
#include "wire/server.h"

#define AP_SESSION_COOKIE "aperture_session"
#define AP_CSRF_HEADER	  "X-Aperture-CSRF"

/* AP_ACCESS_NONE: there is no rule. */
enum ap_access ap_api_access(const struct ap_http_route *route);
enum ap_access ap_grpc_access(const char *method);

/* For ap_http_options. A request that is let through has its struct ap_caller as ap_http_user(). What is changed,
 * and what somebody tried to, goes to the audit log; batches that agents push do not. */
ap_http_authorizer ap_api_authorize;
ap_http_observer ap_api_observe;

/* For ap_server_config; `ctx` is the guard. */
void ap_grpc_authorize(void *ctx, const struct ap_rpc_caller *caller, struct ap_rpc_status *status);

/* Who sent the request: 0; -ENOENT: it shows neither a token nor a session's cookie; -EACCES: one that does not
 * hold. */
int ap_api_identify(struct ap_http_request *req, const struct ap_api *api, struct ap_caller *ret);
/* Adds to the audit log what the request was, how it ended, and what it was done to ("": its path says). */
void ap_api_audit(struct ap_http_request *req, const struct ap_api *api, const char *who,
		  const char *action, const char *target, unsigned int status);

/* What the guard let in and refused, and what the limits cut: for /metrics. */
struct ap_prom; /* http/prometheus.h */
void ap_api_guard_metrics(struct ap_prom *p, const struct ap_http_request *req,
			  const struct ap_api *api);

#endif
