/* SPDX-License-Identifier: Apache-2.0 */
/* Where in a program a stack is. All programs wait in the same few functions of the kernel, which the same
 * few of the C library or of a language's runtime have called; what tells a user something is the function
 * that called those. So of the frames that say most, the innermost is a stack's place. */
#ifndef AP_PROFILE_PLACE_H
#define AP_PROFILE_PLACE_H

#include "profile/profile.h"

/* How much a frame says of the program, ascending. */
enum ap_place_rank {
	AP_PLACE_KERNEL,
	AP_PLACE_LIBC,	  /* the C library, the dynamic linker, the vDSO; what starts a thread */
	AP_PLACE_RUNTIME, /* what languages and event loops lock, wait and read with */
	AP_PLACE_PROGRAM,
};

/* By the function's name ("" = unknown), its module (the base name of the file) and its kind. Code that is
 * linked into the program is known by its name alone. */
enum ap_place_rank ap_place_rank(struct ap_str name, struct ap_str module, enum ap_frame_kind kind);

/* The place of a profile's stack: a frame, and what it ranks. 0: the stack has no frame. */
uint32_t ap_place_of(const struct ap_profile *p, uint32_t stack, enum ap_place_rank *ret_rank);

#endif
