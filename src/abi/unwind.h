/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Unwind tables as user space writes them and the walker reads them.
 *
 * All tables live in one store of 32-bit words, shared by all processes: in BPF an arena or an array
 * of leaves, on the host plain memory. It begins with the dictionary of rules, which all tables
 * share, rule i in the AP_RULE_WORDS words at AP_RULE_WORDS * i. Then come the tables, each of them
 *
 *	directory	n_pages + 1 words: entry k is the number of the first row at or after page k
 *	rows		one word each: low 16 bits of the file offset | rule << 16
 *
 * A page is 2^shift bytes of the file, shift ≤ 16, so that 16 bits tell the rows of one page apart;
 * the shift is chosen so that a page has few rows, and a look-up touches one cache line of them.
 * Row numbers count from the table's first word, its directory included: a table can be moved. A row
 * holds from its offset up to the next row's, also past the end of its page; what no function covers
 * has rows of rule AP_RULE_NONE.
 *
 * Tables are keyed by file offset, not by address: a mapping then needs no bias but what the kernel
 * keeps of it anyway.
 */
#ifndef AP_ABI_UNWIND_H
#define AP_ABI_UNWIND_H

#include "abi/record.h"

#define AP_RULE_WORDS	  4
#define AP_RULES_MAX	  16384
#define AP_RULE_NONE	  0u /* the rule of all zeros: no unwind information here */
#define AP_TABLES_AT	  (AP_RULES_MAX * AP_RULE_WORDS) /* the first word that is no rule */
#define AP_LEAF_WORDS	  1024 /* of the array that stands in for the arena: 4 KiB */
#define AP_PAGE_SHIFT_MIN 8
#define AP_PAGE_SHIFT_MAX 16

#define AP_MAP_TYPE_ARENA 33 /* BPF_MAP_TYPE_ARENA, which older headers lack */

/* How the canonical frame address is found. Registers have their DWARF numbers; besides the stack
 * pointer, the frame pointer and AP_REG_TRACKED (bpf/arch_*.h) only the leaf's and those of a frame
 * that a signal interrupted are known. */
enum ap_cfa {
	AP_CFA_NONE = 0,    /* no unwind information: not covered, or not to be had */
	AP_CFA_REGISTER,    /* register + cfa_offset */
	AP_CFA_DEREF,	    /* *(register + cfa_offset) + cfa_add */
	AP_CFA_PLT,	    /* stack pointer + 8, and 8 more where (pc & 15) ≥ cfa_offset */
	AP_CFA_SIGNAL,	    /* a signal frame: all registers lie in the sigcontext at register +
			       cfa_offset (x86-64: from r8 on, struct sigcontext) */
	AP_CFA_END,	    /* the outermost frame */
	AP_CFA_UNSUPPORTED, /* there is a rule, and it cannot be expressed here */
	AP_CFA_GO_SWITCH,   /* Go: the caller is on another stack; `ra` is an enum ap_go_switch */
	AP_CFA_KINDS,
};

/* Where the caller's value of a register is. */
enum ap_saved {
	AP_SAVED_SAME = 0,  /* not changed; of the return address: in AP_REG_RA (not on x86-64) */
	AP_SAVED_CFA,	    /* *(CFA + offset) */
	AP_SAVED_FP,	    /* *(frame pointer + offset), of functions that realign their stack */
	AP_SAVED_SP,	    /* *(stack pointer + offset) */
	AP_SAVED_REGISTER,  /* in register number `offset`, of leaves (vfork) */
	AP_SAVED_UNDEFINED, /* lost */
	AP_SAVED_KINDS,
};

/* How the stack goes on where Go's runtime has switched to another (bpf/go.bpf.h tells of each). The
 * offsets are in bytes; g, m and gobuf are the runtime's structs for goroutine, thread and saved
 * registers. The return address is at CFA - 8 but for AP_GO_MORESTACK. */
enum ap_go_switch {
	/* CFA = register + cfa_offset. */
	AP_GO_FRAME = 0,
	/* g = *(stack pointer + ra_offset), v = *(stack pointer + cfa_offset);
	 * CFA = (g ? g->stack.hi - v : v) + cfa_add. */
	AP_GO_CGOCALL,
	/* g = *(thread pointer + cfa_offset), or with AP_GO_INDIRECT *(thread pointer + *(pc +
	 * cfa_offset)); m = *(g + ra_offset), curg = *(m + fp_offset), gobuf at curg +
	 * tracked_offset; CFA = gobuf.sp + cfa_add; the frame pointer is kept. */
	AP_GO_SYSTEMSTACK,
	/* The gobuf as before holds all of the caller: sp, pc at 8, frame pointer at cfa_add. */
	AP_GO_MORESTACK,
};
#define AP_GO_INDIRECT 0x80 /* in fp_tracked */

struct ap_rule {
	uint8_t cfa; /* enum ap_cfa */
	uint8_t cfa_register;
	uint8_t ra;	    /* enum ap_saved: the return address */
	uint8_t fp_tracked; /* enum ap_saved: frame pointer | AP_REG_TRACKED << 4 */
	int32_t cfa_offset;
	int16_t cfa_add;
	int16_t ra_offset, fp_offset, tracked_offset; /* bytes */
};

/* The answer of an earlier look-up, of which there are AP_RULE_MEMOS for all CPUs (bpf/table.bpf.h). */
struct ap_rule_memo {
	uint64_t check;
	uint64_t rule[2]; /* struct ap_rule */
	uint64_t pad;
};

#define AP_RULE_MEMOS_BITS 13
#define AP_RULE_GROUP_BITS 7 /* a page's worth */
#define AP_RULE_MEMOS	   (1u << AP_RULE_MEMOS_BITS)

/* What the walker knows of a mapped file: the value of the map `files`. */
struct ap_file_ref {
	uint32_t file;	     /* id for frames, 1 to AP_FRAME_FILE_MAX; 0: memory that a program
				wrote its code to, whose frames keep their addresses */
	uint32_t at;	     /* the table's first word; 0: there is none */
	uint32_t first_page; /* of the directory: (file offset >> shift) of its entry 0 */
	uint32_t n_pages;
	uint32_t shift;
	uint32_t flags; /* AP_FILE_* */
};

enum {
	AP_FILE_PENDING = 1, /* a table is being made, or will be */
};

/* A file as the kernel's inode says: of what is mapped, so on an overlay that of the file beneath.
 * The key of the map `files`. */
struct ap_file_key {
	uint64_t inode;
	uint32_t device;     /* the superblock's: major << 20 | minor */
	uint32_t generation; /* tells reused inode numbers apart; 0 on some file systems */
};

#define AP_FILES_MAX 16384
/* The vDSO has no inode: device AP_DEVICE_VDSO, which no file system has. */
#define AP_DEVICE_VDSO 0xffffffffu

/* Payload of AP_SECTION_FILE: a mapping of a file that `files` has no entry for. */
struct ap_file_notice {
	struct ap_file_key key;
	uint64_t start, end; /* of the mapping */
	uint64_t pgoff;	     /* offset in the file at `start`, bytes */
};

#define AP_UNWIND_ASSERT(t, n) _Static_assert(sizeof(t) == (n), #t " is shared with BPF")
AP_UNWIND_ASSERT(struct ap_rule, 16);
AP_UNWIND_ASSERT(struct ap_rule_memo, 32);
AP_UNWIND_ASSERT(struct ap_file_ref, 24);
AP_UNWIND_ASSERT(struct ap_file_key, 16);
AP_UNWIND_ASSERT(struct ap_file_notice, 40);

#endif
