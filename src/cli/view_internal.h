/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of cli/view share. */
#ifndef AP_CLI_VIEW_INTERNAL_H
#define AP_CLI_VIEW_INTERNAL_H

#include "cli/view.h"

/* Processes, threads and services: what those with equal labels did. */
int ap_view_build_groups(enum ap_view view, const struct ap_view_of *of, struct ap_grid *ret);

#endif
