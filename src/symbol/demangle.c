/* SPDX-License-Identifier: Apache-2.0 */
/* D's names are read by libiberty, which bounds nothing that it does. Where a guess fails it makes the
 * same one again at each level further out, and each back reference may double the text: 108 bytes
 * took 7 s, 129 bytes 290 MB. Nor can it be told to stop. But it stops where the name ends: so when
 * its time is over, or it asks for more memory than a name is worth, the name is overwritten with
 * zeros under its hands, in a copy that is ours. Every function of it that is under way finds the end
 * of the name then, and returns; what it had checked before stays within the copy.
 *
 * Its allocator is ours as well (xmalloc.o of libiberty.a is not linked), since its own ends the
 * process when there is no memory. The guard does for that, and for a stack that is too small. */
#include "symbol/demangle.h"

#include <libiberty/demangle.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "symbol/guard.h"
#include "symbol/symbolizer.h"

#define TIME_NS	   10000000 /* CPU time; the longest real names take 0.1 ms */
#define MEMORY_MAX (4u << 20)

/* A name that is being read. */
struct reading {
	char name[AP_DEMANGLE_NAME_MAX + 1];
	size_t allocated;
	volatile sig_atomic_t ended; /* early */
	char *ret;
};

static __thread struct reading *current;

static void end_name(struct reading *r)
{
	volatile char *p = r->name;

	r->ended = 1;
	for (size_t i = 0; i < sizeof(r->name); i++)
		p[i] = 0;
}

void *xrealloc(void *p, size_t n)
{
	struct reading *r = current;

	if (r && n > MEMORY_MAX - AP_MIN(r->allocated, (size_t)MEMORY_MAX))
		end_name(r);
	else if (r)
		r->allocated += n;
	p = realloc(p, AP_MAX(n, (size_t)1));
	if (!p)
		abort();
	return p;
}

void *xmalloc(size_t n)
{
	return xrealloc(NULL, n);
}

static void on_timer(int sig)
{
	if (current)
		end_name(current);
}

static void install(void)
{
	struct sigaction sa = {.sa_handler = on_timer, .sa_flags = SA_RESTART};

	sigemptyset(&sa.sa_mask);
	sigaction(SIGVTALRM, &sa, NULL);
}

/* Of this thread's CPU time, which ends the name that it reads. */
static int start_timer(timer_t *ret)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGVTALRM};
	const struct itimerspec when = {.it_value = {.tv_nsec = TIME_NS}};
	int err;

	pthread_once(&once, install);
	event._sigev_un._tid = gettid();
	if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, ret) < 0)
		return -errno;
	err = timer_settime(*ret, 0, &when, NULL) < 0 ? -errno : 0;
	if (err < 0)
		timer_delete(*ret);
	return err;
}

static void read_guarded(void *arg)
{
	struct reading *r = arg;

	r->ret = dlang_demangle(r->name, 0);
}

static int read_name(struct reading *r)
{
	sigset_t timers, before;
	timer_t timer;
	int err;

	sigemptyset(&timers);
	sigaddset(&timers, SIGVTALRM);
	pthread_sigmask(SIG_UNBLOCK, &timers, &before);
	err = start_timer(&timer);
	if (err == 0) {
		current = r;
		err = ap_guard_run(read_guarded, r);
		timer_delete(timer);
		current = NULL;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

/* Where the name of the function begins to which the code jumps that a virtual call of an interface finds:
 * "_DTi16_D4main3fooFiZi". The name itself of what is no such code. */
static const char *function_of(const char *name)
{
	const char *p = name + 3;

	if (strncmp(name, "_DT", 3) != 0)
		return name;
	p += *p == 'i';
	p += strspn(p, "0123456789");
	return strncmp(p, "_D", 2) == 0 ? p : name;
}

int ap_demangle_d(const char *name, char **ret)
{
	/* After a full stop, which no D name has: which part or copy the compiler made. */
	const char *function = function_of(name), *copy = name + strcspn(name, ".");
	_cleanup_free_ char *text = NULL;
	struct reading r;
	char *full;
	int err;

	if (strncmp(name, "_D", 2) != 0 || strlen(name) > AP_DEMANGLE_NAME_MAX)
		return -ENOENT;
	memset(&r, 0, sizeof(r));
	memcpy(r.name, function, (size_t)(copy - function));
	err = read_name(&r);
	text = r.ret;
	if (err < 0 || r.ended)
		return err == -EAGAIN || err == -ENOMEM ? err : -ETIME;
	if (!text || strlen(text) + AP_DEMANGLE_NAME_MAX > AP_SYMBOL_TEXT_MAX)
		return -ENOENT;
	if (asprintf(&full, *copy ? "%s%s [clone %s]" : "%s%s", function > name ? "thunk to " : "",
		     text, copy) < 0)
		return -ENOMEM;
	*ret = full;
	return 0;
}
