/* SPDX-License-Identifier: Apache-2.0 */
/* rpm's own format, ndb: little-endian numbers of 32 bits in two files.
 *
 * Packages.db has headers by packages' numbers:
 *
 *	head	"RpmP", 0 (version), generation, pages of slots; 32 bytes in all
 *	slots	"Slot", package, first block, blocks; with the head they fill pages of 4,096 bytes
 *	blobs	in blocks of 16 bytes: "BlbS", package, generation, bytes; the header, and zeros up to the end of a
 *		block together with the tail, which is Adler-32 of all before, bytes, "BlbE"
 *
 * Index.db has hash tables, one for each tag that rpm looks packages up by:
 *
 *	head	"RpmX", 0 (version), generation, pages of slots, bytes of a page, generation of Packages.db; 32 bytes
 *	slots	"Slo" and a byte that is 0 but for a table that is being made, tag, first page, pages
 *	table	"RpmI", 0 (version), generation, entries (a power of two), 2 numbers, mask, end of keys; 64 bytes
 *		entries of a key's place in the keys and a datum; then each entry's second datum; then the keys
 *
 * The bits of a key's place that are set in the mask are those of the key's hash instead, so that most other keys need
 * not be compared. A key begins with its length: a byte, or 255 and two bytes. An entry is of one file; it is found by
 * the key's hash and ever longer steps from there, past those of other keys and removed ones (all bits set), up to an
 * empty one. The datum is package and place in the list of files.
 *
 * Only the generation of Packages.db tells that the tables are up to date: rpm changes it first and the one in Index.db
 * last, and writes Index.db through memory, which leaves its times as they are. */
#include <endian.h>
#include <limits.h>
#include <zlib.h>

#include "agent/rpm_format.h"
#include "base/io.h"

#define MAGIC(a, b, c, d) \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
#define PACKAGES   "Packages.db"
#define INDEX	   "Index.db"
#define SLOTS_MAX  (4u << 20) /* bytes of slots: a quarter of a million packages */
#define PROBES_MAX 65536

enum { HEAD_BYTES = 32, SLOT_BYTES = 16, SLOT_PAGE = 4096, BLOCK = 16 };
enum { BLOB_HEAD = 16, BLOB_TAIL = 12 };
enum { TABLE_HEAD = 64, ENTRY_BYTES = 8, DATUM_BYTES = 4 };
enum { TAG_BASE_NAMES = 1117 };

struct ndb {
	int packages, index;
	struct ap_buf slots; /* of Packages.db, the head before them */
	uint64_t table;	     /* where the table of names begins in Index.db */
};

static uint32_t u32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static void close_database(void *ctx)
{
	struct ndb *db = ctx;

	ap_cleanup_fd(&db->packages);
	ap_cleanup_fd(&db->index);
	ap_buf_free(&db->slots);
	free(db);
}

AP_DEFINE_CLEANUP(ndb, struct ndb, close_database)

/* A head, and the pages of slots that it begins. */
static int read_slots(int fd, uint32_t magic, uint32_t page, struct ap_buf *ret)
{
	uint8_t head[HEAD_BYTES];
	uint64_t bytes;
	int err = ap_read_at(fd, 0, head, sizeof(head));

	if (err < 0)
		return err;
	if (u32(head) != magic || u32(head + 4) != 0)
		return -EBADMSG;
	bytes = (uint64_t)u32(head + 12) * (page ? page : u32(head + 16));
	if (bytes < HEAD_BYTES)
		return -EBADMSG;
	if (bytes > SLOTS_MAX)
		return -EFBIG;
	if (!ap_buf_reserve(ret, bytes))
		return -ENOMEM;
	err = ap_read_at(fd, 0, ret->p, bytes);
	if (err == 0)
		ret->n = bytes;
	return err;
}

/* The slot of that magic number and name; NULL: there is none. */
static const uint8_t *find_slot(const struct ap_buf *slots, uint32_t magic, uint32_t name)
{
	for (size_t at = HEAD_BYTES; ap_range_ok(at, SLOT_BYTES, slots->n); at += SLOT_BYTES) {
		const uint8_t *slot = slots->p + at;

		if (u32(slot) == magic && u32(slot + 4) == name && u32(slot + 8) != 0)
			return slot;
	}
	return NULL;
}

static int open_index(struct ndb *db)
{
	_cleanup_buf_ struct ap_buf slots = {0};
	const uint8_t *slot;
	int err = read_slots(db->index, MAGIC('R', 'p', 'm', 'X'), 0, &slots);

	if (err < 0)
		return err;
	if (u32(slots.p + 20) != u32(db->slots.p + 8))
		return -EAGAIN;
	slot = find_slot(&slots, MAGIC('S', 'l', 'o', 0), TAG_BASE_NAMES);
	if (!slot)
		return -ENOENT;
	db->table = (uint64_t)u32(slot + 8) * u32(slots.p + 16);
	return 0;
}

static int open_database(const char *dir, void **ret)
{
	_cleanup_(ap_cleanup_ndb) struct ndb *db = calloc(1, sizeof(*db));
	int err;

	if (!db)
		return -ENOMEM;
	db->packages = ap_rpm_open(dir, PACKAGES);
	db->index = ap_rpm_open(dir, INDEX);
	if (db->packages < 0 || db->index < 0)
		return AP_MIN(db->packages, db->index);
	err = read_slots(db->packages, MAGIC('R', 'p', 'm', 'P'), SLOT_PAGE, &db->slots);
	if (err == 0)
		err = open_index(db);
	if (err < 0)
		return err;
	*ret = AP_TAKE_PTR(db);
	return 0;
}

/* ---- The index. ---- */

/* rpm's variant of MurmurHash. */
static uint32_t hash(struct ap_str s)
{
	const uint32_t m = 0x5bd1e995;
	uint32_t h = (uint32_t)s.n * m;

	while (s.n > 0) {
		size_t n = AP_MIN(s.n, (size_t)4);
		uint8_t word[4] = {0};

		memcpy(word, s.p, n);
		h = (h + u32(word)) * m;
		h ^= h >> 16;
		s = (struct ap_str){s.p + n, s.n - n};
	}
	h *= m;
	h ^= h >> 10;
	h *= m;
	return h ^ h >> 17;
}

struct table {
	int fd;
	uint64_t entries, data, keys; /* places in the file */
	uint32_t n, mask, keys_end;
};

static int open_table(const struct ndb *db, struct table *ret)
{
	uint8_t head[TABLE_HEAD];
	int err = ap_read_at(db->index, db->table, head, sizeof(head));

	if (err < 0)
		return err;
	ret->fd = db->index;
	ret->n = u32(head + 12);
	ret->mask = u32(head + 24);
	ret->keys_end = u32(head + 28);
	if (u32(head) != MAGIC('R', 'p', 'm', 'I') || u32(head + 4) != 0 || ret->n == 0 ||
	    (ret->n & (ret->n - 1)) != 0)
		return -EBADMSG;
	ret->entries = db->table + TABLE_HEAD;
	ret->data = ret->entries + (uint64_t)ret->n * ENTRY_BYTES;
	ret->keys = ret->data + (uint64_t)ret->n * DATUM_BYTES;
	return 0;
}

/* A name as it stands among the keys. */
struct key {
	uint8_t bytes[3 + NAME_MAX];
	size_t n;
	uint32_t hash;
};

static void make_key(struct ap_str name, struct key *ret)
{
	ret->n = 0;
	ret->bytes[ret->n++] = (uint8_t)AP_MIN(name.n, (size_t)255);
	if (name.n >= 255) {
		ret->bytes[ret->n++] = (uint8_t)name.n;
		ret->bytes[ret->n++] = (uint8_t)(name.n >> 8);
	}
	memcpy(ret->bytes + ret->n, name.p, name.n);
	ret->n += name.n;
	ret->hash = hash(name);
}

/* 1: the key is at that place; 0: it is not. */
static int is_at(const struct table *t, const struct key *key, uint32_t place)
{
	uint8_t is[sizeof(key->bytes)];
	uint32_t at = place & ~t->mask;
	int err;

	if (((place ^ key->hash) & t->mask) != 0 || !ap_range_ok(at, key->n, t->keys_end))
		return 0;
	err = ap_read_at(t->fd, t->keys + at, is, key->n);
	return err < 0 ? err : memcmp(is, key->bytes, key->n) == 0;
}

/* Package and file share the first datum where they are small, in one of two ways. */
static int read_place(const struct table *t, uint32_t entry, uint32_t datum,
		      struct ap_rpm_place *ret)
{
	uint8_t package[DATUM_BYTES];
	int err;

	if (datum & 0x80000000) {
		err = ap_read_at(t->fd, t->data + (uint64_t)entry * DATUM_BYTES, package,
				 sizeof(package));
		if (err < 0)
			return err;
		*ret = (struct ap_rpm_place){u32(package), datum & 0x7fffffff};
	} else if (datum & 0x40000000) {
		*ret = (struct ap_rpm_place){datum & 0xffffff, datum >> 24 & 0x3f};
	} else {
		*ret = (struct ap_rpm_place){datum & 0xfffff, datum >> 20};
	}
	return 0;
}

static int find_places(void *ctx, struct ap_str name, struct ap_rpm_places *ret)
{
	uint32_t at, known = 0;
	struct table t;
	struct key key;
	int r = open_table(ctx, &t);

	if (r < 0 || name.n == 0 || name.n > NAME_MAX)
		return r;
	make_key(name, &key);
	at = key.hash & (t.n - 1);
	for (uint32_t i = 0; i < PROBES_MAX; i++) {
		struct ap_rpm_place place;
		uint8_t entry[ENTRY_BYTES];

		r = ap_read_at(t.fd, t.entries + (uint64_t)at * ENTRY_BYTES, entry, sizeof(entry));
		if (r < 0 || u32(entry) == 0)
			return r;
		if (u32(entry) != UINT32_MAX) {
			r = known ? known == u32(entry) : is_at(&t, &key, u32(entry));
			if (r > 0) {
				known = u32(entry);
				r = read_place(&t, at, u32(entry + 4), &place);
				if (r == 0 && !ap_rpm_places_add(ret, place.package, place.file))
					return 0;
			}
			if (r < 0)
				return r;
		}
		at = (at + 7 + i) & (t.n - 1);
	}
	return -EBADMSG;
}

/* ---- Headers. ---- */

static bool is_whole(const uint8_t *head, const uint8_t *rest, size_t n, uint32_t package)
{
	const uint8_t *tail = rest + n - BLOB_TAIL;
	uLong sum = adler32(adler32(0, NULL, 0), head, BLOB_HEAD);

	return u32(head) == MAGIC('B', 'l', 'b', 'S') && u32(head + 4) == package &&
	       u32(tail) == adler32(sum, rest, (uInt)(n - BLOB_TAIL)) &&
	       u32(tail + 4) == u32(head + 12) && u32(tail + 8) == MAGIC('B', 'l', 'b', 'E');
}

static int read_header(void *ctx, uint32_t package, size_t max, struct ap_buf *ret)
{
	const struct ndb *db = ctx;
	const uint8_t *slot = find_slot(&db->slots, MAGIC('S', 'l', 'o', 't'), package);
	uint8_t head[BLOB_HEAD], *rest;
	uint64_t at, bytes;
	size_t header;
	int err;

	if (!slot)
		return -ENOENT;
	at = (uint64_t)u32(slot + 8) * BLOCK;
	err = ap_read_at(db->packages, at, head, sizeof(head));
	if (err < 0)
		return err;
	header = u32(head + 12);
	if (header > max)
		return -EFBIG;
	bytes = (BLOB_HEAD + header + BLOB_TAIL + BLOCK - 1) / BLOCK * BLOCK;
	if (bytes != (uint64_t)u32(slot + 12) * BLOCK)
		return -EBADMSG;
	bytes -= BLOB_HEAD;
	rest = ap_buf_reserve(ret, bytes);
	if (!rest)
		return -ENOMEM;
	err = ap_read_at(db->packages, at + BLOB_HEAD, rest, bytes);
	if (err < 0)
		return err;
	if (!is_whole(head, rest, bytes, package))
		return -EBADMSG;
	ret->n += header;
	return 0;
}

const struct ap_rpm_format ap_rpm_ndb = {
	.database = PACKAGES,
	.index = INDEX,
	.open = open_database,
	.find = find_places,
	.read = read_header,
	.close = close_database,
};
