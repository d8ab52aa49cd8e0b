/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "agent/elf_map.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>

#include "base/io.h"

static int file_of(const void *p, size_t n)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ap_write_all(fd, p, n), 0);
	return fd;
}

static int find_base(struct dl_phdr_info *info, size_t size, void *ret)
{
	*(uint64_t *)ret = info->dlpi_addr;
	return 1;
}

static void reads_this_program(void **state)
{
	_cleanup_fd_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	uint64_t base = 0, vaddr;
	struct ap_elf_map m;

	assert_int_equal(ap_elf_map_read(fd, &m), 0);
	assert_int_equal(m.build_id_bytes, 20);
	dl_iterate_phdr(find_base, &base);
	vaddr = (uint64_t)(uintptr_t)reads_this_program - base;
	for (uint32_t i = 0; i < m.n_loads; i++) {
		const struct ap_elf_load *l = &m.loads[i];

		if (l->exec && vaddr >= l->vaddr && vaddr - l->vaddr < l->filesz) {
			assert_int_equal(ap_elf_map_vaddr(&m, vaddr - l->vaddr + l->offset), vaddr);
			return;
		}
	}
	fail_msg("no executable segment holds this function");
}

static void prefers_the_executable_segment_of_a_shared_page(void **state)
{
	struct ap_elf_map m = {
		.n_loads = 2,
		.loads = {{0, 0x400000, 0x1800, false}, {0x1800, 0x402800, 0x1000, true}}};

	assert_int_equal(ap_elf_map_vaddr(&m, 0x1900), 0x402900);
	/* The page is mapped from its beginning. */
	assert_int_equal(ap_elf_map_vaddr(&m, 0x1100), 0x402100);
	assert_int_equal(ap_elf_map_vaddr(&m, 0x100), 0x400100);
	assert_int_equal(ap_elf_map_vaddr(&m, 0x99999), 0x99999);
}

struct image {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
	Elf64_Nhdr nh;
	char name[4];
	uint8_t desc[8];
};

static struct image make(void)
{
	struct image i = {
		.eh = {.e_phoff = offsetof(struct image, ph),
		       .e_phentsize = sizeof(Elf64_Phdr),
		       .e_phnum = 2},
		.ph = {{.p_type = PT_LOAD, .p_flags = PF_X, .p_filesz = 100},
		       {.p_type = PT_NOTE,
			.p_offset = offsetof(struct image, nh),
			.p_filesz = 24,
			.p_align = 4}},
		.nh = {4, 8, NT_GNU_BUILD_ID},
		.name = "GNU",
		.desc = {0xde, 0xad},
	};

	memcpy(i.eh.e_ident, ELFMAG, SELFMAG);
	i.eh.e_ident[EI_CLASS] = ELFCLASS64;
	i.eh.e_ident[EI_DATA] = ELFDATA2LSB;
	return i;
}

static int read_image(const struct image *i, size_t n, struct ap_elf_map *m)
{
	_cleanup_fd_ int fd = file_of(i, n);

	return ap_elf_map_read(fd, m);
}

static void hostile_files_do_no_harm(void **state)
{
	struct image i = make();
	struct ap_elf_map m;

	assert_int_equal(read_image(&i, sizeof(i), &m), 0);
	assert_int_equal(m.build_id_bytes, 8);
	assert_int_equal(m.build_id[1], 0xad);
	assert_int_equal(read_image(&i, 20, &m), -ENOEXEC);
	i.eh.e_phoff = UINT64_MAX - 8;
	assert_int_equal(read_image(&i, sizeof(i), &m), -ENOEXEC);
	i = make();
	i.eh.e_phnum = 65535; /* ends before its headers do */
	assert_int_equal(read_image(&i, sizeof(i), &m), -ENOEXEC);
	i = make();
	i.eh.e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(read_image(&i, sizeof(i), &m), -ENOEXEC);
	i = make();
	i.nh.n_namesz = UINT32_MAX;
	assert_int_equal(read_image(&i, sizeof(i), &m), 0);
	assert_int_equal(m.build_id_bytes, 0);
	i = make();
	i.nh.n_descsz = UINT32_MAX;
	assert_int_equal(read_image(&i, sizeof(i), &m), 0);
	assert_int_equal(m.build_id_bytes, 0);
	i = make();
	i.ph[1].p_offset = UINT64_MAX;
	i.ph[1].p_filesz = UINT64_MAX;
	assert_int_equal(read_image(&i, sizeof(i), &m), 0);
	assert_int_equal(m.n_loads, 1);
}

static void data_goes_on_where_the_file_ends(void **state)
{
	struct ap_elf_map m = {.n_loads = 3,
			       .loads = {{0, 0, 0x2150, .memsz = 0x2150},
					 {0x2de0, 0x3de0, 0x240, .write = true, .memsz = 0x5000},
					 {0x9000, 0xb000, 0x100, .write = true, .memsz = 0x100}}};
	uint64_t vaddr;

	/* The page before it is that of constants, too. */
	assert_int_equal(ap_elf_map_data(&m, 0x2e00, &vaddr), 0);
	assert_int_equal(vaddr, 0x3e00);
	assert_int_equal(ap_elf_map_data(&m, 0x2000, &vaddr), 0);
	assert_int_equal(vaddr, 0x3000);
	/* .bss, to its last byte */
	assert_int_equal(ap_elf_map_data(&m, 0x7ddf, &vaddr), 0);
	assert_int_equal(vaddr, 0x8ddf);
	assert_int_equal(ap_elf_map_data(&m, 0x7de0, &vaddr), -ENOENT);
	assert_int_equal(ap_elf_map_data(&m, 0x9010, &vaddr), 0);
	assert_int_equal(vaddr, 0xb010);
	assert_int_equal(ap_elf_map_data(&m, 0x1fff, &vaddr), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_this_program),
		cmocka_unit_test(prefers_the_executable_segment_of_a_shared_page),
		cmocka_unit_test(data_goes_on_where_the_file_ends),
		cmocka_unit_test(hostile_files_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
