/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/chdb.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/macro.h"

static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the two below */
static bool loaded;
static struct ap_chdb functions;

/* For how long the engine's allocator keeps what was freed, of which merges leave much: 5 s by default, and longer
 * where nobody allocates from the same arena, unless a thread of its own looks after that. Whoever sets the variable
 * himself knows better. */
#define MALLOC_CONF "dirty_decay_ms:300,background_thread:true"

static int load(const char *path, struct ap_error *err)
{
	void *h;

	setenv("JE_MALLOC_CONF", MALLOC_CONF, 0);
	/* RTLD_LOCAL keeps the engine's own copies of common C++ libraries apart from ours. */
	h = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!h)
		return ap_error_set(err, -ENOENT, "the embedded ClickHouse cannot be loaded: %s",
				    dlerror());
#define LOOK_UP(name, type, params)                                                               \
	functions.name = (type(*) params)dlsym(h, "chdb_" #name);                                 \
	if (!functions.name)                                                                      \
		return ap_error_set(err, -ELIBBAD,                                                \
				    "%s lacks chdb_" #name ": version 26.7.3 or later is needed", \
				    path);
	AP_CHDB_FUNCTIONS(LOOK_UP)
#undef LOOK_UP
	functions.set_signal_handlers_enabled(0);
	return 0;
}

int ap_chdb_load(const char *path, const struct ap_chdb **ret, struct ap_error *err)
{
	int r = 0;

	pthread_mutex_lock(&load_lock);
	if (!loaded) {
		r = load(path, err);
		loaded = r == 0;
	}
	pthread_mutex_unlock(&load_lock);
	if (r == 0)
		*ret = &functions;
	return r;
}

static bool holds(const struct dl_phdr_info *o, const ElfW(Phdr) * h, uintptr_t address)
{
	return h->p_type == PT_LOAD && address - (o->dlpi_addr + h->p_vaddr) < h->p_memsz;
}

/* Relocations in a segment that is not to be written would be lost. */
static bool has_text_relocations(const struct dl_phdr_info *o, const ElfW(Phdr) * h)
{
	const ElfW(Dyn) *d = (const ElfW(Dyn) *)(o->dlpi_addr + h->p_vaddr);

	for (; h->p_type == PT_DYNAMIC && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_TEXTREL || (d->d_tag == DT_FLAGS && d->d_un.d_val & DF_TEXTREL))
			return true;
	return false;
}

/* Of the loaded object that has the address. */
static int give_back(struct dl_phdr_info *o, size_t size, void *address)
{
	const ElfW(Phdr) *h = o->dlpi_phdr, *end = h + o->dlpi_phnum;
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	bool found = false;

	for (; h < end; h++) {
		found |= holds(o, h, (uintptr_t)address);
		if (has_text_relocations(o, h))
			return 0;
	}
	for (h = o->dlpi_phdr; found && h < end; h++) {
		uintptr_t from = (o->dlpi_addr + h->p_vaddr + page - 1) & ~(page - 1);
		uintptr_t to = (o->dlpi_addr + h->p_vaddr + h->p_filesz) & ~(page - 1);

		if (h->p_type == PT_LOAD && !(h->p_flags & PF_W) && from < to)
			madvise((void *)from, to - from, MADV_DONTNEED);
	}
	return found;
}

void ap_chdb_give_back(const struct ap_chdb *lib)
{
	dl_iterate_phdr(give_back, (void *)lib->connect);
}
