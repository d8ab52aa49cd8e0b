/* SPDX-License-Identifier: Apache-2.0 */
/* Names as D compilers mangle them: each is read, or let be, within the time and memory that it is given. */
#include <string.h>

#include "symbol/demangle.h"
#include "symbol/symbolizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *name = malloc(size + 1), *text = NULL;
	int r;

	if (!name)
		return 0;
	memcpy(name, data, size);
	name[size] = 0;
	r = ap_demangle_d(name, &text);
	if (r == 0 && (!text[0] || strlen(text) > AP_SYMBOL_TEXT_MAX))
		abort();
	if (r < 0 && text)
		abort();
	return 0;
}
