/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that want the same locks of the kernel.
 *
 *	contend storm THREADS TURNS	each maps and unmaps memory of the one process, so many times; begins at a
 *					line from the standard input, and ends at another
 *	contend hold MS TURNS FILE	one thread writes to the file from memory whose page comes MS late, and so
 *					has its lock for that long; meanwhile another, "waiter", writes to it too
 *
 * `hold` prints how many nanoseconds the waiter has spent in those writes, and how many of them there were. */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static int turns, file;
static char *page;
static pthread_barrier_t begin_hold, begin_want, end;
static unsigned long long waited;

static unsigned long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long long)t.tv_sec * 1000000000 + (unsigned long long)t.tv_nsec;
}

static void *map_and_unmap(void *unused)
{
	for (int i = 0; i < turns; i++) {
		char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);

		if (p == MAP_FAILED)
			err(1, "mmap");
		p[0] = p[2 * PAGE] = 1;
		munmap(p, 4 * PAGE);
	}
	return unused;
}

static void storm(int n)
{
	pthread_t *threads = calloc((size_t)n, sizeof(*threads));

	if (getchar() == EOF)
		exit(1);
	for (int i = 0; i < n; i++)
		pthread_create(&threads[i], NULL, map_and_unmap, NULL);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	puts("done");
	fflush(stdout);
	getchar();
}

static void *hold(void *unused)
{
	pthread_setname_np(pthread_self(), "holder");
	for (int i = 0; i < turns; i++) {
		pthread_barrier_wait(&begin_hold);
		if (pwrite(file, page, 1, 0) != 1)
			err(1, "write");
		pthread_barrier_wait(&end);
	}
	return unused;
}

static __attribute__((noinline)) void want_file(void)
{
	unsigned long long since = now();

	if (pwrite(file, "x", 1, 0) != 1)
		err(1, "write");
	waited += now() - since;
}

static void *want(void *unused)
{
	pthread_setname_np(pthread_self(), "waiter");
	for (int i = 0; i < turns; i++) {
		pthread_barrier_wait(&begin_want);
		want_file();
		pthread_barrier_wait(&end);
	}
	return unused;
}

/* Faults in the page wait until they are served. */
static int open_faults(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	range.range.start = (unsigned long)page;
	range.range.len = PAGE;
	if (fd < 0 || page == MAP_FAILED || ioctl(fd, UFFDIO_API, &api) < 0 ||
	    ioctl(fd, UFFDIO_REGISTER, &range) < 0)
		err(1, "userfaultfd");
	return fd;
}

static void serve(int faults, unsigned int ms)
{
	static char zeros[PAGE];
	struct uffdio_copy copy = {
		.dst = (unsigned long)page, .src = (unsigned long)zeros, .len = PAGE};
	struct uffd_msg m;

	for (int i = 0; i < turns; i++) {
		madvise(page, PAGE, MADV_DONTNEED);
		pthread_barrier_wait(&begin_hold);
		if (read(faults, &m, sizeof(m)) != sizeof(m)) /* the holder has the lock */
			err(1, "userfaultfd");
		pthread_barrier_wait(&begin_want);
		usleep(ms * 1000);
		if (ioctl(faults, UFFDIO_COPY, &copy) < 0)
			err(1, "UFFDIO_COPY");
		pthread_barrier_wait(&end);
	}
}

static void hold_file(unsigned int ms, const char *path)
{
	int faults = open_faults();
	pthread_t holder, waiter;

	file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (file < 0)
		err(1, "%s", path);
	pthread_barrier_init(&begin_hold, NULL, 2);
	pthread_barrier_init(&begin_want, NULL, 2);
	pthread_barrier_init(&end, NULL, 3);
	pthread_create(&holder, NULL, hold, NULL);
	pthread_create(&waiter, NULL, want, NULL);
	serve(faults, ms);
	pthread_join(holder, NULL);
	pthread_join(waiter, NULL);
	printf("%llu %d\n", waited, turns);
}

int main(int argc, char **argv)
{
	if (argc < 4)
		errx(2, "usage: contend storm THREADS TURNS | hold MS TURNS FILE");
	turns = atoi(argv[3]);
	if (strcmp(argv[1], "storm") == 0)
		storm(atoi(argv[2]));
	else if (argc > 4)
		hold_file((unsigned int)atoi(argv[2]), argv[4]);
	return 0;
}
