/* SPDX-License-Identifier: Apache-2.0 */
/* A call tree as an aggregator answers it in JSON (FlameGraph and FunctionGraph in its OpenAPI file). */
#ifndef AP_CLI_REMOTE_TREE_H
#define AP_CLI_REMOTE_TREE_H

#include <jansson.h>

#include "profile/tree.h"

/* Whatever the answer holds, the tree is one: -EPROTO where its columns are not. -ENOMEM. */
int ap_remote_tree(const json_t *answer, struct ap_tree **ret);

#endif
