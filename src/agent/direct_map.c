/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/direct_map.h"

#include <bpf/bpf.h>
#include <fcntl.h>

#include "base/io.h"
#include "symbol/kallsyms.h"

#define KALLSYMS      "/proc/kallsyms"
#define CPUINFO_BYTES (4u << 20)
/* Documentation/arch/x86/x86_64/mm.rst */
#define DIRECT_MAP_4 0xffff888000000000ull
#define DIRECT_MAP_5 0xff11000000000000ull

/* Five levels of page tables, where the processor has them and the kernel uses them. */
static bool has_five_levels(void)
{
	_cleanup_buf_ struct ap_buf b = {0};

	if (ap_read_file(AT_FDCWD, "/proc/cpuinfo", CPUINFO_BYTES, &b) < 0)
		return false;
	ap_buf_byte(&b, 0);
	return ap_buf_error(&b) == 0 && strstr((const char *)b.p, " la57") != NULL;
}

void ap_direct_map_find(struct ap_direct_map *ret)
{
	bool five = has_five_levels();
	struct ap_direct_map m = {.levels = five ? 5 : 4};
	int r = ap_kallsyms_address(KALLSYMS, "page_offset_base", &m.variable);

	if (r == -ENOENT) /* a kernel that does not move it about */
		m.address = five ? DIRECT_MAP_5 : DIRECT_MAP_4;
	*ret = m;
}

int ap_direct_map_check(const struct bpf_program *check)
{
	uint64_t word = (uint64_t)&word;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &word, .ctx_size_in = sizeof(word));

	return bpf_prog_test_run_opts(bpf_program__fd(check), &opts);
}
