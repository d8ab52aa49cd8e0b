/* SPDX-License-Identifier: Apache-2.0 */
/* rpm's database in Berkeley DB: Packages, a hash table, has headers by packages' numbers, and Basenames, a B-tree since
 * RPM 4.9 and a hash table before, has by a file's name pairs of package and place in its list of files.
 *
 * A file is of pages of one size, 512 bytes to 64 KiB, and its numbers, rpm's own as well, are all of the byte order of
 * the machine that made it. Page 0 tells how it is laid out; the others begin with 26 bytes:
 *
 *	 8	number of the page itself
 *	16	number of the next page of a bucket, or of a long item; 0: none
 *	20	items; in a page of a long item: a count of its users
 *	22	where the first item begins; in a page of a long item: bytes of it here
 *	25	type
 *
 * After them stands where each item begins. Items are by turns a key and its value, and lie from the page's end down:
 *
 *	of a hash table		type, bytes up to the item before
 *	of a tree's leaf	number of bytes (2), type, bytes
 *	of a tree's inner page	number of bytes (2), type, 1 unused, page below (4), 4 unused, bytes: the least key there,
 *				but that the first item is for all keys before the second's
 *
 * What is long has, 4 bytes on from where it or the bytes of an inner page's item would begin, the number of its first
 * page (4) and of its bytes (4). They fill pages of their own.
 *
 * A hash table's bucket is a chain of pages, that of the key's hash in as many bits as there are buckets, or one bit less
 * where there is none yet. Buckets are made in generations of twice as many each, whose first pages follow each other.
 *
 * Every page says which one it is, and every header whether it has the file: what a writer leaves halfway is no answer.
 * All walks end: pages of a long item are full but for the last, those of a bucket and a tree's levels are counted, and so
 * are all bytes that are read. */
#include <byteswap.h>

#include "agent/rpm_format.h"
#include "base/io.h"

#define PACKAGES	 "Packages"
#define INDEX		 "Basenames"
#define HASH_MAGIC	 0x061561
#define TREE_MAGIC	 0x053162
#define BUCKET_PAGES_MAX 256 /* one or two are usual */
#define LEVELS_MAX	 10
#define KEY_MAX		 4096 /* bytes; files' names have 255 at most */
#define PLACES_BYTES_MAX (1u << 20)
#define READ_BYTES_MAX	 (512u << 20) /* of a file, for one look-up */

enum { META_BYTES = 512, PAGE_MIN = 512, PAGE_MAX = 65536, VERSION_MIN = 8, VERSION_MAX = 10 };
enum { PAGE_HEAD = 26, PLACE_BYTES = 8, SPARES = 32 };
enum page_type { UNSORTED_PAGE = 2, INNER_PAGE = 3, LEAF_PAGE = 5, LONG_PAGE = 7, HASH_PAGE = 13 };
enum item_type { SHORT_ITEM = 1, LONG_ITEM = 3, DELETED = 0x80 };

struct table {
	int fd;
	bool swapped; /* of the other byte order */
	bool tree;
	uint32_t page_bytes;
	uint32_t root; /* of a tree; of a hash table, the following */
	uint32_t max_bucket, high_mask, low_mask;
	uint32_t spares[SPARES];   /* by generation: its first page, less its first bucket */
	uint32_t left;		   /* bytes that may still be read */
	uint8_t *page, *long_page; /* the ones that are looked at, of exactly that size */
};

struct bdb {
	struct table packages, index;
};

static uint32_t u32(const struct table *t, const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return t->swapped ? bswap_32(v) : v;
}

static uint16_t u16(const struct table *t, const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return t->swapped ? bswap_16(v) : v;
}

/* ---- Opening. ---- */

static int read_meta(struct table *t)
{
	uint8_t meta[META_BYTES];
	uint32_t magic, version;
	int err = ap_read_at(t->fd, 0, meta, sizeof(meta));

	if (err < 0)
		return err;
	magic = u32(t, meta + 12);
	t->swapped = magic != HASH_MAGIC && magic != TREE_MAGIC;
	magic = u32(t, meta + 12);
	version = u32(t, meta + 16);
	t->tree = magic == TREE_MAGIC;
	/* The bytes after the page's size: neither encryption nor checksums, which make pages' heads longer. */
	if ((!t->tree && magic != HASH_MAGIC) || version < VERSION_MIN || version > VERSION_MAX ||
	    meta[24] != 0 || meta[26] != 0)
		return -EBADMSG;
	t->page_bytes = u32(t, meta + 20);
	if (t->page_bytes < PAGE_MIN || t->page_bytes > PAGE_MAX ||
	    (t->page_bytes & (t->page_bytes - 1)) != 0)
		return -EBADMSG;
	t->root = u32(t, meta + 88);
	t->max_bucket = u32(t, meta + 72);
	t->high_mask = u32(t, meta + 76);
	t->low_mask = u32(t, meta + 80);
	for (size_t i = 0; i < SPARES; i++)
		t->spares[i] = u32(t, meta + 96 + 4 * i);
	return 0;
}

static int open_table(const char *dir, const char *name, struct table *t)
{
	int err;

	t->fd = ap_rpm_open(dir, name);
	if (t->fd < 0)
		return t->fd;
	err = read_meta(t);
	if (err < 0)
		return err;
	t->left = READ_BYTES_MAX;
	t->page = malloc(t->page_bytes);
	t->long_page = malloc(t->page_bytes);
	return t->page && t->long_page ? 0 : -ENOMEM;
}

static void close_table(struct table *t)
{
	ap_cleanup_fd(&t->fd);
	free(t->page);
	free(t->long_page);
}

static void close_database(void *ctx)
{
	struct bdb *db = ctx;

	close_table(&db->packages);
	close_table(&db->index);
	free(db);
}

AP_DEFINE_CLEANUP(bdb, struct bdb, close_database)

static int open_database(const char *dir, void **ret)
{
	_cleanup_(ap_cleanup_bdb) struct bdb *db = calloc(1, sizeof(*db));
	int err;

	if (!db)
		return -ENOMEM;
	db->packages.fd = db->index.fd = -1;
	err = open_table(dir, PACKAGES, &db->packages);
	if (err == 0)
		err = open_table(dir, INDEX, &db->index);
	if (err < 0)
		return err;
	*ret = AP_TAKE_PTR(db);
	return 0;
}

/* ---- Pages and items. ---- */

/* A page and its type. */
static int read_page(struct table *t, uint32_t number, uint8_t *ret)
{
	int err;

	if (t->left < t->page_bytes)
		return -EFBIG;
	t->left -= t->page_bytes;
	err = ap_read_at(t->fd, (uint64_t)number * t->page_bytes, ret, t->page_bytes);
	if (err < 0)
		return err;
	return number == 0 || u32(t, ret + 8) != number ? -EBADMSG : ret[25];
}

/* How many items the page says to have, and there is room for; or an error. */
static int count_items(const struct table *t)
{
	uint32_t n = u16(t, t->page + 20);

	return n > (t->page_bytes - PAGE_HEAD) / 2 ? -EBADMSG : (int)n;
}

struct item {
	const uint8_t *p; /* of a short one */
	size_t n;
	uint32_t page; /* of a long one, its first; else 0 */
	bool deleted;
};

/* Where an item is in a page, and how many bytes there are from there on that may be of it. */
static bool find_item(const struct table *t, int i, const uint8_t **ret, size_t *ret_n)
{
	const uint8_t *begins = t->page + PAGE_HEAD + 2 * i;
	uint32_t at = u16(t, begins), end = t->page_bytes;

	if (!t->tree && i > 0)
		end = u16(t, begins - 2);
	if (at < PAGE_HEAD || at >= end || end > t->page_bytes)
		return false;
	*ret = t->page + at;
	*ret_n = end - at;
	return true;
}

static bool set_long(const struct table *t, const uint8_t *p, size_t n, struct item *ret)
{
	if (n < 12)
		return false;
	*ret = (struct item){.n = u32(t, p + 8), .page = u32(t, p + 4)};
	return ret->page != 0;
}

static bool get_hash_item(const struct table *t, int i, struct item *ret)
{
	const uint8_t *p;
	size_t n;

	if (!find_item(t, i, &p, &n))
		return false;
	if (p[0] == LONG_ITEM)
		return set_long(t, p, n, ret);
	*ret = (struct item){.p = p + 1, .n = n - 1};
	return p[0] == SHORT_ITEM;
}

/* `head`: bytes before those of a short item. A long one's are laid as in a leaf. */
static bool get_tree_item(const struct table *t, int i, size_t head, struct item *ret)
{
	size_t n, long_at = head > 3 ? head : 0;
	const uint8_t *p;
	bool ok = false;

	if (!find_item(t, i, &p, &n) || n < head)
		return false;
	if ((p[2] & ~DELETED) == LONG_ITEM) {
		ok = set_long(t, p + long_at, n - long_at, ret);
	} else if ((p[2] & ~DELETED) == SHORT_ITEM) {
		*ret = (struct item){.p = p + head, .n = u16(t, p)};
		ok = ret->n <= n - head;
	}
	ret->deleted = p[2] & DELETED;
	return ok;
}

static bool get_leaf_item(const struct table *t, int i, struct item *ret)
{
	return get_tree_item(t, i, 3, ret);
}

/* Appends at most `max` bytes; -EFBIG: it has more. */
static int read_item(struct table *t, const struct item *item, size_t max, struct ap_buf *ret)
{
	const uint8_t *page = t->long_page;
	uint32_t number = item->page;

	if (item->n > max)
		return -EFBIG;
	if (!number)
		ap_buf_append(ret, item->p, item->n);
	for (size_t left = number ? item->n : 0; left > 0;) {
		size_t here = AP_MIN(left, (size_t)t->page_bytes - PAGE_HEAD);
		int type = read_page(t, number, t->long_page);

		if (type < 0)
			return type;
		if (type != LONG_PAGE || u16(t, page + 22) != here)
			return -EBADMSG;
		ap_buf_append(ret, page + PAGE_HEAD, here);
		number = u32(t, page + 16);
		left -= here;
	}
	return ap_buf_error(ret);
}

/* ---- A value by its key. ---- */

/* The value of the key in a page of keys and values; -ENOENT: it is not in this one. */
static int search_page(struct table *t, struct ap_str key, size_t max, struct ap_buf *ret)
{
	bool (*get_item)(const struct table *, int, struct item *) =
		t->tree ? get_leaf_item : get_hash_item;
	_cleanup_buf_ struct ap_buf is = {0};
	int n = count_items(t);

	if (n < 0)
		return n;
	for (int i = 0; i + 1 < n; i += 2) {
		struct item item, value;
		int err;

		if (!get_item(t, i, &item))
			return -EBADMSG;
		if (item.n != key.n || item.deleted)
			continue;
		ap_buf_clear(&is);
		err = read_item(t, &item, key.n, &is);
		if (err < 0)
			return err;
		if (!ap_str_eq(ap_buf_view(&is), key))
			continue;
		if (!get_item(t, i + 1, &value))
			return -EBADMSG;
		return value.deleted ? -ENOENT : read_item(t, &value, max, ret);
	}
	return -ENOENT;
}

/* Fowler, Noll and Vo's hash, from 0 on. */
static uint32_t hash(struct ap_str s)
{
	uint32_t h = 0;

	for (size_t i = 0; i < s.n; i++)
		h = h * 16777619 ^ (uint8_t)s.p[i];
	return h;
}

static int search_hash(struct table *t, struct ap_str key, size_t max, struct ap_buf *ret)
{
	uint32_t bucket = hash(key) & t->high_mask, generation, number;

	if (bucket > t->max_bucket)
		bucket &= t->low_mask;
	generation = bucket ? 32 - (uint32_t)__builtin_clz(bucket) : 0;
	if (generation >= SPARES)
		return -EBADMSG;
	number = bucket + t->spares[generation];
	for (size_t i = 0; i < BUCKET_PAGES_MAX; i++) {
		int r = read_page(t, number, t->page);

		if (r < 0)
			return r;
		if (r != HASH_PAGE && r != UNSORTED_PAGE)
			return -EBADMSG;
		r = search_page(t, key, max, ret);
		number = u32(t, t->page + 16);
		if (r != -ENOENT || number == 0)
			return r;
	}
	return -EBADMSG;
}

/* The page below an inner one that the key is in, if anywhere. */
static int go_down(struct table *t, struct ap_str key, uint32_t *ret)
{
	_cleanup_buf_ struct ap_buf is = {0};
	int n = count_items(t);

	if (n <= 0)
		return n < 0 ? n : -EBADMSG;
	for (int i = 0; i < n; i++) {
		const uint8_t *p;
		struct item item;
		size_t room;
		int err;

		if (!find_item(t, i, &p, &room) || room < 8)
			return -EBADMSG;
		if (i > 0) {
			if (!get_tree_item(t, i, 12, &item))
				return -EBADMSG;
			ap_buf_clear(&is);
			err = read_item(t, &item, KEY_MAX, &is);
			if (err < 0)
				return err;
			if (ap_str_cmp(ap_buf_view(&is), key) > 0)
				break;
		}
		*ret = u32(t, p + 4);
	}
	return 0;
}

static int search_tree(struct table *t, struct ap_str key, size_t max, struct ap_buf *ret)
{
	uint32_t number = t->root;

	for (size_t i = 0; i < LEVELS_MAX; i++) {
		int r = read_page(t, number, t->page);

		if (r < 0)
			return r;
		if (r == LEAF_PAGE)
			return search_page(t, key, max, ret);
		r = r == INNER_PAGE ? go_down(t, key, &number) : -EBADMSG;
		if (r < 0)
			return r;
	}
	return -EBADMSG;
}

static int get(struct table *t, struct ap_str key, size_t max, struct ap_buf *ret)
{
	return t->tree ? search_tree(t, key, max, ret) : search_hash(t, key, max, ret);
}

/* ---- What rpm keeps in it. ---- */

static int find_places(void *ctx, struct ap_str name, struct ap_rpm_places *ret)
{
	_cleanup_buf_ struct ap_buf value = {0};
	struct bdb *db = ctx;
	int err = get(&db->index, name, PLACES_BYTES_MAX, &value);

	if (err < 0)
		return err == -ENOENT ? 0 : err;
	for (size_t at = 0; ap_range_ok(at, PLACE_BYTES, value.n); at += PLACE_BYTES) {
		if (!ap_rpm_places_add(ret, u32(&db->index, value.p + at),
				       u32(&db->index, value.p + at + 4)))
			break;
	}
	return 0;
}

static int read_header(void *ctx, uint32_t package, size_t max, struct ap_buf *ret)
{
	struct bdb *db = ctx;
	uint32_t key = u32(&db->packages, &package);

	/* Number 0 is of the value that the next package's number is taken from. */
	return package == 0 ? -ENOENT
			    : get(&db->packages, (struct ap_str){(const char *)&key, sizeof(key)},
				  max, ret);
}

const struct ap_rpm_format ap_rpm_bdb = {
	.database = PACKAGES,
	.index = INDEX,
	.open = open_database,
	.find = find_places,
	.read = read_header,
	.close = close_database,
};
