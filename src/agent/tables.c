/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tables.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/proc.h"
#include "agent/tables_internal.h"

#define QUEUE_MAX 256u /* each keeps a descriptor open */
/* Numbers are taken back in good time before there are none left, and rest as long as records with
 * them may be on their way. */
#define SPARE_SLOTS  (AP_SLOTS / 16)
#define RETIRE_SLOTS (AP_SLOTS / 8)
#define RETIRED_NS   (2 * AP_NSEC_PER_SEC)

_Static_assert(AP_SLOTS <= AP_FRAME_FILE_MAX && (AP_SLOTS & (AP_SLOTS - 1)) == 0,
	       "the low bits of a number are its slot's");

static void push_back(struct ap_slot_list *l, struct ap_slot *s)
{
	s->next = NULL;
	*(l->last ? &l->last->next : &l->first) = s;
	l->last = s;
	l->n++;
}

static void take_out(struct ap_slot_list *l, const struct ap_slot *s)
{
	struct ap_slot *before = NULL;

	for (struct ap_slot *i = l->first; i != s; i = i->next)
		before = i;
	*(before ? &before->next : &l->first) = s->next;
	l->last = s->next ? l->last : before;
	l->n--;
}

struct ap_slot *ap_slot_list_pop(struct ap_slot_list *l)
{
	struct ap_slot *s = l->first;

	if (!s)
		return NULL;
	l->first = s->next;
	l->last = l->first ? l->last : NULL;
	l->n--;
	return s;
}

static struct ap_slot *smallest(const struct ap_slot_list *l, bool is_large)
{
	struct ap_slot *found = NULL;

	for (struct ap_slot *s = l->first; s; s = s->next)
		if ((s->size >= AP_TABLE_LARGE) == is_large && (!found || s->size < found->size))
			found = s;
	return found;
}

struct ap_slot *ap_slot_next_queued(struct ap_tables *t, bool is_large)
{
	struct ap_slot_list *l = &t->urgent;
	struct ap_slot *s = smallest(l, is_large);

	if (!s) {
		l = &t->queue;
		s = smallest(l, is_large);
	}
	if (s)
		take_out(l, s);
	return s;
}

void ap_slot_set_state(struct ap_tables *t, struct ap_slot *s, enum ap_slot_state state)
{
	t->stats.without += (state == AP_SLOT_WITHOUT) - (s->state == AP_SLOT_WITHOUT);
	__atomic_store_n(&s->state, state, __ATOMIC_RELAXED);
}

void ap_slot_publish(struct ap_tables *t, const struct ap_slot *s)
{
	for (struct ap_slot_key *k = s->keys; k; k = k->next)
		t->target.set(t->target.ctx, &k->key, &s->ref);
}

static int compare_uses(const void *a, const void *b)
{
	const struct ap_slot_use *x = a, *y = b;

	return x->used < y->used ? -1 : x->used > y->used;
}

void ap_slots_by_use(const struct ap_tables *t, bool (*fits)(const struct ap_slot *s),
		     struct ap_slot_uses *ret)
{
	for (uint32_t i = 1; i < t->n_slots; i++) {
		struct ap_slot *s = &t->slots[i];
		struct ap_slot_use use = {s, __atomic_load_n(&s->used, __ATOMIC_RELAXED)};

		if (fits(s) && ap_vec_push(&ret->v, use) < 0)
			break;
	}
	if (ret->v.n)
		qsort(ret->v.p, ret->v.n, sizeof(*ret->v.p), compare_uses);
}

static void drop_key(struct ap_tables *t, struct ap_slot_key *k)
{
	t->target.forget(t->target.ctx, &k->key);
	HASH_DEL(t->keys, k);
	free(k);
}

static void drop_keys(struct ap_tables *t, struct ap_slot *s)
{
	while (s->keys) {
		struct ap_slot_key *k = s->keys;

		s->keys = k->next;
		drop_key(t, k);
	}
}

static void detach_key(struct ap_slot_key *k)
{
	struct ap_slot_key **at = k->slot ? &k->slot->keys : NULL;

	for (; at && *at != k; at = &(*at)->next)
		;
	if (at)
		*at = k->next;
}

static bool is_idle(const struct ap_slot *s)
{
	return s->state == AP_SLOT_WITHOUT || s->state == AP_SLOT_WANTED ||
	       s->state == AP_SLOT_READY;
}

static void retire(struct ap_tables *t, struct ap_slot *s, uint64_t now)
{
	drop_keys(t, s);
	if (s->ref.at)
		ap_vec_push(&t->releases, s->ref.at);
	s->ref.at = 0;
	s->file->table_id = 0;
	s->retired = now;
	ap_slot_set_state(t, s, AP_SLOT_UNUSED);
	push_back(&t->retired, s);
	t->stats.files--;
	t->stats.files_evicted++;
}

/* Takes back the numbers of files that have been out of use the longest, and forgets what is memory,
 * which comes again when it is needed. */
static void make_room(struct ap_tables *t, uint64_t now)
{
	struct ap_slot_uses uses = {0};
	struct ap_slot_key *k, *next;

	HASH_ITER(hh, t->keys, k, next)
		if (!k->slot)
			drop_key(t, k);
	ap_slots_by_use(t, is_idle, &uses);
	for (size_t i = 0; i < uses.v.n && i < RETIRE_SLOTS && uses.v.p[i].used < now; i++)
		retire(t, uses.v.p[i].slot, now);
	ap_vec_free(&uses.v);
}

/* NULL: all numbers are taken for the moment. */
static struct ap_slot *new_slot(struct ap_tables *t, struct ap_file *f, uint64_t now)
{
	struct ap_slot *s = t->retired.first;
	struct stat st;
	uint32_t id;

	if (t->stats.files >= AP_SLOTS - SPARE_SLOTS)
		make_room(t, now);
	if (t->n_slots < AP_SLOTS) {
		s = &t->slots[t->n_slots];
		id = t->n_slots++;
	} else if (s && s->retired + RETIRED_NS <= now) {
		ap_slot_list_pop(&t->retired);
		id = s->id + AP_SLOTS <= AP_FRAME_FILE_MAX ? s->id + AP_SLOTS : s->id % AP_SLOTS;
		ap_file_unref(s->file);
	} else {
		return NULL;
	}
	*s = (struct ap_slot){.id = id,
			      .file = ap_file_ref(f),
			      .ref = {.file = id, .flags = f->elf ? AP_FILE_PENDING : 0},
			      .used = now};
	if (f->fd >= 0 && fstat(f->fd, &st) == 0) {
		s->size = (uint64_t)st.st_size;
		s->mtime = (uint64_t)st.st_mtim.tv_sec * AP_NSEC_PER_SEC +
			   (uint64_t)st.st_mtim.tv_nsec;
	}
	ap_slot_set_state(t, s, f->elf ? AP_SLOT_WANTED : AP_SLOT_WITHOUT);
	f->table_id = id;
	t->stats.files++;
	return s;
}

static struct ap_slot *find_slot(struct ap_tables *t, uint32_t id)
{
	struct ap_slot *s = &t->slots[id % AP_SLOTS];

	return id && s->id == id ? s : NULL;
}

static struct ap_slot_key *find_key(struct ap_tables *t, const struct ap_file_key *key)
{
	struct ap_slot_key *k;

	HASH_FIND(hh, t->keys, key, sizeof(*key), k);
	return k;
}

/* Lets the inode be that file, or memory where there is none. */
static void put_key(struct ap_tables *t, const struct ap_file_key *key, struct ap_slot *s,
		    uint64_t now)
{
	static const struct ap_file_ref memory;
	struct ap_slot_key *k = find_key(t, key);

	if (!k && HASH_COUNT(t->keys) >= AP_FILES_MAX)
		make_room(t, now);
	if (k) {
		detach_key(k);
	} else {
		k = calloc(1, sizeof(*k));
		if (!k)
			return;
		k->key = *key;
		HASH_ADD(hh, t->keys, key, sizeof(k->key), k);
	}
	k->slot = s;
	if (s) {
		k->next = s->keys;
		s->keys = k;
	}
	t->target.set(t->target.ctx, key, s ? &s->ref : &memory);
}

/* A frame lies in a file whose table is queued: it goes before those that were only mapped. */
static void promote(struct ap_tables *t, struct ap_slot *s)
{
	take_out(&t->queue, s);
	s->is_urgent = true;
	push_back(&t->urgent, s);
}

/* Queues the file's table; those that frames lie in go first. */
static void request(struct ap_tables *t, struct ap_slot *s, bool is_used)
{
	uint32_t queued = t->urgent.n + t->queue.n;

	if (s->state == AP_SLOT_QUEUED && is_used && !s->is_urgent)
		promote(t, s);
	if (s->state != AP_SLOT_WANTED)
		return;
	if (s->file->fd < 0) {
		/* The next notice opens it anew. */
		s->file->wanted = true;
		drop_keys(t, s);
		return;
	}
	if (queued >= (is_used ? 2 * QUEUE_MAX : QUEUE_MAX)) {
		t->stats.postponed++;
		return;
	}
	ap_file_pin(s->file);
	ap_slot_set_state(t, s, AP_SLOT_QUEUED);
	s->is_urgent = is_used;
	push_back(is_used ? &t->urgent : &t->queue, s);
	pthread_cond_broadcast(&t->work);
}

static bool is_same_content(const struct ap_slot *a, const struct ap_slot *b)
{
	const struct ap_elf_map *x = &a->file->map, *y = &b->file->map;

	if (x->build_id_bytes || y->build_id_bytes)
		return x->build_id_bytes == y->build_id_bytes &&
		       memcmp(x->build_id, y->build_id, x->build_id_bytes) == 0;
	return a->size == b->size && a->mtime == b->mtime;
}

/* The inode as fstat() has it. One that a file of the same content has already, under another name,
 * stays that file's; of other content, it was written anew. */
static void guess_key(struct ap_tables *t, struct ap_slot *s, uint64_t now)
{
	struct ap_file_key key = {0};
	struct ap_slot_key *k;
	struct stat st;
	uint32_t generation[2] = {0}; /* the request says long, file systems write 32 bits */

	if (fstat(s->file->fd, &st) < 0)
		return;
	key.inode = st.st_ino;
	key.device = major(st.st_dev) << 20 | minor(st.st_dev);
	if (ioctl(s->file->fd, FS_IOC_GETVERSION, generation) == 0)
		key.generation = generation[0];
	k = find_key(t, &key);
	if (!k || !k->slot || !is_same_content(k->slot, s))
		put_key(t, &key, s, now);
}

void ap_tables_add(struct ap_tables *t, struct ap_file *f, uint64_t now)
{
	struct ap_slot *s;

	if (f->fd < 0 || !f->elf)
		return;
	pthread_mutex_lock(&t->lock);
	s = find_slot(t, f->table_id);
	if (s && s->state == AP_SLOT_WITHOUT && !s->compiled) {
		ap_slot_set_state(t, s, AP_SLOT_WANTED);
	} else if (!s) {
		s = new_slot(t, f, now);
		if (s)
			guess_key(t, s, now);
	}
	if (s)
		request(t, s, false);
	pthread_mutex_unlock(&t->lock);
}

void ap_tables_add_key(struct ap_tables *t, struct ap_file *f, const struct ap_file_key *key,
		       uint64_t now)
{
	bool is_memory = !f->elf && !ap_proc_is_file(ap_str_of(f->path));
	struct ap_slot *s;

	pthread_mutex_lock(&t->lock);
	t->stats.notices++;
	s = is_memory ? NULL : find_slot(t, f->table_id);
	if (!s && !is_memory)
		s = new_slot(t, f, now);
	if (s && s->state == AP_SLOT_WANTED && f->fd < 0) {
		s->ref.flags = 0;
		ap_slot_set_state(t, s, AP_SLOT_WITHOUT);
		ap_slot_publish(t, s);
	}
	if (s || is_memory)
		put_key(t, key, s, now);
	if (s && now >= s->retry)
		request(t, s, true);
	pthread_mutex_unlock(&t->lock);
}

void ap_tables_unresolved(struct ap_tables *t)
{
	pthread_mutex_lock(&t->lock);
	t->stats.notices++;
	t->stats.unresolved++;
	pthread_mutex_unlock(&t->lock);
}

struct ap_file *ap_tables_use(struct ap_tables *t, uint32_t id, uint64_t now)
{
	struct ap_slot *s = find_slot(t, id);
	enum ap_slot_state state;

	if (!s)
		return NULL;
	__atomic_store_n(&s->used, now, __ATOMIC_RELAXED);
	state = __atomic_load_n(&s->state, __ATOMIC_RELAXED);
	if (state == AP_SLOT_WANTED || state == AP_SLOT_QUEUED) {
		pthread_mutex_lock(&t->lock);
		if (now >= s->retry)
			request(t, s, true);
		pthread_mutex_unlock(&t->lock);
	}
	return s->file;
}

void ap_tables_wait(struct ap_tables *t, uint64_t deadline)
{
	struct timespec until = ap_clock_timespec(deadline);

	pthread_mutex_lock(&t->lock);
	while ((t->urgent.n || t->queue.n || t->busy) &&
	       pthread_cond_timedwait(&t->idle, &t->lock, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&t->lock);
}

void ap_tables_get_stats(struct ap_tables *t, struct ap_tables_stats *ret)
{
	pthread_mutex_lock(&t->lock);
	*ret = t->stats;
	ret->keys = HASH_COUNT(t->keys);
	ret->queued = t->urgent.n + t->queue.n;
	pthread_mutex_unlock(&t->lock);
}

static void add_vdso(struct ap_tables *t, struct ap_file_table *files)
{
	static const struct ap_file_key key = {.device = AP_DEVICE_VDSO};
	struct ap_file *f = ap_file_table_vdso(files);
	uint64_t now = ap_clock_mono_ns();
	struct ap_slot *s = f ? new_slot(t, f, now) : NULL;

	if (s) {
		put_key(t, &key, s, now);
		request(t, s, false);
	}
	ap_file_unref(f);
}

static void release(struct ap_tables *t)
{
	struct ap_slot_key *k, *next;
	struct ap_slot *s;

	while ((s = ap_slot_next_queued(t, false)) || (s = ap_slot_next_queued(t, true)))
		ap_file_unpin(s->file);
	HASH_ITER(hh, t->keys, k, next) {
		HASH_DEL(t->keys, k);
		free(k);
	}
	for (uint32_t i = 1; t->slots && i < t->n_slots; i++)
		ap_file_unref(t->slots[i].file);
	free(t->slots);
	ap_vec_free(&t->releases);
	ap_unwind_table_free(t->stalled_table);
	ap_table_store_free(t->store);
	pthread_mutex_destroy(&t->lock);
	pthread_mutex_destroy(&t->storing);
	pthread_cond_destroy(&t->work);
	pthread_cond_destroy(&t->idle);
	free(t);
}

static int start_workers(struct ap_tables *t)
{
	static void *(*const workers[AP_TABLE_WORKERS])(void *tables) = {
		ap_tables_worker,
		ap_tables_large_worker,
	};
	int r = 0;

	while (r == 0 && t->n_threads < AP_TABLE_WORKERS) {
		t->busy++;
		r = -pthread_create(&t->threads[t->n_threads], NULL, workers[t->n_threads], t);
		t->n_threads += r == 0;
	}
	return r;
}

int ap_tables_new(struct ap_file_table *files, const struct ap_tables_target *target,
		  struct ap_tables **ret)
{
	struct ap_tables *t = calloc(1, sizeof(*t));
	pthread_condattr_t attr;
	int r = -ENOMEM;

	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->work, &attr);
	pthread_cond_init(&t->idle, &attr);
	t->target = *target;
	t->n_slots = 1;
	pthread_mutex_init(&t->storing, NULL);
	t->slots = calloc(AP_SLOTS, sizeof(*t->slots));
	t->store = ap_table_store_new(target->words, target->n_words);
	if (t->slots && t->store) {
		add_vdso(t, files);
		ap_table_store_get_stats(t->store, &t->stats.store);
		r = start_workers(t);
	}
	if (r < 0) {
		ap_tables_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void ap_tables_free(struct ap_tables *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_broadcast(&t->work);
	pthread_mutex_unlock(&t->lock);
	for (int i = 0; i < t->n_threads; i++)
		pthread_join(t->threads[i], NULL);
	release(t);
}
