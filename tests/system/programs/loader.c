/* SPDX-License-Identifier: Apache-2.0 */
/* Loads each of the libraries named, calls it, and unloads it again, in a loop. */
#include <dlfcn.h>
#include <stdio.h>

#define KEEP __attribute__((noinline, noclone))

typedef unsigned long callback(unsigned long);
typedef unsigned long run(callback *, unsigned long);

static volatile unsigned long sink;

KEEP static unsigned long called_back(unsigned long n)
{
	unsigned long sum = 0;

	for (unsigned long i = 0; i < n; i++)
		sum += sum >> 3 ^ i;
	return sum;
}

KEEP static int use(const char *path)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	run *entry = library ? (run *)dlsym(library, "plugin_run") : NULL;

	if (!entry) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	sink += entry(called_back, 200000);
	return dlclose(library);
}

int main(int argc, char **argv)
{
	for (;;)
		for (int i = 1; i < argc; i++)
			if (use(argv[i]))
				return 1;
}
