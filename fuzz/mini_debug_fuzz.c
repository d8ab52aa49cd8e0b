/* SPDX-License-Identifier: Apache-2.0 */
/* Packed symbol files: unpacked within the bound, or refused. */
#include <sys/stat.h>

#include "scratch.h"
#include "symbol/mini_debug.h"

#define MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = scratch_file(data, size);
	struct ap_elf_section all = {0, size};
	struct stat st;
	int mini;

	mini = ap_mini_debug_open(fd, &all, MAX);
	if (mini < 0)
		return 0;
	if (fstat(mini, &st) < 0 || st.st_size > MAX)
		abort();
	close(mini);
	return 0;
}
