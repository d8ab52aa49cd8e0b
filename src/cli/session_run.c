/* SPDX-License-Identifier: Apache-2.0 */
/* The time between the first sample and the last: one loop that waits for signals and, four times a
 * second, turns what the profiler gathered into rows of the one profile. Collecting while processes
 * live names the code of those that will be gone. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>

#include "base/clock.h"
#include "cli/session.h"
#include "profile/merge.h"

#define COLLECT_NS (250 * AP_NSEC_PER_MSEC)

int ap_session_collect(struct ap_session *s, struct ap_profile **ret, struct ap_error *err)
{
	_cleanup_(ap_cleanup_rows) struct ap_rows *rows = NULL;
	int e = ap_profiler_collect(s->profiler, &rows);

	if (e < 0)
		return ap_error_set(err, e, "cannot collect samples: %s", ap_strerror(e));
	*ret = NULL;
	if (rows->rows.n == 0 && rows->syscalls.n == 0)
		return 0;
	return ap_batcher_build(s->batcher, rows, ret, err);
}

static int collect(struct ap_session *s, struct ap_error *err)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *batch = NULL;
	int e = ap_session_collect(s, &batch, err);

	if (e < 0 || !batch)
		return e;
	e = ap_profile_merge(s->profile, batch);
	if (e < 0)
		return ap_error_set(err, e, "cannot keep samples: %s", ap_strerror(e));
	if (ap_profile_bytes(s->profile) > s->set->memory && s->end == AP_SESSION_END_NONE)
		s->end = AP_SESSION_END_MEMORY;
	return 0;
}

/* Ctrl-C in a terminal reaches the command by itself (it is sent by the kernel to the whole
 * foreground group); what another process sends to us alone is passed on. */
static void forward(struct ap_session *s, const struct signalfd_siginfo *i)
{
	if (s->child.pid > 0 && i->ssi_code != SI_KERNEL)
		kill(s->child.pid, (int)i->ssi_signo);
}

static void take_signal(struct ap_session *s, const struct signalfd_siginfo *i)
{
	switch (i->ssi_signo) {
	case SIGCHLD:
		if (ap_child_reap(&s->child) && s->end == AP_SESSION_END_NONE)
			s->end = AP_SESSION_END_TARGET;
		break;
	case SIGINT:
	case SIGTERM:
	case SIGHUP:
		forward(s, i);
		/* A command is left the time to end by itself after the first one. */
		if (s->end != AP_SESSION_END_NONE)
			s->end = AP_SESSION_END_ABORT;
		else if (s->child.pid <= 0 || ++s->interruptions > 1)
			s->end = AP_SESSION_END_SIGNAL;
		break;
	default:
		forward(s, i);
		break;
	}
}

void ap_session_take_signals(struct ap_session *s)
{
	struct signalfd_siginfo i;

	while (read(s->signals, &i, sizeof(i)) == sizeof(i))
		take_signal(s, &i);
}

bool ap_session_aborted(void *session)
{
	struct ap_session *s = session;

	ap_session_take_signals(s);
	return s->end == AP_SESSION_END_ABORT;
}

static uint64_t samples(const struct ap_session *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->profile->samples.n; i++)
		n += s->profile->samples.p[i].count;
	return n;
}

static void progress(struct ap_session *s, uint64_t now, bool end)
{
	unsigned int seconds = (unsigned int)((now - s->start_ns) / AP_NSEC_PER_SEC);
	struct ap_profiler_processes processes;

	if (s->quiet || !ap_terminal_of(STDERR_FILENO).tty)
		return;
	if (end) {
		fputs("\r\033[K", stderr);
	} else if (seconds != s->progress_at) {
		s->progress_at = seconds;
		ap_profiler_processes(s->profiler, &processes);
		fprintf(stderr,
			"\r\033[K%u s  %llu samples  %llu processes  %llu lost  (Ctrl-C ends it)",
			seconds, (unsigned long long)samples(s),
			(unsigned long long)processes.sampled,
			(unsigned long long)ap_ledger_lost(ap_profiler_ledger(s->profiler)));
	}
	fflush(stderr);
}

static void wait_until(struct ap_session *s, uint64_t deadline)
{
	struct pollfd p = {.fd = s->signals, .events = POLLIN};
	uint64_t now = ap_clock_mono_ns();
	struct timespec left = {0};

	if (deadline > now) {
		left.tv_sec = (time_t)((deadline - now) / AP_NSEC_PER_SEC);
		left.tv_nsec = (long)((deadline - now) % AP_NSEC_PER_SEC);
	}
	if (ppoll(&p, 1, &left, NULL) > 0)
		ap_session_take_signals(s);
}

static void check_end(struct ap_session *s, uint64_t now)
{
	if (s->end != AP_SESSION_END_NONE)
		return;
	if (s->set->duration && now - s->start_ns >= s->set->duration)
		s->end = ap_child_reap(&s->child) ? AP_SESSION_END_TARGET : AP_SESSION_END_DURATION;
	else if (!s->command && !ap_profiler_target_alive(s->profiler))
		s->end = AP_SESSION_END_TARGET;
}

int ap_session_run(struct ap_session *s, struct ap_error *err)
{
	uint64_t end = s->set->duration ? s->start_ns + s->set->duration : UINT64_MAX;
	uint64_t next = s->start_ns;
	int e = 0;

	/* Its end may have come before its exec was seen. */
	if (s->command && ap_child_reap(&s->child))
		s->end = AP_SESSION_END_TARGET;
	while (e == 0 && s->end == AP_SESSION_END_NONE) {
		uint64_t now;

		wait_until(s, AP_MIN(next, end));
		now = ap_clock_mono_ns();
		check_end(s, now);
		if (now < next || s->end != AP_SESSION_END_NONE)
			continue;
		next = now + COLLECT_NS;
		e = collect(s, err);
		progress(s, now, false);
	}
	s->end_ns = ap_clock_mono_ns();
	ap_profiler_stop(s->profiler);
	s->stop_ns = ap_clock_mono_ns();
	if (e == 0 && s->end != AP_SESSION_END_ABORT)
		e = collect(s, err);
	progress(s, s->stop_ns, true);
	return e;
}

void ap_session_wait_command(struct ap_session *s)
{
	while (s->child.pid > 0 && s->end != AP_SESSION_END_ABORT)
		wait_until(s, UINT64_MAX);
}
