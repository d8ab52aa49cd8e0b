/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lock_place.h"

#include <inttypes.h>

#include "agent/frames.h"
#include "base/clock.h"

#define READ_AGAIN_NS AP_NSEC_PER_SEC
#define NAME_BYTES    200u /* of a label's value; longer symbols are given as addresses */

/* A program or library is known by its code, under the same name. */
static struct ap_file *file_of(const struct ap_process *p, const char *name)
{
	for (size_t i = 0; i < p->maps.ranges.n; i++) {
		struct ap_file *f = p->maps.ranges.p[i].file;

		if (f && f->elf && strcmp(f->path, name) == 0)
			return f;
	}
	return NULL;
}

static const struct ap_data_map *find(struct ap_process *p, uint64_t address, uint64_t now,
				      uint64_t serial)
{
	struct ap_data_maps *m = &p->data;
	const struct ap_data_map *r;

	for (bool read = m->rows_serial != serial;; read = true) {
		if (read) {
			m->rows_serial = serial;
			m->read_ns = now;
			ap_data_maps_read(p->pid, m); /* of one that has gone they stay */
		}
		r = ap_data_maps_find(m, address);
		if (r || read || now - m->read_ns < READ_AGAIN_NS)
			return r;
	}
}

int ap_lock_place_find(struct ap_process *p, uint64_t address, uint64_t now, uint64_t serial,
		       struct ap_lock_place *ret)
{
	const struct ap_data_map *r = find(p, address, now, serial);
	struct ap_lock_place place = {.name = "[anon]", .whole = true};
	uint64_t vaddr;

	if (!r)
		return -ENOENT;
	if (ap_data_map_name(&p->data, r)[0]) {
		place.name = ap_data_map_name(&p->data, r);
		place.whole = strcmp(place.name, "[stack]") == 0;
	}
	place.offset = r->offset + (address - r->start);
	place.file = file_of(p, place.name);
	if (place.file && ap_elf_map_data(&place.file->map, place.offset, &vaddr) == 0) {
		place.offset = vaddr;
	} else if (r->tail) {
		place = (struct ap_lock_place){.name = "[anon]", .whole = true};
	} else {
		place.file = NULL;
	}
	*ret = place;
	return 0;
}

static struct ap_str base_name(struct ap_str path)
{
	const char *slash = path.n ? memrchr(path.p, '/', path.n) : NULL;
	size_t skip = slash ? (size_t)(slash + 1 - path.p) : 0;

	return (struct ap_str){path.p + skip, path.n - skip};
}

static int add_name(const struct ap_rows *rows, const struct ap_rows_place *place,
		    const struct ap_symbol *y, struct ap_buf *to)
{
	struct ap_str name = ap_rows_str(rows, place->name);

	if (place->file)
		name = base_name(ap_rows_str(rows, rows->files.p[place->file].path));
	name.n = AP_MIN(name.n, (size_t)NAME_BYTES);
	if (y->n && y->levels[0].name.n + name.n <= NAME_BYTES)
		ap_buf_printf(to, "%.*s in %.*s", AP_STR_ARG(y->levels[0].name), AP_STR_ARG(name));
	else if (name.n && !place->whole)
		ap_buf_printf(to, "%.*s+0x%" PRIx64, AP_STR_ARG(name), place->offset);
	else
		ap_buf_str(to, name);
	ap_buf_byte(to, 0);
	return ap_buf_error(to);
}

/* Of the places `which`, all in one file, or in none. */
static int name_file(const struct ap_rows *rows, struct ap_symbolizer *s, const uint32_t *which,
		     size_t n, struct ap_lock_place_names *names)
{
	_cleanup_free_ uint64_t *addrs = malloc(n * sizeof(*addrs));
	_cleanup_free_ struct ap_symbol *symbols = calloc(n, sizeof(*symbols));
	uint32_t file = rows->places.p[which[0]].file;
	struct ap_symbol_file query;
	char path[32];
	int err = 0;

	if (!addrs || !symbols)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		addrs[i] = rows->places.p[which[i]].offset;
	if (file && s) {
		ap_frames_query(rows, file, path, &query);
		ap_symbolizer_data(s, &query, addrs, n, symbols);
	}
	for (size_t i = 0; i < n && err == 0; i++) {
		names->at[which[i]] = (uint32_t)names->text.n;
		err = add_name(rows, &rows->places.p[which[i]], &symbols[i], &names->text);
	}
	return err;
}

static int by_file(const void *a, const void *b, void *ctx)
{
	const struct ap_rows_place *places = ctx;
	uint32_t x = places[*(const uint32_t *)a].file, y = places[*(const uint32_t *)b].file;

	return x < y ? -1 : x > y;
}

int ap_lock_place_names(const struct ap_rows *rows, struct ap_symbolizer *s,
			struct ap_lock_place_names *ret)
{
	size_t n = rows->places.n, end;
	_cleanup_free_ uint32_t *order = calloc(n + 1, sizeof(*order));
	struct ap_lock_place_names names = {.at = calloc(n + 1, sizeof(*names.at))};
	int err = order && names.at ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < n && err == 0; i++)
		order[i] = i;
	if (err == 0 && n)
		qsort_r(order, n, sizeof(*order), by_file, rows->places.p);
	for (size_t i = 0; i < n && err == 0; i = end) {
		uint32_t file = rows->places.p[order[i]].file;

		for (end = i + 1; end < n && rows->places.p[order[end]].file == file;)
			end++;
		err = name_file(rows, s, order + i, end - i, &names);
	}
	if (err < 0)
		ap_lock_place_names_free(&names);
	else
		*ret = names;
	return err;
}

void ap_lock_place_names_free(struct ap_lock_place_names *n)
{
	ap_buf_free(&n->text);
	free(n->at);
}
