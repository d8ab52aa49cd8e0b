/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The few kernel structures that the programs read, with only the fields that they use. libbpf
 * moves each access to where the running kernel's BTF has the field, so that a build needs no
 * kernel's headers or BTF. Names are those of Linux 5.15 to 6.18. */
#ifndef AP_BPF_KERNEL_BPF_H
#define AP_BPF_KERNEL_BPF_H

#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>

#include "abi/record.h"

#define AP_CO_RE __attribute__((preserve_access_index))

/* linux/sched.h: a task that ends, and tasks without user code, of which some borrow an address space. */
#define PF_EXITING     0x00000004
#define PF_IO_WORKER   0x00000010
#define PF_USER_WORKER 0x00004000
#define PF_KTHREAD     0x00200000

typedef struct {
	int counter;
} AP_CO_RE atomic_t;

struct ns_common {
	unsigned int inum;
} AP_CO_RE;

struct pid_namespace {
	struct ns_common ns;
} AP_CO_RE;

struct upid {
	int nr;
	struct pid_namespace *ns;
} AP_CO_RE;

struct pid {
	unsigned int level;
	struct upid numbers[1];
} AP_CO_RE;

struct maple_tree {
	void *ma_root;
} AP_CO_RE;

struct maple_range_64 {
	unsigned long pivot[15];
} AP_CO_RE;

typedef struct {
	void *vdso;
} AP_CO_RE mm_context_t;

typedef struct seqcount {
	unsigned int sequence;
} AP_CO_RE seqcount_t;

typedef struct {
	long counter;
} AP_CO_RE atomic_long_t;

struct rw_semaphore {
	atomic_long_t count;
} AP_CO_RE;

struct mm_struct {
	struct maple_tree mm_mt;
	struct rw_semaphore mmap_lock;
	seqcount_t mm_lock_seq;
	void *pgd;
	unsigned long start_stack;
	mm_context_t context;
} AP_CO_RE;

/* Until Linux 6.12. */
struct mm_struct___seq_int {
	int mm_lock_seq;
} AP_CO_RE;

struct super_block {
	unsigned int s_dev;
} AP_CO_RE;

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_generation;
} AP_CO_RE;

struct file {
	struct inode *f_inode;
} AP_CO_RE;

struct vm_area_struct {
	unsigned long vm_start, vm_end;
	struct mm_struct *vm_mm;
	unsigned long vm_flags, vm_pgoff;
	struct file *vm_file;
} AP_CO_RE;

/* Until Linux 6.0. */
struct rb_root {
	void *rb_node;
} AP_CO_RE;

struct rb_node {
	unsigned long __rb_parent_color;
} AP_CO_RE;

struct mm_struct___rb {
	struct rb_root mm_rb;
} AP_CO_RE;

struct vm_area_struct___rb {
	struct rb_node vm_rb;
} AP_CO_RE;

struct thread_struct {
	unsigned long fsbase;
} AP_CO_RE;

struct thread_info {
	unsigned long flags;
	unsigned int status;
	uint64_t preempt_count; /* arm64 */
} AP_CO_RE;

typedef struct {
	unsigned long sig[1];
} AP_CO_RE sigset_t;

struct sigpending {
	sigset_t signal;
} AP_CO_RE;

struct signal_struct {
	atomic_t live;
	struct sigpending shared_pending;
} AP_CO_RE;

struct rq {
	uint64_t clock;
	int cpu;
} AP_CO_RE;

/* With CONFIG_FAIR_GROUP_SCHED. */
struct cfs_rq {
	struct rq *rq;
} AP_CO_RE;

struct raw_spinlock {
	int raw_lock;
} AP_CO_RE;

typedef struct spinlock {
	struct raw_spinlock rlock;
} AP_CO_RE spinlock_t;

struct sighand_struct {
	spinlock_t siglock;
} AP_CO_RE;

struct sched_entity {
	uint64_t sum_exec_runtime;
	struct cfs_rq *cfs_rq;
} AP_CO_RE;

struct kernfs_node {
	uint64_t id;
} AP_CO_RE;

struct cgroup_subsys_state {
	struct cgroup_subsys_state *parent;
} AP_CO_RE;

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
} AP_CO_RE;

struct css_set {
	struct cgroup *dfl_cgrp;
} AP_CO_RE;

struct task_struct {
	unsigned int __state;
	void *stack;
	int on_cpu;
	unsigned long jobctl;
	sigset_t blocked;
	struct sigpending pending;
	struct bpf_local_storage *bpf_storage;
	struct css_set *cgroups;
	struct sched_entity se;
	struct thread_info thread_info;
	unsigned int flags;
	int pid;
	int tgid;
	struct mm_struct *mm;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct signal_struct *signal;
	struct sighand_struct *sighand;
	uint64_t start_boottime;
	char comm[16];
	struct thread_struct thread;
} AP_CO_RE;

struct bpf_ringbuf {
	uint64_t mask;
} AP_CO_RE;

struct bpf_ringbuf_map {
	struct bpf_ringbuf *rb;
} AP_CO_RE;

struct bpf_iter_meta {
	struct seq_file *seq;
} AP_CO_RE;

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} AP_CO_RE;

#endif
