/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/percpu.h"

#include <bpf/btf.h>
#include <errno.h>
#include <string.h>

#include "base/macro.h"

#define SECTION ".data..percpu"

/* The variable's place in the section, and its type. */
static int find_variable(const struct btf *btf, const char *name, int64_t *ret, uint32_t *ret_type)
{
	int id = btf__find_by_name_kind(btf, SECTION, BTF_KIND_DATASEC);
	const struct btf_type *section = id < 0 ? NULL : btf__type_by_id(btf, (uint32_t)id);
	const struct btf_var_secinfo *v = section ? btf_var_secinfos(section) : NULL;

	for (uint32_t i = 0; section && i < btf_vlen(section); i++) {
		const struct btf_type *var = btf__type_by_id(btf, v[i].type);
		const char *its = var ? btf__name_by_offset(btf, var->name_off) : NULL;

		if (!its || strcmp(its, name) != 0)
			continue;
		*ret = v[i].offset;
		*ret_type = var->type;
		return 0;
	}
	return -ENOENT;
}

/* In a structure, and in those without a name that are in it. */
static int find_member(const struct btf *btf, uint32_t type, const char *name, int64_t *ret)
{
	const struct btf_type *t = btf__type_by_id(btf, type);
	const struct btf_member *m;

	if (!t || !btf_is_composite(t))
		return -ENOENT;
	m = btf_members(t);
	for (uint32_t i = 0; i < btf_vlen(t); i++) {
		const char *its = btf__name_by_offset(btf, m[i].name_off);
		int64_t inner = 0;

		if (its && strcmp(its, name) != 0 &&
		    (its[0] || find_member(btf, m[i].type, name, &inner) < 0))
			continue;
		*ret = btf_member_bit_offset(t, i) / 8 + inner;
		return 0;
	}
	return -ENOENT;
}

int ap_percpu_preempt_count(int64_t *ret)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int64_t queue, at, inner = 0;
	uint32_t type;
	int r;

	if (!btf)
		return -errno;
	r = find_variable(btf, "runqueues", &queue, &type);
	if (r == 0 && find_variable(btf, "__preempt_count", &at, &type) < 0) {
		/* Linux 6.2 to 6.14 */
		r = find_variable(btf, "pcpu_hot", &at, &type);
		if (r == 0)
			r = find_member(btf, type, "preempt_count", &inner);
	}
	if (r == 0)
		*ret = at + inner - queue;
	btf__free(btf);
	return r;
}
