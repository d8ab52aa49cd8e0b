/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/sigbus.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

static struct sigaction earlier;
static uintptr_t page_mask;
static __thread volatile sig_atomic_t guarded, missing;

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	int saved = errno;

	if (guarded && info->si_code == BUS_ADRERR) {
		void *page = (void *)((uintptr_t)info->si_addr & page_mask);

		if (mmap(page, ~page_mask + 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			 -1, 0) == page) {
			missing = 1;
			errno = saved;
			return;
		}
	}
	if (earlier.sa_flags & SA_SIGINFO) {
		earlier.sa_sigaction(sig, info, context);
	} else if (earlier.sa_handler != SIG_DFL && earlier.sa_handler != SIG_IGN) {
		earlier.sa_handler(sig);
	} else {
		struct sigaction fatal = {.sa_handler = SIG_DFL};

		sigaction(SIGBUS, &fatal, NULL);
		raise(SIGBUS);
	}
	errno = saved;
}

static void install(void)
{
	struct sigaction sa = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	page_mask = ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
	sigemptyset(&sa.sa_mask);
	sigaction(SIGBUS, &sa, &earlier);
}

void ap_sigbus_install(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install);
}

void ap_sigbus_begin(void)
{
	missing = 0;
	guarded = 1;
}

bool ap_sigbus_end(void)
{
	guarded = 0;
	return missing;
}
