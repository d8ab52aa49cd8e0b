/* SPDX-License-Identifier: Apache-2.0 */
/* The variables of a strange ELF file: within bounds, and for no address more than its name. */
#include "scratch.h"
#include "symbol/data_symbols.h"

#define ADDRESSES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(ap_cleanup_answers) struct ap_answers *answers = ap_answers_new();
	uint64_t addrs[ADDRESSES];
	int fd = scratch_file(data, size);
	struct ap_elf e;

	must(answers != NULL);
	if (ap_elf_read(fd, 1 << 20, AP_ELF_STRANGER, &e) < 0)
		return 0;
	for (uint64_t i = 0; i < ADDRESSES; i++)
		addrs[i] = i * i * i * 0x40;
	if (ap_data_symbols_find(fd, &e, addrs, ADDRESSES, answers) < 0)
		abort();
	for (size_t i = 0; i < ADDRESSES; i++) {
		struct ap_symbol y;

		if (ap_answers_get(answers, addrs[i], &y) && (y.n != 1 || !y.levels[0].name.n))
			abort();
	}
	return 0;
}
