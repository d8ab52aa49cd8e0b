/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/batch.h"

#include <stdio.h>

#include "abi/offcpu.h"
#include "agent/frames.h"
#include "agent/lock_labels.h"
#include "agent/lock_place.h"
#include "agent/rows.h"
#include "base/clock.h"

#define LABELS_MAX 64u /* of one sample: ours and the user's */
/* How far a sample may lie before its batch, whose receiver takes a minute: what a wait that nobody could tell
 * of for longer took before that counts there. */
#define REACH_NS (30 * (int64_t)AP_NSEC_PER_SEC)

struct user_label {
	char *key, *value;
};

struct ap_batcher {
	char *host, *service;
	struct user_label *labels;
	size_t n_labels;
	struct ap_symbolizer *symbolizer;
	struct ap_kube_names *kube;
	struct ap_container_names *containers;
	struct ap_packages *packages;
	struct ap_ledger *ledger;
	uint64_t reasons[AP_REASONS_MAX];
};

/* What is being built. */
struct build {
	struct ap_batcher *b;
	const struct ap_rows *rows;
	struct ap_profile *profile;
	struct ap_frames *frames;
	struct ap_process_labels *processes; /* by process; service NULL: not found out yet */
	struct ap_intern *pairs;	     /* struct pair; id 0 is none */
	AP_VEC(uint32_t) sets;		     /* label set by pair */
	struct ap_lock_place_names places;
};

/* Samples with equal pairs have equal labels. */
struct pair {
	uint32_t process, comm;
	uint32_t state; /* of a wait the row's, plus 1; of a system call its errno */
	uint32_t event, other;
	struct ap_lock_labels lock;
};

_Static_assert(sizeof(struct pair) == 36, "no padding: interned as bytes");

static const char *const wait_states[AP_WAIT_STATES + 1] = {
	[AP_WAIT_SLEEPING + 1] = "sleeping", [AP_WAIT_BLOCKED + 1] = "blocked",
	[AP_WAIT_RUNNABLE + 1] = "runnable", [AP_WAIT_STOPPED + 1] = "stopped",
	[AP_WAIT_LOCK + 1] = "lock",
};

static const char *const wait_ends[AP_WAIT_ENDS] = {
	[AP_WAIT_END_WOKEN] = "woken",
	[AP_WAIT_END_TIMEOUT] = "timeout",
	[AP_WAIT_END_SIGNAL] = "signal",
};

static bool is_wait(const struct ap_row *r)
{
	return r->event == AP_EVENT_OFFCPU || r->event == AP_EVENT_LOCK ||
	       r->event == AP_EVENT_WAKER;
}

static bool is_call(const struct ap_row *r)
{
	return r->event == AP_EVENT_SYSCALL;
}

static uint32_t wait_of(const struct ap_row *r)
{
	return is_wait(r) && r->event != AP_EVENT_LOCK && r->state < AP_WAIT_STATES ? r->state + 1
										    : 0;
}

static const char *end_of(const struct ap_row *r)
{
	return r->event == AP_EVENT_LOCK && r->state < AP_WAIT_ENDS ? wait_ends[r->state] : NULL;
}

struct ap_batcher *ap_batcher_new(const struct ap_batcher_opts *opts)
{
	struct ap_batcher *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->symbolizer = opts->symbolizer;
	b->kube = opts->kube;
	b->ledger = opts->ledger;
	b->containers = ap_container_names_new(NULL);
	b->packages = ap_packages_new(NULL);
	b->host = ap_str_dup(opts->host);
	b->service = ap_str_dup(opts->service);
	b->n_labels = AP_MIN(opts->n_labels, (size_t)LABELS_MAX - AP_LABEL_COUNT);
	b->labels = calloc(b->n_labels + 1, sizeof(*b->labels));
	if (!b->containers || !b->packages || !b->host || !b->service || !b->labels)
		goto fail;
	for (size_t i = 0; i < b->n_labels; i++) {
		b->labels[i].key = ap_str_dup(opts->labels[i].key);
		b->labels[i].value = ap_str_dup(opts->labels[i].value);
		if (!b->labels[i].key || !b->labels[i].value)
			goto fail;
	}
	return b;
fail:
	ap_batcher_free(b);
	return NULL;
}

void ap_batcher_free(struct ap_batcher *b)
{
	if (!b)
		return;
	for (size_t i = 0; b->labels && i < b->n_labels; i++) {
		free(b->labels[i].key);
		free(b->labels[i].value);
	}
	free(b->labels);
	ap_container_names_free(b->containers);
	ap_packages_free(b->packages);
	free(b->host);
	free(b->service);
	free(b);
}

static void count(struct ap_batcher *b, enum ap_ledger_id id, uint64_t n)
{
	if (b->ledger)
		ap_ledger_add(b->ledger, id, n);
}

/* The wire carries text, and names of threads are any bytes. */
static int add_text(struct ap_profile *p, struct ap_str s, uint32_t *ret)
{
	_cleanup_free_ char *clean = NULL;

	if (ap_str_utf8_ok(s))
		return ap_profile_string(p, s, ret);
	clean = ap_str_dup(s);
	if (!clean)
		return -ENOMEM;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)clean[i] >= 0x80)
			clean[i] = '?';
	return ap_profile_string(p, (struct ap_str){clean, s.n}, ret);
}

static int add_label(struct ap_profile *p, struct ap_str key, struct ap_str value,
		     struct ap_label *labels, uint32_t *n)
{
	struct ap_label *l = &labels[*n];
	int err;

	if (value.n == 0)
		return 0;
	err = ap_profile_string(p, key, &l->key);
	if (err == 0)
		err = add_text(p, value, &l->value);
	if (err == 0)
		(*n)++;
	return err;
}

static struct ap_str build_of(const struct ap_rows *rows, const struct ap_rows_process *p)
{
	if (p->exe_file == 0 || p->exe_file >= rows->files.n)
		return AP_STR("");
	return ap_rows_str(rows, rows->files.p[p->exe_file].build_id);
}

/* What holds for the whole process, found out at its first sample. */
static int process_labels(struct build *u, uint32_t process, const struct ap_process_labels **ret)
{
	struct ap_process_labels *l = &u->processes[process];
	const struct ap_rows_process *p = &u->rows->processes.p[process];
	struct ap_service_facts facts = {
		.override = ap_str_of(u->b->service),
		.host = ap_str_of(u->b->host),
		.cgroup = ap_rows_str(u->rows, p->cgroup),
		.exe = ap_rows_str(u->rows, p->exe),
		.leader_exe = ap_rows_str(u->rows, p->group_exe),
		.comm = ap_rows_str(u->rows, p->comm),
		.kernel = p->kernel,
		.kube = u->b->kube,
		.containers = u->b->containers,
		.packages = u->b->packages,
		.build = build_of(u->rows, p),
		.pid = p->pid,
		.now_ns = ap_clock_mono_ns(),
	};
	int err = l->service ? 0 : ap_process_labels_find(&facts, l);

	*ret = l;
	return err;
}

static int add_process_labels(struct build *u, uint32_t process, struct ap_label *labels,
			      uint32_t *n)
{
	const struct ap_rows_process *p = &u->rows->processes.p[process];
	const struct ap_process_labels *l;
	char pid[16];
	int err = process_labels(u, process, &l);

	if (err < 0)
		return err;
	snprintf(pid, sizeof(pid), "%d", p->pid);
	const struct {
		enum ap_label_key key;
		struct ap_str value;
	} values[] = {
		{AP_LABEL_SERVICE, ap_str_of(l->service)},
		{AP_LABEL_CONTAINER, ap_str_of(l->container)},
		{AP_LABEL_NAMESPACE, ap_str_of(l->ns)},
		{AP_LABEL_POD, ap_str_of(l->pod)},
		{AP_LABEL_UNIT, ap_str_of(l->unit)},
		{AP_LABEL_COMM, ap_rows_str(u->rows, p->comm)},
		{AP_LABEL_PID, ap_str_of(pid)},
		{AP_LABEL_BUILD, build_of(u->rows, p)},
		{AP_LABEL_VERSION, ap_str_of(l->version)},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(values) && err == 0; i++)
		err = add_label(u->profile, ap_str_of(ap_label_names[values[i].key]),
				values[i].value, labels, n);
	return err;
}

/* What is known of a wait: how it was and ended, for which lock, and who is on its other side. */
static int add_wait_labels(struct build *u, const struct ap_row *r, const struct ap_lock_labels *l,
			   struct ap_label *labels, uint32_t *n)
{
	enum ap_label_key other = r->event == AP_EVENT_WAKER ? AP_LABEL_WAITER : AP_LABEL_WAKER;
	const char *place = (const char *)u->places.text.p + u->places.at[r->place];
	const struct {
		enum ap_label_key key;
		struct ap_str value;
	} values[] = {
		{AP_LABEL_STATE, ap_str_of(wait_states[wait_of(r)])},
		{AP_LABEL_DOMAIN, ap_profile_str(u->profile, l->domain)},
		{AP_LABEL_LOCK, ap_profile_str(u->profile, l->lock)},
		{AP_LABEL_PLACE, ap_str_of(place)},
		{AP_LABEL_KIND, ap_profile_str(u->profile, l->kind)},
		{AP_LABEL_CALLER, ap_profile_str(u->profile, l->caller)},
		{AP_LABEL_ENDED, ap_str_of(end_of(r))},
		{other, ap_rows_str(u->rows, r->other)},
	};
	int err = 0;

	for (size_t i = 0; i < AP_ARRAY_SIZE(values) && err == 0; i++)
		err = add_label(u->profile, ap_str_of(ap_label_names[values[i].key]),
				values[i].value, labels, n);
	return err;
}

/* Of a system call with a stack of its own. */
static int add_call_labels(struct build *u, const struct ap_row *r, struct ap_label *labels,
			   uint32_t *n)
{
	const char *error = r->state ? ap_errno_name(r->state) : "";
	char number[16];
	int err = add_label(u->profile, ap_str_of(ap_label_names[AP_LABEL_SYSCALL]),
			    ap_rows_str(u->rows, r->other), labels, n);

	if (!error) {
		snprintf(number, sizeof(number), "%u", r->state);
		error = number;
	}
	return err < 0 ? err
		       : add_label(u->profile, ap_str_of(ap_label_names[AP_LABEL_ERRNO]),
				   ap_str_of(error), labels, n);
}

static int make_label_set(struct build *u, const struct ap_row *r,
			  const struct ap_lock_labels *lock, uint32_t *ret)
{
	struct ap_label labels[LABELS_MAX];
	uint32_t n = 0;
	int err = add_label(u->profile, ap_str_of(ap_label_names[AP_LABEL_HOST]),
			    ap_str_of(u->b->host), labels, &n);

	if (err == 0)
		err = add_label(u->profile, ap_str_of(ap_label_names[AP_LABEL_THREAD]),
				ap_rows_str(u->rows, r->comm), labels, &n);
	if (err == 0 && is_wait(r))
		err = add_wait_labels(u, r, lock, labels, &n);
	if (err == 0 && is_call(r))
		err = add_call_labels(u, r, labels, &n);
	if (err == 0 && r->process < u->rows->processes.n)
		err = add_process_labels(u, r->process, labels, &n);
	for (size_t i = 0; i < u->b->n_labels && err == 0; i++)
		err = add_label(u->profile, ap_str_of(u->b->labels[i].key),
				ap_str_of(u->b->labels[i].value), labels, &n);
	return err < 0 ? err : ap_profile_labels(u->profile, labels, n, ret);
}

/* Of a row whose stack is in the profile. */
static int label_set(struct build *u, const struct ap_row *r, uint32_t stack, uint32_t *ret)
{
	struct pair pair = {.process = r->process,
			    .comm = r->comm,
			    .state = is_call(r)	  ? r->state
				     : is_wait(r) ? r->state + 1
						  : 0,
			    .event = is_wait(r) || is_call(r) ? r->event : 0,
			    .other = r->other};
	uint32_t id;
	int err = 0;

	if (is_wait(r) && r->event != AP_EVENT_OFFCPU)
		err = ap_lock_labels_find(u->profile, u->b->symbolizer, r, stack, &pair.lock);
	if (err == 0)
		err = ap_intern_add(u->pairs, (struct ap_str){(const char *)&pair, sizeof(pair)},
				    &id, NULL);
	if (err < 0)
		return err;
	while (u->sets.n <= id)
		if (ap_vec_push(&u->sets, UINT32_MAX) < 0)
			return -ENOMEM;
	if (u->sets.p[id] == UINT32_MAX) {
		err = make_label_set(u, r, &pair.lock, ret);
		if (err < 0)
			return err;
		u->sets.p[id] = *ret;
	}
	*ret = u->sets.p[id];
	return 0;
}

/* When a row was, within reach of its batch: what was before the wall clock was set back counts as of its end. */
static int64_t time_of(const struct build *u, const struct ap_row *r)
{
	return AP_MIN(AP_MAX(r->time_ns, u->rows->start_ns - REACH_NS), u->rows->end_ns);
}

static int add_row(struct build *u, const struct ap_row *r)
{
	struct ap_sample s = {
		.time_ns = time_of(u, r), .count = r->count, .value = r->value, .event = r->event};
	uint16_t reason;
	int err = ap_frames_stack(u->frames, r->stack, &s.stack);

	if (err == 0)
		err = label_set(u, r, s.stack, &s.labels);
	if (err == 0)
		err = ap_profile_add(u->profile, &s);
	if (err < 0)
		return err;
	reason = ap_profile_get_stack(u->profile, s.stack).reason;
	if (reason < AP_REASONS_MAX && reason != AP_REASON_SHORT_WAIT)
		u->b->reasons[reason] += r->count;
	return 0;
}

static int add_syscall(struct build *u, const struct ap_rows_syscall *s)
{
	/* The whole process's: no thread is named. */
	const struct ap_row who = {.process = s->process};
	struct ap_syscall row = {
		.time_ns = u->rows->end_ns, .oldest_ns = s->oldest_ns, .in_flight = s->in_flight};
	char name[AP_SYSCALL_NAME_BYTES];
	int err = label_set(u, &who, 0, &row.labels);

	ap_syscall_text(s->abi, s->number, name);
	if (err == 0)
		err = ap_profile_string(u->profile, ap_str_of(name), &row.name);
	if (err == 0)
		err = ap_profile_string(u->profile, ap_str_of(ap_syscall_abi_name(s->abi)),
					&row.abi);
	return err < 0 ? err : ap_profile_add_syscall(u->profile, &row, &s->stat);
}

static void add_syscalls(struct build *u, int rc)
{
	uint64_t in = 0, out = 0;

	AP_VEC_FOREACH(&u->rows->syscalls, s) {
		in += s->stat.count;
		if (rc == 0 && add_syscall(u, s) == 0)
			out += s->stat.count;
	}
	count(u->b, AP_LEDGER_SYSCALL_OUT, out);
	count(u->b, AP_LEDGER_SYSCALL_NO_MEMORY, in - out);
}

static int start(struct build *u)
{
	int err;

	u->profile = ap_profile_new();
	u->pairs = ap_intern_new();
	u->processes = calloc(u->rows->processes.n + 1, sizeof(*u->processes));
	if (!u->profile || !u->pairs || !u->processes)
		return -ENOMEM;
	u->profile->start_ns = u->rows->start_ns;
	u->profile->end_ns = u->rows->end_ns;
	u->profile->period_ns = u->rows->period_ns;
	err = ap_lock_labels_expect(u->b->symbolizer, u->rows);
	if (err == 0)
		err = ap_lock_place_names(u->rows, u->b->symbolizer, &u->places);
	return err < 0 ? err : ap_frames_new(u->rows, u->b->symbolizer, u->profile, &u->frames);
}

static void finish(struct build *u)
{
	for (size_t i = 0; u->processes && i < u->rows->processes.n; i++)
		ap_process_labels_free(&u->processes[i]);
	free(u->processes);
	ap_intern_free(u->pairs);
	ap_vec_free(&u->sets);
	ap_lock_place_names_free(&u->places);
	ap_frames_free(u->frames);
	ap_profile_free(u->profile);
}

int ap_batcher_build(struct ap_batcher *b, const struct ap_rows *rows, struct ap_profile **ret,
		     struct ap_error *err)
{
	struct build u = {.b = b, .rows = rows};
	uint64_t in = 0, out = 0;
	int rc;

	memset(b->reasons, 0, sizeof(b->reasons));
	rc = start(&u);
	for (size_t i = 0; i < rows->rows.n; i++) {
		const struct ap_row *r = &rows->rows.p[i];

		in += r->count;
		if (rc == 0 && add_row(&u, r) == 0)
			out += r->count;
	}
	add_syscalls(&u, rc);
	count(b, AP_LEDGER_BATCH_IN, in);
	count(b, AP_LEDGER_BATCH_OUT, out);
	count(b, AP_LEDGER_BATCH_NO_MEMORY, in - out);
	if (rc == 0)
		*ret = AP_TAKE_PTR(u.profile);
	finish(&u);
	if (rc < 0)
		return ap_error_set(err, rc,
				    "no memory to build a batch: %llu sampling periods are lost",
				    (unsigned long long)in);
	return 0;
}

const uint64_t *ap_batcher_reasons(const struct ap_batcher *b)
{
	return b->reasons;
}
