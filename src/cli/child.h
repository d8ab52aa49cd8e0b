/* SPDX-License-Identifier: Apache-2.0 */
/* The command that `record` runs: forked and held before its exec, so that it can be made a target
 * first and not one of its instructions goes unprofiled. */
#ifndef AP_CLI_CHILD_H
#define AP_CLI_CHILD_H

#include <pthread.h>
#include <signal.h>
#include <sys/types.h>

#include "base/error.h"

struct ap_child {
	pid_t pid;   /* 0: there is none, or it has been reaped */
	int barrier; /* a byte here lets it exec */
	int failure; /* it writes its errno here if the exec fails; closed by the exec */
	int status;  /* as of waitpid(), once reaped */
	bool ran;    /* its exec succeeded */
	uint64_t
		ended_ns; /* CLOCK_MONOTONIC, once reaped: when it ended, whenever that was noticed */
	pthread_t watcher; /* waits for that; while `watched` */
	bool watched;
};

#define AP_CHILD_INIT {.barrier = -1, .failure = -1}

/* Forks; `argv` is looked up in PATH. It gets the signal mask `mask` and SIGPIPE's default back. */
int ap_child_spawn(struct ap_child *c, char *const *argv, const sigset_t *mask,
		   struct ap_error *err);
/* The file that execvp() will run for `name`: the caller's to free; NULL: there is none. */
char *ap_child_find(const char *name);
/* Lets it exec, and waits until it has: else its errno. */
int ap_child_release(struct ap_child *c, const char *name, struct ap_error *err);
/* Takes note of its end if it has ended: true. */
bool ap_child_reap(struct ap_child *c);
/* Ends it, if it still runs: SIGTERM, and SIGKILL `grace_ns` later; waits for it. */
void ap_child_end(struct ap_child *c, uint64_t grace_ns);
/* What a shell would say of it: its exit status, or 128 + the signal's number. */
int ap_child_exit_status(const struct ap_child *c);

#endif
