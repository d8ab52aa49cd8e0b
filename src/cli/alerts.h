/* SPDX-License-Identifier: Apache-2.0 */
/* How `aperture alerts` shows an aggregator's answers; see alerts.c for the command. */
#ifndef AP_CLI_ALERTS_H
#define AP_CLI_ALERTS_H

#include "cli/remote.h"

/* A line per rule, and per silence. */
void ap_alerts_put_list(struct ap_buf *out, const json_t *answer);
/* A line per change of state, newest first. */
void ap_alerts_put_history(struct ap_buf *out, const json_t *answer);
/* What would have happened, and how often. */
void ap_alerts_put_dry_run(struct ap_buf *out, const json_t *answer);

#endif
