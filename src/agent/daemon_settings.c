/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdio.h>

#include "agent/daemon_internal.h"
#include "base/clock.h"
#include "base/io.h"

#define ERROR_BYTES 200 /* of what is told to the aggregator */

static void describe_modes(struct ap_agent_status *s, uint32_t modes)
{
	s->n_modes = 0;
	memset(s->modes, 0, sizeof(s->modes));
	for (uint32_t bit = 1; bit && s->n_modes < AP_ARRAY_SIZE(s->modes); bit <<= 1)
		if (modes & bit && ap_mode_name(bit))
			snprintf(s->modes[s->n_modes++], sizeof(s->modes[0]), "%s",
				 ap_mode_name(bit));
}

/* Texts on the wire are UTF-8, and this one may quote anything. */
static void describe_error(struct ap_settings_status *s, const char *error)
{
	snprintf(s->error, sizeof(s->error), "%.*s", ERROR_BYTES, error);
	for (char *p = s->error; *p; p++)
		if (!isascii((unsigned char)*p))
			*p = '?';
}

void ap_daemon_describe_settings(struct ap_daemon *d)
{
	const struct ap_control *c = &d->control;
	struct ap_agent_status *s = &d->meta.status;
	uint32_t modes = c->wanted.modes;
	const char *refused = ap_profiler_refused(d->profiler, &modes);

	describe_modes(s, modes);
	s->frequency_hz = c->wanted.frequency_hz;
	s->stride = d->governor.stride;
	s->settings = (struct ap_settings_status){
		.known = true,
		.accepted = c->limits.accepted,
		.max_frequency_hz = c->limits.max_frequency_hz,
		.max_duration_ns = c->limits.max_duration_ns,
		.version = c->version,
		.remaining_ns = ap_control_remaining(c, ap_clock_boot_ns()),
		.wait_threshold_ns = c->wanted.wait_threshold_ns,
	};
	describe_error(&s->settings, c->error.code ? c->error.msg : refused ? refused : "");
}

void ap_daemon_on_settings(void *ctx, uint64_t version, const struct ap_settings *s)
{
	struct ap_daemon *d = ctx;
	uint64_t one = 1;

	pthread_mutex_lock(&d->lock);
	d->coming = *s;
	d->coming_version = version;
	pthread_mutex_unlock(&d->lock);
	ap_write_all(d->wake_fd, &one, sizeof(one));
}

static bool take_coming(struct ap_daemon *d)
{
	struct ap_settings s;
	uint64_t version, unused;

	if (read(d->wake_fd, &unused, sizeof(unused)) < 0)
		return false;
	pthread_mutex_lock(&d->lock);
	s = d->coming;
	version = d->coming_version;
	pthread_mutex_unlock(&d->lock);
	return ap_control_take(&d->control, version, &s, ap_clock_boot_ns());
}

bool ap_daemon_apply_settings(struct ap_daemon *d, struct ap_error *err)
{
	uint64_t before = d->control.version;
	bool changes = take_coming(d);

	changes |= ap_control_expire(&d->control, ap_clock_boot_ns());
	if (!changes && d->control.version == before)
		return false;
	if (changes && ap_profiler_set(d->profiler, &d->control.wanted, err) < 0) {
		ap_control_fail(&d->control, err);
		ap_profiler_set(d->profiler, &d->control.wanted, err);
	}
	if (changes)
		ap_governor_restart(&d->governor, AP_NSEC_PER_SEC / d->control.wanted.frequency_hz);
	ap_daemon_describe_settings(d);
	return true;
}
