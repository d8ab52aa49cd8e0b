/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent's log tells of while it runs: each looks at the daemon and logs what has changed since it looked
 * last. For the program's main thread. */
#ifndef AP_AGENT_WATCH_H
#define AP_AGENT_WATCH_H

#include "agent/daemon.h"

struct ap_watch {
	double cpu_budget; /* percent of a CPU, for messages */
	struct ap_pusher_stats push;
	struct ap_settings_status settings;
	uint32_t stride; /* 1 at first */
};

/* That pushing begins to fail, that it works again, and each time that batches were lost. */
void ap_watch_push(struct ap_watch *w, struct ap_daemon *d);
/* What the aggregator has changed and the end of that, and each change of the sampling rate. */
void ap_watch_settings(struct ap_watch *w, struct ap_daemon *d);

#endif
