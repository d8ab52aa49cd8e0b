/* SPDX-License-Identifier: Apache-2.0 */
/* The data folder, whatever the driver: it is one aggregator's alone, and knows its writer id.
 * Errors fill `err`. */
#ifndef AP_AGGREGATOR_STORE_FOLDER_H
#define AP_AGGREGATOR_STORE_FOLDER_H

#include "base/error.h"

/* Makes the folder where it does not exist and locks it: a descriptor to keep open. -EBUSY (another
 * process has it, which the message names), -EACCES and the like. */
int ap_folder_lock(const char *folder, int *ret_fd, struct ap_error *err);

/* The writer id in the folder, chosen at random the first time: 1 … AP_SEGMENT_WRITER_MAX. */
int ap_folder_writer(const char *folder, uint32_t *ret, struct ap_error *err);

/* The number of the last session of inserts into a server (server_insert.c); even: it is over, or there was none. */
int ap_folder_session(const char *folder, uint64_t *ret, struct ap_error *err);
/* It is on disk when this returns 0. */
int ap_folder_set_session(const char *folder, uint64_t number, struct ap_error *err);

#endif
