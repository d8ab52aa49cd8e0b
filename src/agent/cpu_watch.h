/* SPDX-License-Identifier: Apache-2.0 */
/* Follows CPUs that come and go: opens the side-band and, once it is to sample, the sampling event of each
 * CPU that is online, and ends those of a CPU that left. One thread at a time. */
#ifndef AP_AGENT_CPU_WATCH_H
#define AP_AGENT_CPU_WATCH_H

#include "agent/capture.h"
#include "agent/process.h"

#define AP_CPU_LIST_BYTES 512

struct ap_cpu_watch {
	struct ap_capture *capture; /* all three are borrowed */
	struct ap_sideband *sideband;
	struct ap_process_table *processes;
	bool sampling; /* the sampling events too: set it, then ap_cpu_watch_all() */
	char online
		[AP_CPU_LIST_BYTES]; /* internal: the CPUs that are watched, as the kernel lists them */
};

/* Opens what is missing on any CPU: 0, or the error of the first that cannot be watched. */
int ap_cpu_watch_all(struct ap_cpu_watch *w);
/* Looks whether the CPUs are others than the last time; cheap where they are not. What processes did on a
 * CPU that nobody watched is not known: they are read again. */
int ap_cpu_watch_update(struct ap_cpu_watch *w);

#endif
