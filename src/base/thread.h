/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of this process that a library started. */
#ifndef AP_BASE_THREAD_H
#define AP_BASE_THREAD_H

/* Sets the nice value (setpriority(2), which holds for a thread alone) of this process's threads of that name
 * (at most 15 bytes). Raising it needs no privilege. Returns how many there were, or -errno: -EACCES where it
 * would be lowered. */
int ap_thread_nice(const char *name, int nice);

#endif
