/* SPDX-License-Identifier: Apache-2.0 */
/* A mapped file, of which segments and build id are read: refused, or counts within their arrays. */
#include "agent/elf_map.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = scratch_file(data, size);
	struct ap_elf_map m;
	uint64_t at;

	if (ap_elf_map_read(fd, &m) < 0)
		return 0;
	if (m.n_loads > AP_ELF_LOADS_MAX || m.build_id_bytes > AP_ELF_BUILD_ID_MAX)
		abort();
	for (uint32_t i = 0; i < m.n_loads; i++) {
		ap_elf_map_vaddr(&m, m.loads[i].offset + i);
		ap_elf_map_data(&m, m.loads[i].offset + m.loads[i].filesz, &at);
	}
	return 0;
}
