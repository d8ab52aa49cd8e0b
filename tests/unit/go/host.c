/* SPDX-License-Identifier: Apache-2.0 */
/* Calls run() of the shared library that its argument names. */
#include <dlfcn.h>
#include <stddef.h>

int main(int argc, char **argv)
{
	void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL; /* NOLINT */
	void (*run)(void) = library ? (void (*)(void))dlsym(library, "run") : NULL;

	if (run)
		run();
	return 1;
}
