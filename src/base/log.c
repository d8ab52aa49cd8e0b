/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* Written once by main() before any thread starts. */
static const char *log_program = "aperture";
static enum ap_log_level log_min = AP_LOG_INFO;
static enum ap_log_format log_format = AP_LOG_LOGFMT;

void ap_log_setup(const char *program, enum ap_log_level min, enum ap_log_format format)
{
	log_program = program;
	log_min = min;
	log_format = format;
}

/* Quotes `in` for logfmt and JSON alike: both escape the same characters. */
static void quote(char *out, size_t cap, const char *in)
{
	size_t n = 0;

	out[n++] = '"';
	for (; *in && n + 8 < cap; in++) {
		unsigned char c = (unsigned char)*in;

		if (c == '"' || c == '\\') {
			out[n++] = '\\';
			out[n++] = (char)c;
		} else if (c < 0x20) {
			n += (size_t)snprintf(out + n, cap - n, "\\u%04x", c);
		} else {
			out[n++] = (char)c;
		}
	}
	out[n++] = '"';
	out[n] = '\0';
}

void ap_log(enum ap_log_level level, const char *fmt, ...)
{
	char msg[1024], quoted[sizeof(msg) * 2], line[sizeof(quoted) + 128], when[40];
	struct timespec ts;
	struct tm tm;
	size_t n;
	va_list ap;
	int len;

	if (level < log_min)
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	quote(quoted, sizeof(quoted), msg);
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when + n, sizeof(when) - n, ".%03ldZ", ts.tv_nsec / 1000000);
	len = snprintf(
		line, sizeof(line),
		log_format == AP_LOG_JSON
			? "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"msg\":%s}\n"
			: "time=%s level=%s program=%s msg=%s\n",
		when, level_names[level], log_program, quoted);
	/* One write per line, so that threads do not mix theirs. */
	if (len > 0 && write(STDERR_FILENO, line, (size_t)len) < 0)
		return;
}
