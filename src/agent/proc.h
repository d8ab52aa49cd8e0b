/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc tells of a process that still lives. Every function gives -ENOENT or -ESRCH where it
 * has gone. Source: proc(5). */
#ifndef AP_AGENT_PROC_H
#define AP_AGENT_PROC_H

#include "agent/maps.h"
#include "base/buf.h"

struct ap_proc_stat {
	int32_t ppid, group; /* parent, process group */
	bool kernel;	     /* a kernel thread */
	uint64_t start_time; /* ns since boot, in steps of a clock tick (10 ms) */
	char comm[16];	     /* NUL-terminated */
};

int ap_proc_stat(int32_t pid, struct ap_proc_stat *ret);
/* Takes the text of /proc/PID/stat apart: 0 or -EINVAL. */
int ap_proc_stat_parse(struct ap_str text, struct ap_proc_stat *ret);

/* Path of the executable, without " (deleted)"; the caller's to free. */
int ap_proc_exe(int32_t pid, char **ret);
/* Path of the file that is mapped at exactly [start, end), as the kernel says it: in `buf`, of PATH_MAX
 * bytes. */
int ap_proc_mapped_path(int32_t pid, uint64_t start, uint64_t end, char *buf, struct ap_str *ret);
/* Text of /proc/PID/cgroup; the caller's to free. */
int ap_proc_cgroup(int32_t pid, char **ret);

/* The executable mappings; replaces what `ret` held. Files that are new are opened; `needed` as in
 * struct ap_file_source. */
int ap_proc_maps(int32_t pid, struct ap_file_table *files, bool needed, struct ap_maps *ret);

/* The text of /proc/PID/maps, up to 16 MiB of it. */
int ap_proc_maps_text(int32_t pid, struct ap_buf *ret);

/* One line of it. */
struct ap_proc_map {
	uint64_t start, end, pgoff, dev, inode;
	bool exec, write;
	struct ap_str path; /* borrowed from the line */
};
int ap_proc_map_parse(struct ap_str line, struct ap_proc_map *ret); /* 0 or -EINVAL */

/* Whether a mapping's name is that of a file that may hold code: not anonymous memory, a memfd or
 * a device, which hold what a JIT compiler wrote. */
bool ap_proc_is_file(struct ap_str path);

/* The file of a mapping's code: a reference that is the caller's; NULL where it has none, as JIT
 * code. A memory file counts if it is an ELF file. 0 or -ENOMEM. */
int ap_proc_code_file(struct ap_file_table *files, const struct ap_file_source *s,
		      struct ap_file **ret);

#endif
