/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/child.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/io.h"

/* In the child: says that it is there, waits at the barrier, then becomes the command. */
static void __attribute__((noreturn)) run(char *const *argv, int barrier, int failure,
					  const sigset_t *mask)
{
	char go;
	int e = 0;

	if (write(failure, &e, sizeof(e)) != sizeof(e) || read(barrier, &go, 1) != 1)
		_exit(127);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(argv[0], argv);
	e = errno;
	if (write(failure, &e, sizeof(e)) < 0)
		_exit(126);
	_exit(127);
}

static int wait_ready(int fd)
{
	int ready;
	ssize_t n;

	do {
		n = read(fd, &ready, sizeof(ready));
	} while (n < 0 && errno == EINTR);
	return n == sizeof(ready) ? 0 : -ECHILD;
}

int ap_child_spawn(struct ap_child *c, char *const *argv, const sigset_t *mask,
		   struct ap_error *err)
{
	int barrier[2], failure[2];
	pid_t pid;

	if (pipe2(barrier, O_CLOEXEC) < 0)
		return ap_error_set(err, -errno, "cannot make a pipe: %s", ap_strerror(errno));
	if (pipe2(failure, O_CLOEXEC) < 0) {
		close(barrier[0]);
		close(barrier[1]);
		return ap_error_set(err, -errno, "cannot make a pipe: %s", ap_strerror(errno));
	}
	pid = fork();
	if (pid == 0) {
		close(barrier[1]);
		close(failure[0]);
		run(argv, barrier[0], failure[1], mask);
	}
	close(barrier[0]);
	close(failure[1]);
	c->barrier = barrier[1];
	c->failure = failure[0];
	if (pid < 0)
		return ap_error_set(err, -errno, "cannot fork: %s", ap_strerror(errno));
	c->pid = pid;
	/* What it does up to the barrier is its own affair, and over before anybody counts. */
	if (wait_ready(c->failure) < 0)
		return ap_error_set(err, -ECHILD, "the process for the command ended at once");
	return 0;
}

char *ap_child_find(const char *name)
{
	struct ap_str rest = ap_str_of(getenv("PATH"));

	if (strchr(name, '/'))
		return access(name, X_OK) == 0 ? ap_str_dup(ap_str_of(name)) : NULL;
	while (rest.n) {
		struct ap_str dir = ap_str_cut(&rest, ':');
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%.*s/%s", AP_STR_ARG(dir.n ? dir : AP_STR(".")),
			 name);
		if (access(path, X_OK) == 0)
			return ap_str_dup(ap_str_of(path));
	}
	return NULL;
}

/* The loop that reaps the child has more to do than to wait for it. */
static void *watch(void *arg)
{
	struct ap_child *c = arg;
	siginfo_t info;

	while (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
	c->ended_ns = ap_clock_mono_ns();
	return NULL;
}

/* It has been waited for. */
static void reaped(struct ap_child *c)
{
	if (c->watched)
		pthread_join(c->watcher, NULL);
	else
		c->ended_ns = ap_clock_mono_ns();
	c->watched = false;
	c->pid = 0;
}

int ap_child_release(struct ap_child *c, const char *name, struct ap_error *err)
{
	int e = 0;
	ssize_t n;

	if (ap_write_all(c->barrier, "", 1) < 0)
		return ap_error_set(err, -EPIPE, "'%s' ended before it was started", name);
	do {
		n = read(c->failure, &e, sizeof(e));
	} while (n < 0 && errno == EINTR);
	close(AP_TAKE_FD(c->barrier));
	close(AP_TAKE_FD(c->failure));
	if (n == sizeof(e))
		return ap_error_set(err, -e, "cannot run '%s': %s", name, ap_strerror(e));
	c->ran = true;
	c->watched = pthread_create(&c->watcher, NULL, watch, c) == 0;
	return 0;
}

bool ap_child_reap(struct ap_child *c)
{
	if (c->pid <= 0 || waitpid(c->pid, &c->status, WNOHANG) != c->pid)
		return false;
	reaped(c);
	return true;
}

void ap_child_end(struct ap_child *c, uint64_t grace_ns)
{
	uint64_t deadline = ap_clock_mono_ns() + grace_ns;
	struct pollfd p = {.events = POLLIN};

	if (c->barrier >= 0)
		close(AP_TAKE_FD(c->barrier));
	if (c->failure >= 0)
		close(AP_TAKE_FD(c->failure));
	if (c->pid <= 0)
		return;
	p.fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	kill(c->pid, SIGTERM);
	kill(c->pid, SIGCONT);
	while (p.fd >= 0) {
		uint64_t now = ap_clock_mono_ns();
		uint64_t left_ms = now < deadline ? (deadline - now) / AP_NSEC_PER_MSEC + 1 : 0;

		if (poll(&p, 1, (int)left_ms) > 0 || left_ms == 0)
			break;
	}
	if (!ap_child_reap(c)) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, &c->status, 0);
		reaped(c);
	}
	if (p.fd >= 0)
		close(p.fd);
}

int ap_child_exit_status(const struct ap_child *c)
{
	return WIFSIGNALED(c->status) ? 128 + WTERMSIG(c->status) : WEXITSTATUS(c->status);
}
