/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/data_symbols.h"

#include <elf.h>
#include <inttypes.h>

#include "base/vec.h"
#include "symbol/symbol_table.h"

/* Steps for one table: a hostile one has every variable hold every address. */
#define STEPS_MAX (16u << 20)

/* What is known of an address. */
struct found {
	uint64_t value, size; /* of the variable; size 0: none yet */
	uint32_t name;
	bool dynamic;
};

struct search {
	const uint64_t *addrs;
	struct found *found;
	size_t n;
	uint32_t steps;
	bool dynamic; /* the table that is read */
};

static size_t first_not_below(const struct search *q, uint64_t addr)
{
	return ap_first(q->addrs, q->n, a, *a >= addr);
}

static bool match(void *ctx, const struct ap_elf_symbol *y)
{
	struct search *q = ctx;

	if (y->type != STT_OBJECT || y->name == 0 || y->size == 0)
		return true;
	for (size_t i = first_not_below(q, y->value); i < q->n && q->addrs[i] - y->value < y->size;
	     i++) {
		struct found *f = &q->found[i];

		if (++q->steps > STEPS_MAX)
			return false;
		if (f->size == 0 || y->size < f->size)
			*f = (struct found){y->value, y->size, y->name, q->dynamic};
	}
	return true;
}

/* "3foo4lock…" up to what is no such part; NULL where it begins with none. */
static const char *add_parts(const char *p, struct ap_buf *to)
{
	const char *end = NULL;

	for (;;) {
		size_t n = 0, left;

		p += *p == 'L';
		for (; *p >= '0' && *p <= '9' && n <= AP_SYMBOL_NAME_BYTES; p++)
			n = n * 10 + (size_t)(*p - '0');
		left = strlen(p);
		if (n == 0 || n > left)
			return end;
		/* Rust's last part is a hash. */
		if (!(n == 17 && p[0] == 'h' && p[n] == 'E' && p[n + 1] == '\0')) {
			if (end)
				ap_buf_puts(to, "::");
			ap_buf_append(to, p, n);
		}
		p += n;
		end = p;
	}
}

void ap_data_symbols_plain(const char *mangled, struct ap_buf *to)
{
	_cleanup_buf_ struct ap_buf parts = {0};
	bool nested = strncmp(mangled, "_ZN", 3) == 0;
	const char *end = NULL;

	if (nested || strncmp(mangled, "_ZL", 3) == 0)
		end = add_parts(mangled + 3, &parts);
	if (end && strcmp(end, nested ? "E" : "") == 0 && ap_buf_error(&parts) == 0)
		ap_buf_str(to, ap_buf_view(&parts));
	else
		ap_buf_puts(to, mangled);
}

static int put(const struct found *f, int fd, const struct ap_elf *elf, uint64_t addr,
	       struct ap_answers *a)
{
	_cleanup_buf_ struct ap_buf text = {0};
	char name[AP_SYMBOL_NAME_BYTES];
	struct ap_symbol_level level = {0};

	if (f->size == 0 || ap_symbol_table_text(fd, elf, f->dynamic, f->name, name) < 0)
		return 0;
	ap_data_symbols_plain(name, &text);
	if (addr > f->value)
		ap_buf_printf(&text, "+0x%" PRIx64, addr - f->value);
	if (ap_buf_error(&text))
		return -ENOMEM;
	level.name = ap_buf_view(&text);
	return level.name.n ? ap_answers_put(a, addr, &level, 1) : 0;
}

int ap_data_symbols_find(int fd, const struct ap_elf *elf, const uint64_t *addrs, size_t n,
			 struct ap_answers *a)
{
	_cleanup_free_ struct found *found = calloc(n ? n : 1, sizeof(*found));
	struct search q = {.addrs = addrs, .found = found, .n = n};
	int err = found ? 0 : -ENOMEM;

	if (err == 0)
		err = ap_symbol_table_each(fd, elf, false, match, &q);
	q.dynamic = true;
	q.steps = 0;
	if (err == 0)
		err = ap_symbol_table_each(fd, elf, true, match, &q);
	for (size_t i = 0; i < n && err == 0; i++)
		err = put(&found[i], fd, elf, addrs[i], a);
	return err;
}
