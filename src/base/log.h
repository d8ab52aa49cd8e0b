/* SPDX-License-Identifier: Apache-2.0 */
/* The programs' log, on stderr: `time level message key=value …` (logfmt) or one JSON object a
 * line. For main.c and the daemons' own threads; libraries return errors instead. */
#ifndef AP_BASE_LOG_H
#define AP_BASE_LOG_H

#include "base/macro.h"

enum ap_log_level { AP_LOG_DEBUG, AP_LOG_INFO, AP_LOG_WARN, AP_LOG_ERROR };
enum ap_log_format { AP_LOG_LOGFMT, AP_LOG_JSON };

void ap_log_setup(const char *program, enum ap_log_level min, enum ap_log_format format);
void ap_log(enum ap_log_level level, const char *fmt, ...) AP_PRINTF(2, 3);

#define ap_debug(...) ap_log(AP_LOG_DEBUG, __VA_ARGS__)
#define ap_info(...)  ap_log(AP_LOG_INFO, __VA_ARGS__)
#define ap_warn(...)  ap_log(AP_LOG_WARN, __VA_ARGS__)
#define ap_err(...)   ap_log(AP_LOG_ERROR, __VA_ARGS__)

#endif
