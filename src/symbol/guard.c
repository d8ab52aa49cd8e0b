/* SPDX-License-Identifier: Apache-2.0 */
/* Signals caused by the code itself arrive in the thread that runs it, so a thread-local says
 * whether it is ours. Leaving abort() by a jump out of its handler is allowed (abort(3)). */
#include "symbol/guard.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#define ALT_STACK_BYTES (64u << 10)
#define STACK_NEAR	(256u << 10) /* faults nearer to the guard's own frame are no overflow */
#define STACK_FAR	(1ull << 30)

struct guard {
	sigjmp_buf out;
	uintptr_t frame; /* where the stack stood at the start */
	volatile sig_atomic_t missing;
};

static const int signals[] = {SIGBUS, SIGABRT, SIGSEGV};
static struct sigaction earlier[AP_ARRAY_SIZE(signals)];
static uintptr_t page_mask;
static __thread struct guard *current;

static bool supply_page(const siginfo_t *info)
{
	void *page = (void *)((uintptr_t)info->si_addr & page_mask);

	return info->si_code == BUS_ADRERR &&
	       mmap(page, ~page_mask + 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		    0) == page;
}

static bool is_overflow(const struct guard *g, const siginfo_t *info)
{
	uintptr_t at = (uintptr_t)info->si_addr;

	return at < g->frame && g->frame - at > STACK_NEAR && g->frame - at < STACK_FAR;
}

static void pass_on(int sig, siginfo_t *info, void *context)
{
	size_t i = 0;

	while (signals[i] != sig)
		i++;
	if (earlier[i].sa_flags & SA_SIGINFO) {
		earlier[i].sa_sigaction(sig, info, context);
	} else if (earlier[i].sa_handler != SIG_DFL && earlier[i].sa_handler != SIG_IGN) {
		earlier[i].sa_handler(sig);
	} else {
		struct sigaction fatal = {.sa_handler = SIG_DFL};

		sigaction(sig, &fatal, NULL);
		raise(sig);
	}
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	struct guard *g = current;
	int saved = errno;

	if (g && sig == SIGBUS && supply_page(info)) {
		g->missing = 1;
		errno = saved;
		return;
	}
	if (g && (sig == SIGABRT || (sig == SIGSEGV && is_overflow(g, info)))) {
		current = NULL;
		siglongjmp(g->out, 1);
	}
	pass_on(sig, info, context);
	errno = saved;
}

static void install(void)
{
	struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	page_mask = ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < AP_ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &sa, &earlier[i]);
}

int ap_guard_run(void (*fn)(void *arg), void *arg)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	_cleanup_free_ void *stack = malloc(ALT_STACK_BYTES);
	stack_t alt = {.ss_sp = stack, .ss_size = ALT_STACK_BYTES}, before;
	struct guard g = {.frame = (uintptr_t)__builtin_frame_address(0)};
	volatile int err;

	if (!stack)
		return -ENOMEM;
	pthread_once(&once, install);
	if (sigaltstack(&alt, &before) < 0)
		return -errno;
	err = -ECANCELED;
	if (sigsetjmp(g.out, 1) == 0) {
		current = &g;
		fn(arg);
		current = NULL;
		err = g.missing ? -EFAULT : 0;
	}
	sigaltstack(&before, NULL);
	return err;
}
