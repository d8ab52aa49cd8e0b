/* SPDX-License-Identifier: Apache-2.0 */
/* Three seconds of waits for locks on two hosts, and what is known of them. */
#ifndef AP_TESTS_LOCKS_CHECKS_H
#define AP_TESTS_LOCKS_CHECKS_H

#include "fixture.h"

#define LOCK_A	    "service=db,pid=7,lock=0x10,kind=mutex,thread="
#define LOCK_B	    "service=db,pid=7,lock=0x20,kind=rwlock,place=table+0x8 in db,thread="
#define LOCK_C	    "service=db,pid=7,lock=0x40,kind=semaphore,thread="
#define KERNEL_LOCK "service=db,pid=7,domain=kernel,lock=mmap_lock,kind=rwsem write,caller="

static inline void wait_row(struct ap_profile *p, int64_t second, const char *label_text,
			    const char *path, uint64_t count, uint64_t ns)
{
	struct ap_sample s = {.time_ns = NS(second),
			      .count = count,
			      .value = ns,
			      .labels = labels(p, label_text),
			      .stack = stack(p, path, "/bin/db", 0),
			      .event = AP_EVENT_LOCK};

	assert_int_equal(ap_profile_add(p, &s), 0);
}

/* Second k. Two hosts have the same process number and address, which are different locks. */
static inline void push_waits(struct fixture *f, int k)
{
	struct ap_profile *a = ap_profile_new(), *b = ap_profile_new();
	int64_t t = T0 + k;

	wait_row(a, t, LOCK_A "w1,waker=h,ended=woken", "main;commit;__pthread_mutex_lock", 2,
		 2000);
	wait_row(a, t, LOCK_A "w2,waker=h", "main;flush;__pthread_mutex_lock", 1, 500);
	wait_row(a, t, LOCK_A "w2", "__lll_lock_wait", 0, 9000); /* cut short, not over */
	wait_row(a, t, LOCK_B "w1,waker=w2", "main;look;pthread_rwlock_rdlock", 4, 400);
	wait_row(a, t, LOCK_B "w1,waker=w2,ended=timeout", "main;look;pthread_rwlock_rdlock", 2,
		 200);
	wait_row(a, t, LOCK_B "w1,waker=w2,ended=signal", "main;look;pthread_rwlock_rdlock", 1,
		 100);
	/* Nobody lets go of the one on the first host. */
	wait_row(a, t, LOCK_C "idle,ended=timeout", "main;rest;sem_timedwait", 1, 8000);
	wait_row(a, t, "service=db,pid=7,lock=0x30,kind=park,thread=idle", "main;rest", 1, 9000);
	wait_row(a, t, "service=db,pid=7,thread=w1", "[short waits]", 40, 300);
	sample(a, t, LOCK_A "w1", stack(a, "main;commit", "/bin/db", 0), 5); /* of the CPU */
	push(f, a, "h1", t, t + 1);
	wait_row(b, t, LOCK_A "w1,waker=h", "main;commit;__pthread_mutex_lock", 1, 1000);
	wait_row(b, t, KERNEL_LOCK "__vm_munmap,thread=w1", "munmap;rwsem_down_write_slowpath", 2,
		 50);
	wait_row(b, t, KERNEL_LOCK "__vm_munmap", "[short waits];munmap", 5, 5);
	wait_row(b, t, KERNEL_LOCK "do_mmap,thread=w1", "mmap;rwsem_down_write_slowpath", 1, 20);
	wait_row(b, t, LOCK_C "w1,ended=woken", "main;take;sem_wait", 1, 800);
	push(f, b, "h22", t, t + 1);
}

static inline struct ap_locks *ask_locks(struct fixture *f, const char *selector,
					 struct ap_locks_options o, struct ap_coverage *c)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *filter = NULL;
	struct ap_query q = query(T0, T0 + 3);
	struct ap_error err = {0};
	struct ap_locks *l;

	assert_int_equal(ap_filter_parse(ap_str_of(selector), &filter, NULL, NULL), 0);
	q.filter = filter;
	if (ap_query_locks(f->queries, &q, &o, &l, c, &err) < 0)
		fail_msg("%s", err.msg);
	return l;
}

static inline void assert_lock(const struct ap_lock_row *r, const char *host, const char *lock,
			       const char *kind, uint64_t count, uint64_t ns)
{
	assert_true(ap_str_is(r->service, "db") && ap_str_is(r->pid, "7"));
	assert_true(ap_str_is(r->host, host));
	assert_true(ap_str_is(r->lock, lock));
	assert_true(ap_str_is(r->kind, kind));
	assert_int_equal(r->waits.count, count);
	assert_int_equal(r->waits.ns, ns);
}

static inline void assert_pair(const struct ap_lock_pair *p, const char *waiter, const char *waker,
			       uint64_t count, uint64_t ns)
{
	assert_true(ap_str_is(p->service, "db"));
	assert_true(ap_str_is(p->waiter, waiter));
	assert_true(ap_str_is(p->waker, waker));
	assert_int_equal(p->waits.count, count);
	assert_int_equal(p->waits.ns, ns);
}

static inline void check_all_waits(struct fixture *f)
{
	struct ap_locks_options o = {.domain = AP_LOCKS_OF_PROGRAMS};
	_cleanup_(ap_cleanup_locks) struct ap_locks *l = NULL;
	struct ap_coverage c;

	l = ask_locks(f, "", o, &c);
	assert_int_equal(l->total.count, 3 * 54);
	assert_int_equal(l->total.ns, 3 * 31300);
	assert_int_equal(l->short_waits.count, 3 * 40);
	assert_int_equal(l->short_waits.ns, 3 * 300);
	assert_int_equal(l->not_contended.ns, 0);
	assert_int_equal(l->n, 6);
	assert_lock(&l->rows[0], "h1", "0x10", "mutex", 9, 3 * 11500);
	assert_int_equal(l->rows[0].waiters, 2);
	assert_int_equal(l->rows[0].wakers, 1);
	assert_int_equal(l->rows[0].timeouts, 0);
	assert_true(l->rows[0].contended);
	assert_true(ap_str_is(l->rows[0].place, ""));
	assert_true(ap_str_is(l->rows[0].function, "commit"));
	assert_true(ap_str_is(l->rows[0].module, "db"));
	assert_lock(&l->rows[1], "h1", "0x30", "park", 3, 3 * 9000);
	assert_true(ap_str_is(l->rows[1].function, "rest"));
	assert_lock(&l->rows[2], "h1", "0x40", "semaphore", 3, 3 * 8000);
	assert_int_equal(l->rows[2].timeouts, 3);
	assert_false(l->rows[2].contended);
	assert_lock(&l->rows[3], "h22", "0x10", "mutex", 3, 3 * 1000);
	assert_lock(&l->rows[4], "h22", "0x40", "semaphore", 3, 3 * 800);
	assert_true(l->rows[4].contended);
	assert_lock(&l->rows[5], "h1", "0x20", "rwlock", 21, 3 * 700);
	assert_int_equal(l->rows[5].timeouts, 6);
	assert_int_equal(l->rows[5].signals, 3);
	assert_true(ap_str_is(l->rows[5].place, "table+0x8 in db"));
	assert_int_equal(l->n_pairs, 6);
	assert_pair(&l->pairs[0], "idle", "", 6, 3 * 17000);
	assert_pair(&l->pairs[1], "w2", "", 0, 3 * 9000);
	assert_pair(&l->pairs[2], "w1", "h", 9, 3 * 3000);
	assert_int_equal(c.samples, l->total.count);
	assert_int_equal(c.hosts_reporting, 2);
	assert_null(c.truncated);
}

static inline void check_contended(struct fixture *f)
{
	struct ap_locks_options o = {.sort = AP_LOCKS_BY_COUNT,
				     .limit = 2,
				     .domain = AP_LOCKS_OF_PROGRAMS,
				     .contended_only = true};
	_cleanup_(ap_cleanup_locks) struct ap_locks *l = NULL;
	struct ap_coverage c;

	l = ask_locks(f, "", o, &c);
	assert_int_equal(l->total.ns, 3 * 14300);
	assert_int_equal(l->not_contended.count, 6);
	assert_int_equal(l->not_contended.ns, 3 * 17000);
	assert_int_equal(c.samples, 3 * 52);
	assert_int_equal(l->n, 2);
	assert_int_equal(l->n_locks, 4);
	assert_lock(&l->rows[0], "h1", "0x20", "rwlock", 21, 3 * 700);
	assert_int_equal(l->other.count, 6);
	assert_int_equal(l->other.ns, 3 * 1800);
	assert_int_equal(l->n_given_pairs, 2);
	assert_pair(&l->pairs[0], "w1", "w2", 21, 3 * 700);
	assert_pair(&l->pairs[1], "w1", "h", 9, 3 * 3000);
	assert_int_equal(l->n_pairs, 5);
	assert_int_equal(l->other_pairs.ns, 3 * 10300);
	assert_string_equal(c.truncated, "locks");
	assert_int_equal(c.cut, 2);
}

static inline void check_one_lock(struct fixture *f)
{
	_cleanup_(ap_cleanup_locks) struct ap_locks *l = NULL;
	struct ap_coverage c;

	l = ask_locks(f, "{host=\"h1\",lock=\"0x10\"}", (struct ap_locks_options){.limit = 1}, &c);
	assert_int_equal(l->n_locks, 1);
	assert_int_equal(l->total.ns, 3 * 11500);
	assert_int_equal(l->short_waits.count, 0);
	assert_pair(&l->pairs[0], "w2", "", 0, 3 * 9000);
	assert_string_equal(c.truncated, "pairs");
	assert_int_equal(c.cut, 2);
}

/* Those of the kernel are told apart by where it asks for them. */
static inline void check_kernel_locks(struct fixture *f)
{
	struct ap_locks_options o = {.domain = AP_LOCKS_OF_KERNEL};
	_cleanup_(ap_cleanup_locks) struct ap_locks *l = NULL, *all = NULL;
	struct ap_coverage c;

	l = ask_locks(f, "", o, &c);
	assert_int_equal(l->n_locks, 2);
	assert_lock(&l->rows[0], "h22", "mmap_lock", "rwsem write", 3 * 7, 3 * 55);
	assert_true(l->rows[0].kernel);
	assert_true(ap_str_is(l->rows[0].caller, "__vm_munmap"));
	assert_true(ap_str_is(l->rows[0].function, "__vm_munmap"));
	assert_true(ap_str_is(l->rows[0].module, "[kernel]"));
	assert_int_equal(l->rows[0].waiters, 1); /* the short ones name none */
	assert_int_equal(l->rows[0].wakers, 0);
	assert_lock(&l->rows[1], "h22", "mmap_lock", "rwsem write", 3, 3 * 20);
	assert_true(ap_str_is(l->rows[1].caller, "do_mmap"));
	assert_int_equal(l->total.ns, 3 * 75);
	assert_int_equal(l->short_waits.count, 0);
	assert_int_equal(c.samples, 3 * 8);
	all = ask_locks(f, "", (struct ap_locks_options){0}, &c);
	assert_int_equal(all->n_locks, 8);
	assert_int_equal(all->total.ns, 3 * (31300 + 75));
}

static inline void check_locks(struct fixture *f)
{
	check_all_waits(f);
	check_contended(f);
	check_one_lock(f);
	check_kernel_locks(f);
}

#endif
