/* SPDX-License-Identifier: Apache-2.0 */
/* Raw stacks to the stacks of a profile. Every distinct place of a batch is collected first, so
 * that a file is asked once for all of its addresses; then stacks are put together from what was
 * found. */
#ifndef AP_AGENT_FRAMES_H
#define AP_AGENT_FRAMES_H

#include "agent/rows.h"
#include "profile/profile.h"
#include "symbol/symbolizer.h"

struct ap_frames;

/* What to ask the symboliser for a file of `rows` by; `path` is the query's. */
void ap_frames_query(const struct ap_rows *rows, uint32_t file, char path[32],
		     struct ap_symbol_file *ret);

/* Names the places of all stacks in `rows` and adds them to `p`; all three must outlive it. `s`
 * NULL: nothing is named. 0 or -ENOMEM. */
int ap_frames_new(const struct ap_rows *rows, struct ap_symbolizer *s, struct ap_profile *p,
		  struct ap_frames **ret);
void ap_frames_free(struct ap_frames *f);
AP_DEFINE_CLEANUP(frames, struct ap_frames, ap_frames_free)

/* The profile's id of a raw stack: outermost first, user frames, then kernel frames, inlined
 * functions each a frame. A cut kernel stack counts as truncated. 0 or -ENOMEM. */
int ap_frames_stack(struct ap_frames *f, uint32_t raw_stack, uint32_t *ret);

#endif
