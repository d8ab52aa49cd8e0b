/* SPDX-License-Identifier: Apache-2.0 */
/* Packed symbol files: unpacked within the bound, or refused. */
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/io.h"
#include "symbol/mini_debug.h"

#define MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct ap_elf_section all = {0, size};
	struct stat st;
	int mini;

	if (fd < 0)
		fd = memfd_create("packed", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
	    ap_write_all(fd, data, size) < 0)
		abort();
	mini = ap_mini_debug_open(fd, &all, MAX);
	if (mini < 0)
		return 0;
	if (fstat(mini, &st) < 0 || st.st_size > MAX)
		abort();
	close(mini);
	return 0;
}
