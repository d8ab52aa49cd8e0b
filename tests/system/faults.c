/* SPDX-License-Identifier: Apache-2.0 */
/* Loaded into a program with LD_PRELOAD: a disk that fails to sync, is slow to read or has no room for a part of a table,
 * and a wall clock that is set, as the file AP_FAULTS says, which a test changes while the program runs. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct faults {
	int64_t clock_ns;      /* that the wall clock is ahead */
	int32_t failing_syncs; /* how many of a journal's files still are to fail */
	int32_t failed_syncs;  /* how many have */
	int32_t hold_reads;    /* not 0: reads of a journal's files wait until it is */
	int32_t failing_parts; /* how many parts of tables still are to fail, each fourth that is put in its place */
	int32_t parts; /* that were to be */
};

enum { FILES = 4096 };

static struct faults *faults;
static off_t synced[FILES]; /* by descriptor: up to where the disk has it */

__attribute__((constructor)) static void load(void)
{
	const char *path = getenv("AP_FAULTS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p = fd < 0 ? MAP_FAILED
			 : mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		abort();
	close(fd);
	faults = p;
}

/* The size of a journal's file; -1: it is another one. */
static off_t journal_size(int fd)
{
	char link[64], path[4096];
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 8 || fd < 0 || fd >= FILES || fstat(fd, &st) < 0)
		return -1;
	path[n] = '\0';
	return strcmp(path + n - 8, ".journal") == 0 ? st.st_size : -1;
}

/* The kernel says once that it could not write pages, and takes them for clean from then on: what they held is lost,
 * and a later sync succeeds. */
static int lose(int fd, off_t size)
{
	static const char zeros[4096];

	for (off_t at = synced[fd]; at < size; at += (off_t)sizeof(zeros)) {
		size_t n = size - at < (off_t)sizeof(zeros) ? (size_t)(size - at) : sizeof(zeros);

		if (pwrite(fd, zeros, n, at) < 0)
			abort();
	}
	__atomic_fetch_add(&faults->failed_syncs, 1, __ATOMIC_RELAXED);
	errno = EIO;
	return -1;
}

int fdatasync(int fd)
{
	static int (*real)(int);
	off_t size = journal_size(fd);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
	if (size >= 0 && size < synced[fd])
		synced[fd] = 0; /* another file */
	if (size >= 0 && faults->failing_syncs > 0) {
		faults->failing_syncs--;
		return lose(fd, size);
	}
	if (size >= 0)
		synced[fd] = size;
	return real(fd);
}

/* What programs with large files call for pread(). */
ssize_t pread64(int fd, void *buf, size_t n, off64_t at)
{
	static ssize_t (*real)(int, void *, size_t, off64_t);
	const struct timespec pause = {.tv_nsec = 5000000};

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "pread64");
	while (__atomic_load_n(&faults->hold_reads, __ATOMIC_RELAXED) && journal_size(fd) >= 0)
		nanosleep(&pause, NULL);
	return real(fd, buf, n, at);
}

int close(int fd)
{
	static int (*real)(int);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "close");
	if (fd >= 0 && fd < FILES)
		synced[fd] = 0;
	return real(fd);
}

/* By which the engine puts a part in its place that it has written. */
int rename(const char *from, const char *to)
{
	static int (*real)(const char *, const char *);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "rename");
	if (strstr(from, "/tmp_insert_") &&
	    __atomic_fetch_add(&faults->parts, 1, __ATOMIC_RELAXED) % 4 == 3 &&
	    __atomic_load_n(&faults->failing_parts, __ATOMIC_RELAXED) > 0) {
		__atomic_fetch_sub(&faults->failing_parts, 1, __ATOMIC_RELAXED);
		errno = ENOSPC;
		return -1;
	}
	return real(from, to);
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	static int (*real)(clockid_t, struct timespec *);
	int64_t ns;
	int r;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	r = real(clock, ret);
	if (r < 0 || !faults || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
		return r;
	ns = ret->tv_sec * 1000000000ll + ret->tv_nsec + faults->clock_ns;
	*ret = (struct timespec){ns / 1000000000, ns % 1000000000};
	return 0;
}

time_t time(time_t *ret)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	(void)zone;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	*ret = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
	return 0;
}
