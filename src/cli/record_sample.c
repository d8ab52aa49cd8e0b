/* SPDX-License-Identifier: Apache-2.0 */
/* The time between the first sample and the last: one loop that waits for signals and, four times a
 * second, turns what the profiler gathered into rows of the one profile. Collecting while processes
 * live names the code of those that will be gone. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>

#include "base/clock.h"
#include "cli/record.h"
#include "profile/merge.h"

#define COLLECT_NS (250 * AP_NSEC_PER_MSEC)

static int collect(struct ap_recording *r, struct ap_error *err)
{
	_cleanup_(ap_cleanup_rows) struct ap_rows *rows = NULL;
	_cleanup_(ap_cleanup_profile) struct ap_profile *batch = NULL;
	int e = ap_profiler_collect(r->profiler, &rows);

	if (e < 0)
		return ap_error_set(err, e, "cannot collect samples: %s", ap_strerror(e));
	if (rows->rows.n == 0 && rows->syscalls.n == 0)
		return 0;
	e = ap_batcher_build(r->batcher, rows, &batch, err);
	if (e < 0)
		return e;
	e = ap_profile_merge(r->profile, batch);
	if (e < 0)
		return ap_error_set(err, e, "cannot keep samples: %s", ap_strerror(e));
	if (ap_profile_bytes(r->profile) > r->set->memory && r->end == AP_RECORD_END_NONE)
		r->end = AP_RECORD_END_MEMORY;
	return 0;
}

/* Ctrl-C in a terminal reaches the command by itself (it is sent by the kernel to the whole
 * foreground group); what another process sends to us alone is passed on. */
static void forward(struct ap_recording *r, const struct signalfd_siginfo *s)
{
	if (r->child.pid > 0 && s->ssi_code != SI_KERNEL)
		kill(r->child.pid, (int)s->ssi_signo);
}

static void take_signal(struct ap_recording *r, const struct signalfd_siginfo *s)
{
	switch (s->ssi_signo) {
	case SIGCHLD:
		if (ap_child_reap(&r->child) && r->end == AP_RECORD_END_NONE)
			r->end = AP_RECORD_END_TARGET;
		break;
	case SIGINT:
	case SIGTERM:
	case SIGHUP:
		forward(r, s);
		/* A command is left the time to end by itself after the first one. */
		if (r->end != AP_RECORD_END_NONE)
			r->end = AP_RECORD_END_ABORT;
		else if (r->child.pid <= 0 || ++r->interruptions > 1)
			r->end = AP_RECORD_END_SIGNAL;
		break;
	default:
		forward(r, s);
		break;
	}
}

static void take_signals(struct ap_recording *r)
{
	struct signalfd_siginfo s;

	while (read(r->signals, &s, sizeof(s)) == sizeof(s))
		take_signal(r, &s);
}

bool ap_record_aborted(void *recording)
{
	struct ap_recording *r = recording;

	take_signals(r);
	return r->end == AP_RECORD_END_ABORT;
}

static uint64_t samples(const struct ap_recording *r)
{
	uint64_t n = 0;

	for (size_t i = 0; i < r->profile->samples.n; i++)
		n += r->profile->samples.p[i].count;
	return n;
}

static void progress(struct ap_recording *r, uint64_t now, bool end)
{
	unsigned int seconds = (unsigned int)((now - r->start_ns) / AP_NSEC_PER_SEC);
	struct ap_profiler_processes processes;

	if (r->set->quiet || !ap_terminal_of(STDERR_FILENO).tty)
		return;
	if (end) {
		fputs("\r\033[K", stderr);
	} else if (seconds != r->progress_at) {
		r->progress_at = seconds;
		ap_profiler_processes(r->profiler, &processes);
		fprintf(stderr,
			"\r\033[K%u s  %llu samples  %llu processes  %llu lost  (Ctrl-C ends it)",
			seconds, (unsigned long long)samples(r),
			(unsigned long long)processes.sampled,
			(unsigned long long)ap_ledger_lost(ap_profiler_ledger(r->profiler)));
	}
	fflush(stderr);
}

static void wait_until(struct ap_recording *r, uint64_t deadline)
{
	struct pollfd p = {.fd = r->signals, .events = POLLIN};
	uint64_t now = ap_clock_mono_ns();
	struct timespec left = {0};

	if (deadline > now) {
		left.tv_sec = (time_t)((deadline - now) / AP_NSEC_PER_SEC);
		left.tv_nsec = (long)((deadline - now) % AP_NSEC_PER_SEC);
	}
	if (ppoll(&p, 1, &left, NULL) > 0)
		take_signals(r);
}

static void check_end(struct ap_recording *r, uint64_t now)
{
	if (r->end != AP_RECORD_END_NONE)
		return;
	if (r->set->duration && now - r->start_ns >= r->set->duration)
		r->end = ap_child_reap(&r->child) ? AP_RECORD_END_TARGET : AP_RECORD_END_DURATION;
	else if (!r->command && !ap_profiler_target_alive(r->profiler))
		r->end = AP_RECORD_END_TARGET;
}

int ap_record_sample(struct ap_recording *r, struct ap_error *err)
{
	uint64_t end = r->set->duration ? r->start_ns + r->set->duration : UINT64_MAX;
	uint64_t next = r->start_ns;
	int e = 0;

	/* Its end may have come before its exec was seen. */
	if (r->command && ap_child_reap(&r->child))
		r->end = AP_RECORD_END_TARGET;
	while (e == 0 && r->end == AP_RECORD_END_NONE) {
		uint64_t now;

		wait_until(r, AP_MIN(next, end));
		now = ap_clock_mono_ns();
		check_end(r, now);
		if (now < next || r->end != AP_RECORD_END_NONE)
			continue;
		next = now + COLLECT_NS;
		e = collect(r, err);
		progress(r, now, false);
	}
	ap_profiler_stop(r->profiler);
	r->stop_ns = ap_clock_mono_ns();
	if (e == 0 && r->end != AP_RECORD_END_ABORT)
		e = collect(r, err);
	progress(r, r->stop_ns, true);
	return e;
}

void ap_record_wait_command(struct ap_recording *r)
{
	while (r->child.pid > 0 && r->end != AP_RECORD_END_ABORT)
		wait_until(r, UINT64_MAX);
}
