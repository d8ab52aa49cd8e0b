/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the demo's services from its own folder, each as the leader of a process group of its own
 * (which names its service), and ends them when it is told to, or with it. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const services[] = {"checkout", "search", "thumbnailer"};
#define SERVICES (sizeof(services) / sizeof(services[0]))

static pid_t start(const char *folder, const char *service, pid_t parent, const sigset_t *mask)
{
	char path[PATH_MAX];
	pid_t pid;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, service) >= sizeof(path))
		return -1;
	pid = fork();
	if (pid != 0)
		return pid;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execl(path, path, (char *)NULL);
	fprintf(stderr, "aperture-demo: cannot run %s: %s\n", path, strerror(errno));
	_exit(127);
}

static void end(pid_t *pids)
{
	for (size_t i = 0; i < SERVICES; i++) {
		if (pids[i] > 0)
			kill(pids[i], SIGTERM);
	}
	for (size_t i = 0; i < SERVICES; i++) {
		if (pids[i] > 0)
			waitpid(pids[i], NULL, 0);
	}
}

/* Waits for a signal; a service that ends by itself is an error. */
static int serve(pid_t *pids, const sigset_t *set)
{
	int sig = 0;

	while (sig != SIGTERM && sig != SIGINT && sig != SIGHUP) {
		pid_t gone;

		sigwait(set, &sig);
		gone = sig == SIGCHLD ? waitpid(-1, NULL, WNOHANG) : 0;
		for (size_t i = 0; gone > 0 && i < SERVICES; i++) {
			if (pids[i] != gone)
				continue;
			pids[i] = 0;
			fprintf(stderr, "aperture-demo: %s ended\n", services[i]);
			return 1;
		}
	}
	return 0;
}

int main(void)
{
	pid_t pids[SERVICES] = {0}, self = getpid();
	char folder[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", folder, sizeof(folder) - 1);
	sigset_t set, old;
	int status = 0;

	folder[n > 0 ? n : 0] = '\0';
	if (strrchr(folder, '/'))
		*strrchr(folder, '/') = '\0';
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	for (size_t i = 0; i < SERVICES && status == 0; i++) {
		pids[i] = start(folder, services[i], self, &old);
		status = pids[i] < 0;
	}
	if (status == 0)
		status = serve(pids, &set);
	end(pids);
	return status;
}
