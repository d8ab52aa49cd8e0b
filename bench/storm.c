/* SPDX-License-Identifier: Apache-2.0 */
/* Loads that are hard on a profiler, of a fixed number of operations:  storm KIND THREADS COUNT
 *	switch	pairs of threads hand a byte to and fro over pipes; an operation is one handing over
 *	lock	all threads want one mutex, and who holds it yields its CPU: others run, and wait for it
 *	free	each thread takes and gives back a mutex of its own, which no other wants
 *	call	each thread calls getppid()
 * COUNT is that of all threads together. Prints a JSON line: the operations, how many seconds they took,
 * and the context switches of the process. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 1024 };

struct worker {
	pthread_mutex_t own;
	int in, out; /* ends of two pipes: those to read from and to write to */
	int second;  /* of a pair: it begins with reading */
	long count;
	double from, to; /* when it worked */
	volatile long sink;
} __attribute__((aligned(128)));

static pthread_mutex_t shared = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t begin;

static int pass_on(struct worker *w)
{
	char byte = 'x';

	if (w->second)
		return read(w->in, &byte, 1) == 1 && write(w->out, &byte, 1) == 1;
	return write(w->out, &byte, 1) == 1 && read(w->in, &byte, 1) == 1;
}

static int lock_shared(struct worker *w)
{
	pthread_mutex_lock(&shared);
	w->sink++;
	sched_yield();
	pthread_mutex_unlock(&shared);
	return 1;
}

static int lock_own(struct worker *w)
{
	pthread_mutex_lock(&w->own);
	w->sink++;
	pthread_mutex_unlock(&w->own);
	return 1;
}

static int call(struct worker *w)
{
	(void)w;
	return syscall(SYS_getppid) >= 0;
}

static const struct kind {
	const char *name;
	int (*operation)(struct worker *);
} kinds[] = {{"switch", pass_on}, {"lock", lock_shared}, {"free", lock_own}, {"call", call}};

static const struct kind *kind;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *run(void *arg)
{
	struct worker *w = arg;

	pthread_barrier_wait(&begin);
	w->from = now();
	for (long i = 0; i < w->count; i++)
		if (!kind->operation(w))
			exit(1);
	w->to = now();
	return NULL;
}

static int connect_pair(struct worker *a, struct worker *b)
{
	int to[2], fro[2];

	if (pipe(to) < 0 || pipe(fro) < 0)
		return -1;
	a->out = to[1];
	b->in = to[0];
	b->out = fro[1];
	a->in = fro[0];
	b->second = 1;
	return 0;
}

static long switches(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return r.ru_nvcsw + r.ru_nivcsw;
}

/* From the first thread's begin to the last one's end. */
static double seconds(const struct worker *workers, int threads)
{
	double from = workers[0].from, to = workers[0].to;

	for (int i = 1; i < threads; i++) {
		from = workers[i].from < from ? workers[i].from : from;
		to = workers[i].to > to ? workers[i].to : to;
	}
	return to - from;
}

static int storm(int threads, long count)
{
	static struct worker workers[THREADS_MAX];
	pthread_t ids[THREADS_MAX];
	long before = switches();

	pthread_barrier_init(&begin, NULL, (unsigned int)threads);
	for (int i = 0; i < threads; i++) {
		workers[i].count = count / threads;
		pthread_mutex_init(&workers[i].own, NULL);
		if (i % 2 && connect_pair(&workers[i - 1], &workers[i]) < 0)
			return 1;
	}
	for (int i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, run, &workers[i]))
			return 1;
	for (int i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	printf("{\"operations\":%ld,\"seconds\":%.6f,\"switches\":%ld}\n",
	       count / threads * threads, seconds(workers, threads), switches() - before);
	return 0;
}

int main(int argc, char **argv)
{
	int threads = argc == 4 ? atoi(argv[2]) : 0;

	for (size_t i = 0; argc == 4 && i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(kinds[i].name, argv[1]) == 0)
			kind = &kinds[i];
	if (!kind || threads < 1 || threads > THREADS_MAX ||
	    (kind->operation == pass_on && threads % 2)) {
		fprintf(stderr, "usage: storm switch|lock|free|call THREADS COUNT\n");
		return 2;
	}
	return storm(threads, atol(argv[3]));
}
