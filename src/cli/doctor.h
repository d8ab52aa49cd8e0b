/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `aperture doctor` share: a list of findings. */
#ifndef AP_CLI_DOCTOR_H
#define AP_CLI_DOCTOR_H

#include "base/arena.h"
#include "base/macro.h"
#include "base/vec.h"

enum ap_finding_status {
	AP_FINDING_OK,
	AP_FINDING_WARN, /* works, with less */
	AP_FINDING_FAIL, /* this part does not work */
};

struct ap_finding {
	const char *group, *name;
	enum ap_finding_status status;
	char *detail; /* what is so */
	char *remedy; /* what to do about it: a command where there is one; NULL: nothing */
};

struct ap_doctor {
	AP_VEC(struct ap_finding) findings;
	struct ap_arena arena; /* holds the texts */
	const char *group;     /* of the findings that are being added */
	const char *exe;       /* this program's path, for remedies */
	bool records;	       /* the profiler could be opened */
};

/* Adds a finding. `remedy` may be NULL. */
void ap_doctor_add(struct ap_doctor *d, const char *name, enum ap_finding_status status,
		   const char *remedy, const char *fmt, ...) AP_PRINTF(5, 6);

void ap_doctor_check_permissions(struct ap_doctor *d);
void ap_doctor_check_kernel(struct ap_doctor *d);
void ap_doctor_check_host(struct ap_doctor *d);

#endif
