/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AP_AGGREGATOR_PROCESS_H
#define AP_AGGREGATOR_PROCESS_H

/* Before any thread begins: raises the limit of open files to what is permitted, and keeps the heap in few pieces. */
void ap_process_prepare(void);

#endif
