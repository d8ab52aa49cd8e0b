/* SPDX-License-Identifier: Apache-2.0 */
/* aperture-agent join: from a join string to a configuration. */
#ifndef AP_AGENT_JOIN_H
#define AP_AGENT_JOIN_H

/* `operand` must be "join". Reads the join string from standard input, takes the CA from the aggregator, and writes
 * ca.pem, token and the section agent: of aperture.yaml into `config_dir`. Exit status. */
int ap_agent_join(const char *operand, const char *config_dir);

#endif
