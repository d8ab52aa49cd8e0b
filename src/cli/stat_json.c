/* SPDX-License-Identifier: Apache-2.0 */
/* The page of `aperture stat` for programs: all that the other has, and every row. What was not recorded is
 * null. */
#include "base/json.h"
#include "cli/lock_table.h"
#include "cli/stat.h"
#include "cli/syscall_table.h"
#include "profile/top.h"

static void number(struct ap_buf *out, const char *key, uint64_t value)
{
	ap_json_key(out, key);
	ap_json_u64(out, value);
}

static void string(struct ap_buf *out, const char *key, struct ap_str value)
{
	ap_json_key(out, key);
	ap_json_string(out, value);
}

static void flag(struct ap_buf *out, const char *key, bool value)
{
	ap_json_key(out, key);
	ap_buf_puts(out, value ? "true" : "false");
}

static void next(struct ap_buf *out, bool is_first)
{
	ap_buf_puts(out, is_first ? "{" : ",{");
}

/* The function's name and module; null where it is not known. */
static void function(const struct ap_profile *p, uint32_t frame, const char *key,
		     struct ap_buf *out)
{
	_cleanup_buf_ struct ap_buf name = {0};

	ap_json_key(out, key);
	if (!frame) {
		ap_buf_puts(out, "null");
		return;
	}
	ap_wait_function(p, frame, &name);
	ap_buf_byte(out, '{');
	string(out, "name", ap_buf_view(&name));
	string(out, "module", ap_profile_module(p, ap_profile_get_frame(p, frame)->mapping));
	ap_buf_byte(out, '}');
}

static void sum(struct ap_buf *out, const struct ap_wait_sum *s)
{
	number(out, "count", s->count);
	number(out, "ns", s->ns);
}

static void causes(struct ap_buf *out, const struct ap_wait_sum c[AP_WAIT_CAUSES])
{
	ap_json_key(out, "causes");
	ap_buf_byte(out, '{');
	for (uint32_t i = 0; i < AP_WAIT_CAUSES; i++) {
		ap_json_key(out, ap_wait_cause_name(i));
		ap_buf_byte(out, '{');
		sum(out, &c[i]);
		ap_buf_byte(out, '}');
	}
	ap_buf_byte(out, '}');
}

static int functions(const struct ap_stat *st, struct ap_buf *out)
{
	const struct ap_session *s = &st->session;
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	_cleanup_(ap_cleanup_top) struct ap_top *top = NULL;
	const struct ap_profile_type *type = ap_profile_type_find(AP_STR("cpu:nanoseconds"));

	if (!b || ap_tree_add_profile(b, s->profile, type, 0) < 0 ||
	    ap_top_build(b, AP_TOP_SELF, 0, &top) < 0)
		return -ENOMEM;
	ap_buf_byte(out, '[');
	for (uint32_t i = 0; i < top->n; i++) {
		const struct ap_top_row *row = &top->rows[i];

		next(out, i == 0);
		string(out, "name", row->name);
		string(out, "module", row->module);
		string(out, "file", row->file);
		number(out, "line", row->line);
		number(out, "self_ns", row->self[0]);
		number(out, "total_ns", row->total[0]);
		ap_buf_byte(out, '}');
	}
	ap_buf_byte(out, ']');
	return 0;
}

static int waits(const struct ap_stat *st, struct ap_buf *out)
{
	const struct ap_session *s = &st->session;
	_cleanup_(ap_wait_table_free) struct ap_wait_table t = {0};

	if (ap_wait_table_build(s->profile, NULL, &t) < 0)
		return -ENOMEM;
	ap_buf_byte(out, '{');
	sum(out, &t.sum);
	causes(out, t.causes);
	ap_json_key(out, "held_back");
	ap_buf_byte(out, '{');
	sum(out, &st->held_back);
	ap_buf_byte(out, '}');
	ap_json_key(out, "functions");
	ap_buf_byte(out, '[');
	AP_VEC_FOREACH(&t.rows, row) {
		next(out, row == t.rows.p);
		function(s->profile, row->frame, "function", out);
		sum(out, &row->sum);
		causes(out, row->causes);
		ap_buf_byte(out, '}');
	}
	ap_buf_puts(out, "]}");
	return 0;
}

static void lock(const struct ap_profile *p, const struct ap_lock_row *row, struct ap_buf *out)
{
	string(out, "pid", row->pid);
	string(out, "process", row->comm);
	string(out, "lock", row->lock);
	string(out, "kind", row->kind);
	string(out, "domain", ap_str_of(row->kernel ? "kernel" : "user"));
	string(out, "place", row->place);
	flag(out, "contended", row->contended);
	sum(out, &row->sum);
	number(out, "timeouts", row->timeouts);
	number(out, "signals", row->signals);
	ap_json_key(out, "max_ns");
	if (row->max_ns)
		ap_json_u64(out, row->max_ns);
	else
		ap_buf_puts(out, "null");
	function(p, row->waiter, "waiter", out);
	function(p, row->waker, "waker", out);
}

static int locks(const struct ap_stat *st, struct ap_buf *out)
{
	const struct ap_session *s = &st->session;
	_cleanup_(ap_lock_table_free) struct ap_lock_table t = {0};
	const struct {
		const char *key;
		const struct ap_wait_sum *sum;
	} sums[] = {{"contended", &t.contended},
		    {"others", &t.others},
		    {"short_waits", &t.short_waits}};

	if (ap_lock_table_build(s->profile, NULL, &t) < 0)
		return -ENOMEM;
	ap_buf_byte(out, '{');
	for (size_t i = 0; i < AP_ARRAY_SIZE(sums); i++) {
		ap_json_key(out, sums[i].key);
		ap_buf_byte(out, '{');
		sum(out, sums[i].sum);
		ap_buf_byte(out, '}');
	}
	ap_json_key(out, "locks");
	ap_buf_byte(out, '[');
	AP_VEC_FOREACH(&t.rows, row) {
		next(out, row == t.rows.p);
		lock(s->profile, row, out);
		ap_buf_byte(out, '}');
	}
	ap_buf_puts(out, "]}");
	return 0;
}

static int syscalls(const struct ap_stat *st, struct ap_buf *out)
{
	const struct ap_session *s = &st->session;
	_cleanup_(ap_syscall_table_free) struct ap_syscall_table t = {0};

	if (ap_syscall_table_build(s->profile, NULL, &t) < 0)
		return -ENOMEM;
	ap_buf_byte(out, '{');
	number(out, "count", t.count);
	number(out, "sum_ns", t.sum_ns);
	ap_json_key(out, "syscalls");
	ap_syscall_table_json(&t, out);
	ap_buf_byte(out, '}');
	return 0;
}

static void head(const struct ap_stat *s, struct ap_buf *out)
{
	const struct ap_session *n = &s->session;

	string(out, "version", AP_STR(APERTURE_VERSION));
	ap_json_key(out, "command");
	if (!n->command)
		ap_buf_puts(out, "null");
	for (char *const *arg = n->command; arg && *arg; arg++) {
		ap_buf_byte(out, arg == n->command ? '[' : ',');
		ap_json_string(out, ap_str_of(*arg));
	}
	ap_buf_puts(out, n->command ? "]" : "");
	ap_json_key(out, "exit_status");
	if (n->command && n->child.pid == 0)
		ap_json_i64(out, ap_child_exit_status(&n->child));
	else
		ap_buf_puts(out, "null");
	number(out, "elapsed_ns", ap_stat_elapsed(s));
	ap_json_key(out, "modes");
	ap_buf_byte(out, '[');
	for (uint32_t bit = 1, any = 0; bit <= AP_MODE_SYSCALL; bit <<= 1) {
		if (!(n->modes & bit))
			continue;
		ap_buf_puts(out, any++ ? "," : "");
		ap_json_string(out, ap_str_of(ap_mode_name(bit)));
	}
	ap_buf_byte(out, ']');
	ap_json_key(out, "refused");
	if (n->refused)
		ap_json_string(out, ap_str_of(n->refused));
	else
		ap_buf_puts(out, "null");
	number(out, "start_ns", n->open_ns + n->begin_ns);
	number(out, "finish_ns", s->finish_ns);
}

static void cpu(const struct ap_stat *s, struct ap_buf *out)
{
	ap_json_key(out, "cpu");
	if (!s->is_exact && !(s->session.modes & AP_MODE_CPU)) {
		ap_buf_puts(out, "null");
		return;
	}
	ap_buf_byte(out, '{');
	number(out, "user_ns", s->user_ns);
	number(out, "system_ns", s->system_ns);
	flag(out, "exact", s->is_exact);
	ap_buf_byte(out, '}');
}

int ap_stat_json(const struct ap_stat *s, struct ap_buf *out)
{
	static const struct {
		const char *key;
		uint32_t mode;
		int (*put)(const struct ap_stat *s, struct ap_buf *out);
	} parts[] = {{"functions", AP_MODE_CPU, functions},
		     {"off_cpu", AP_MODE_OFFCPU, waits},
		     {"locks", AP_MODE_LOCK, locks},
		     {"syscalls", AP_MODE_SYSCALL, syscalls}};
	const struct ap_session *n = &s->session;
	int r = 0;

	ap_buf_byte(out, '{');
	head(s, out);
	cpu(s, out);
	for (size_t i = 0; i < AP_ARRAY_SIZE(parts) && r == 0; i++) {
		ap_json_key(out, parts[i].key);
		if (n->modes & parts[i].mode)
			r = parts[i].put(s, out);
		else
			ap_buf_puts(out, "null");
	}
	ap_json_key(out, "ledger");
	ap_session_ledger_json(n, out);
	ap_buf_puts(out, "}\n");
	return r < 0 ? r : ap_buf_error(out);
}
