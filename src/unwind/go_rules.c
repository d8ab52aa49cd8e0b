/* SPDX-License-Identifier: Apache-2.0 */
/* Rows from .gopclntab, for x86-64.
 *
 * A value of the table says how far the stack pointer is below where it was at the function's entry,
 * so that CFA = stack pointer + value + 8, and the return address is at CFA - 8. A function that has
 * a frame saves the frame pointer at CFA - 16 in its prologue and points it there: since Go 1.21 by
 * `push %rbp; mov %rsp,%rbp`, before that by moves after the stack pointer was lowered.
 *
 * The functions that switch stacks load the stack pointer with what no table says; the rest of this
 * file is about them (bpf/go.bpf.h has the whole picture). They are known by name, since the numbers
 * by which the table itself marks them change with the versions. Each is the same few instructions
 * of hand-written assembly in every version; where in them the stack changes, and at which offsets
 * they find what they need, is read off the code. A function whose code does not look as expected
 * keeps the rows that its values give.
 *
 * Source: runtime/asm_amd64.s, runtime/sys_linux_amd64.s and cmd/internal/obj/x86 of Go 1.16 to 1.26
 * (BSD licence).
 */
#include <string.h>

#include "unwind/arch.h"
#include "unwind/gopclntab.h"

#define CODE_MAX  512
#define SPANS_MAX 8
#define REG_DX	  1
#define VALUE_MAX (INT32_MAX - 16) /* more is damage, as what is below zero is */
#define STEPS_MAX (32u << 20)	   /* over all values; many functions share theirs */

/* A part of a function that has another rule than its values give. */
struct span {
	uint32_t begin, end; /* from the function's entry */
	struct ap_rule rule;
	int32_t min_value; /* where the value is less, it holds */
	bool adds_value; /* the CFA's offset counts from the stack pointer that the values are of */
};

struct maker {
	struct ap_gopclntab *g;
	struct ap_table_builder *b;
	uint32_t steps_left;
	struct ap_go_function f;
	uint8_t code[CODE_MAX];
	size_t n_code;
	struct span spans[SPANS_MAX];
	uint32_t n_spans;
	struct ap_rule goroutine; /* AP_GO_SYSTEMSTACK, once its offsets are known */
	uint64_t g_slot;	  /* address of g's offset; 0: the rule has it */
};

static const struct ap_rule end_rule = {.cfa = AP_CFA_END};
static const struct ap_rule unsupported = {.cfa = AP_CFA_UNSUPPORTED};

/* The place after the first occurrence of `bytes` in the code at or after `from`; 0: none. */
static size_t find_after(const struct maker *m, size_t from, const char *bytes, size_t n)
{
	for (size_t i = from; i + n <= m->n_code; i++)
		if (memcmp(m->code + i, bytes, n) == 0)
			return i + n;
	return 0;
}
#define AFTER(m, from, bytes) find_after((m), (from), (bytes), sizeof(bytes) - 1)

static int32_t operand8(const struct maker *m, size_t at)
{
	return at < m->n_code ? (int8_t)m->code[at] : 0;
}

static int32_t operand32(const struct maker *m, size_t at)
{
	int32_t v = 0;

	if (ap_range_ok(at, sizeof(v), m->n_code))
		memcpy(&v, m->code + at, sizeof(v));
	return v;
}

static struct span *add_span(struct maker *m, size_t begin, size_t end, struct ap_rule rule)
{
	struct span *s = &m->spans[m->n_spans++];

	*s = (struct span){.begin = (uint32_t)begin, .end = (uint32_t)end, .rule = rule};
	return s;
}

static void whole(struct maker *m)
{
	add_span(m, 0, UINT32_MAX, end_rule);
}

/* mcall, gogo and clone: what comes after the switch has no caller. */
static void end_after(struct maker *m, size_t at)
{
	if (at)
		add_span(m, at, UINT32_MAX, end_rule);
}

static void mcall(struct maker *m)
{
	size_t at = AFTER(m, 0, "\x49\x8b\x66\x38"); /* mov 0x38(%r14),%rsp */

	end_after(m, at ? at : AFTER(m, 0, "\x48\x8b\x66\x38")); /* up to 1.16: of %rsi */
}

static void gogo(struct maker *m)
{
	end_after(m, AFTER(m, 0, "\x48\x8b\x23")); /* mov (%rbx),%rsp */
}

static void clone_thread(struct maker *m)
{
	end_after(m, AFTER(m, 0, "\x48\x89\xf4")); /* mov %rsi,%rsp, in the child */
}

/* The first value of a function that has a frame, and the code there, where the prologue goes on. */
static bool find_prologue(struct maker *m, struct ap_go_values *v, uint8_t code[8])
{
	ap_go_values_begin(v, m->g, &m->f, m->f.pcsp);
	do {
		if (!ap_go_values_next(v))
			return false;
	} while (v->value < 8);
	return ap_gopclntab_code(m->g, v->begin, code, 8) == 8;
}

/* The bytes of a store of the frame pointer into the frame, as up to Go 1.20; 0: it is none. */
static size_t frame_store(const uint8_t code[8])
{
	if (memcmp(code, "\x48\x89\x6c\x24", 4) == 0) /* mov %rbp,N(%rsp) */
		return 5;
	return memcmp(code, "\x48\x89\xac\x24", 4) == 0 ? 8 : 0;
}

/* Where the frame pointer points to the frame from, counted from the entry; 0: it never does. */
static size_t frame_begins(struct maker *m)
{
	struct ap_go_values v;
	uint8_t c[8];
	size_t at, store;

	if (!find_prologue(m, &v, c))
		return 0;
	at = v.begin - m->f.entry;
	if (memcmp(c, "\x48\x89\xe5", 3) == 0) /* mov %rsp,%rbp */
		return at + 3;
	store = frame_store(c);
	return store ? at + 2 * store : 0; /* lea N(%rsp),%rbp, as long as the store */
}

/* The caller `value` bytes and its return address above the stack pointer, the frame pointer its own. */
static struct ap_rule above_sp(int32_t value)
{
	return (struct ap_rule){
		.cfa = AP_CFA_REGISTER,
		.cfa_register = AP_REG_SP,
		.cfa_offset = value + 8,
		.ra = AP_SAVED_CFA,
		.ra_offset = -8,
		.fp_tracked = AP_SAVED_SAME | AP_SAVED_UNDEFINED << 4,
	};
}

/* Its caller, cgocallback, is found by the frame pointer that it left: a function like any other but
 * that the frame pointer must not be taken from the frame before it was stored there. (The store
 * touches a stack that may have no page yet, so programs do stop at it.) */
static void frame_pending(struct maker *m)
{
	struct ap_go_values v;
	uint8_t c[8];
	size_t at;

	if (!find_prologue(m, &v, c) || v.value > VALUE_MAX)
		return;
	at = v.begin - m->f.entry;
	add_span(m, at, at + frame_store(c), above_sp(v.value));
}

/* The frame pointer stays where it is while the stack pointer goes elsewhere. */
static void frame_kept(struct maker *m)
{
	static const struct ap_rule rule = {
		.cfa = AP_CFA_GO_SWITCH,
		.cfa_register = AP_REG_FP,
		.cfa_offset = 16,
		.ra = AP_GO_FRAME,
		.fp_tracked = AP_SAVED_CFA,
		.fp_offset = -16,
	};
	size_t at = frame_begins(m);

	if (at)
		add_span(m, at, UINT32_MAX, rule)->min_value = 8;
}

/* How systemstack finds the goroutine: g from the thread pointer, its m, that one's curg, which it
 * compares with g, and the stack pointer that it loads at the end. */
static void learn_goroutine(struct maker *m)
{
	size_t tls = AFTER(m, 0, "\x64\x48\x8b\x04\x25");	 /* mov %fs:N,%rax */
	size_t in_m = AFTER(m, 0, "\x48\x8b\x58");		 /* mov N(%rax),%rbx */
	size_t curg = in_m ? AFTER(m, in_m, "\x48\x3b\x83") : 0; /* cmp N(%rbx),%rax */
	size_t sp = curg ? AFTER(m, curg, "\x48\x8b\x60") : 0;	 /* mov N(%rax),%rsp */
	size_t slot = AFTER(m, 0, "\x48\x8b\x0d"); /* mov N(%rip),%rcx; mov %fs:(%rcx),%rax */

	if (!tls)
		tls = AFTER(m, 0, "\x48\xc7\xc1"); /* mov $N,%rcx; mov %fs:(%rcx),%rax */
	if (!tls && slot)
		m->g_slot = m->f.entry + slot + 4 + (uint64_t)(int64_t)operand32(m, slot);
	if ((!tls && !slot) || !sp)
		return;
	m->goroutine = (struct ap_rule){
		.cfa = AP_CFA_GO_SWITCH,
		.cfa_register = AP_REG_SP,
		.cfa_offset = operand32(m, tls),
		.ra = AP_GO_SYSTEMSTACK,
		.ra_offset = (int16_t)operand8(m, in_m),
		.cfa_add = 8,
		.fp_offset = (int16_t)operand32(m, curg),
		.tracked_offset = (int16_t)operand8(m, sp),
	};
}

/* The rule of [begin, end), where the goroutine's stack has been left; `call` is behind the call made
 * there. Where g's offset has a place of its own that is given from the return address on. */
static void add_switch(struct maker *m, size_t begin, size_t end, size_t call, struct ap_rule rule)
{
	if (!rule.cfa || (m->g_slot && !call)) {
		add_span(m, begin, end, unsupported);
		return;
	}
	if (!m->g_slot) {
		add_span(m, begin, end, rule);
		return;
	}
	rule.fp_tracked |= AP_GO_INDIRECT;
	rule.cfa_offset = (int32_t)(m->g_slot - (m->f.entry + call));
	add_span(m, begin, call - 1, unsupported);
	add_span(m, call - 1, call, rule);
	add_span(m, call, end, unsupported);
}

static void systemstack(struct maker *m)
{
	size_t begin = AFTER(m, 0, "\x48\x89\xdc"); /* mov %rbx,%rsp */
	size_t end = begin ? AFTER(m, begin, "\x48\x8b\x60") : 0;

	learn_goroutine(m);
	if (m->n_code > 0 && m->code[0] == 0x55) { /* push %rbp */
		frame_kept(m);
		return;
	}
	if (end) /* call *%rdi */
		add_switch(m, begin, end + 1, AFTER(m, begin, "\xff\xd7"), m->goroutine);
}

static void morestack(struct maker *m)
{
	size_t begin = AFTER(m, 0, "\x48\x8b\x63\x38"); /* mov 0x38(%rbx),%rsp */
	size_t fp = AFTER(m, 0, "\x48\x89\x6f");	/* mov %rbp,N(%rdi) */
	struct ap_rule rule = m->goroutine;
	size_t call;

	if (!fp)
		fp = AFTER(m, 0, "\x48\x89\x6e"); /* up to 1.20: of %rsi */
	if (!begin || !fp)
		return;
	call = AFTER(m, begin, "\xe8"); /* of newstack */
	rule.ra = AP_GO_MORESTACK;
	rule.cfa_add = (int16_t)(operand8(m, fp) - rule.tracked_offset);
	add_switch(m, begin, UINT32_MAX, call ? call + 4 : 0, rule);
}

/* One of asmcgocall's two calls of C code: `from` is where the stack pointer has left that of the
 * caller, which %rdx has; from the store of `depth` on the place below it has what is needed. */
static size_t cgocall(struct maker *m, size_t from, size_t depth, int32_t at, int32_t g_at)
{
	static const struct ap_rule in_dx = {
		.cfa = AP_CFA_GO_SWITCH, .cfa_register = REG_DX, .ra = AP_GO_FRAME};
	struct ap_rule saved = {
		.cfa = AP_CFA_GO_SWITCH,
		.cfa_register = AP_REG_SP,
		.cfa_offset = at,
		.ra = AP_GO_CGOCALL,
		.ra_offset = (int16_t)g_at,
	};
	size_t end = AFTER(m, depth, "\x48\x89\xf4"); /* mov %rsi,%rsp */

	if (!from || !depth || !end)
		return 0;
	add_span(m, from, depth, in_dx)->adds_value = true;
	add_span(m, depth, end, saved)->adds_value = true;
	return end;
}

static void asmcgocall(struct maker *m)
{
	size_t from = AFTER(m, 0, "\x48\x8b\x66\x38"); /* mov 0x38(%rsi),%rsp */
	size_t g = AFTER(m, from, "\x48\x89\x7c\x24"); /* mov %rdi,G(%rsp) */
	size_t at0 = AFTER(m, g, "\x48\x89\x3c\x24");  /* mov %rdi,(%rsp) */
	size_t at = AFTER(m, g, "\x48\x89\x7c\x24");   /* mov %rdi,N(%rsp) */
	int32_t depth_at = at0 ? 0 : operand8(m, at), g_at = operand8(m, g);
	size_t end, alone;

	if (!from || !g || (!at0 && !at))
		return;
	end = cgocall(m, from, at0 ? at0 : at + 1, depth_at, g_at);
	/* The same on a stack that was the thread's already. */
	alone = end ? AFTER(m, end, "\x48\x83\xec") : 0;       /* sub $N,%rsp */
	at0 = alone ? AFTER(m, alone, "\x48\x89\x14\x24") : 0; /* mov %rdx,(%rsp) */
	at = alone ? AFTER(m, alone, "\x48\x89\x54\x24") : 0;  /* mov %rdx,N(%rsp) */
	if (at0 || at)
		cgocall(m, alone + 1, at0 ? at0 : at + 1, depth_at, g_at);
}

/* Called by nobody: the kernel leaves its address on the stack of a signal's handler. A return address
 * counts as the byte before it. */
static void sigreturn(struct maker *m)
{
	static const struct ap_rule rule = {
		.cfa = AP_CFA_SIGNAL, .cfa_register = AP_REG_SP, .cfa_offset = 40};

	m->f.entry -= m->f.entry > 0;
	add_span(m, 0, UINT32_MAX, rule);
}

#define CALLBACK "runtime.cgocallbackg"

static const struct special {
	const char *name;
	void (*make)(struct maker *m);
} specials[] = {
	{"_rt0_amd64", whole},
	{"_rt0_amd64_linux", whole},
	{"gogo", gogo},
	{"runtime.asmcgocall", asmcgocall},
	{"runtime.callCgoMmap", frame_kept},
	{"runtime.callCgoMunmap", frame_kept},
	{"runtime.callCgoSigaction", frame_kept},
	{"runtime.cgocallback", frame_kept},
	{"runtime.cgocallback_gofunc", frame_kept},
	{CALLBACK, frame_pending},
	{"runtime.clone", clone_thread},
	{"runtime.gogo", gogo},
	{"runtime.goexit", whole},
	{"runtime.mcall", mcall},
	{"runtime.morestack", morestack},
	{"runtime.mstart", whole},
	{"runtime.nanotime1", frame_kept},
	{"runtime.rt0_go", whole},
	{"runtime.sigfwd", frame_kept},
	{"runtime.sigreturn", sigreturn},
	{"runtime.sigreturn__sigaction", sigreturn},
	{"runtime.systemstack", systemstack},
	{"runtime.walltime1", frame_kept},
	{"time.now", frame_kept},
};

/* Fills in the parts of m->f that have rules of their own. */
static int find_spans(struct maker *m)
{
	_cleanup_buf_ struct ap_buf name = {0};
	int err;

	m->n_spans = 0;
	if (!m->f.flags && !ap_gopclntab_is_named(m->g, m->f.name, AP_STR(CALLBACK)))
		return 0;
	err = ap_gopclntab_name(m->g, m->f.name, &name);
	if (err < 0)
		return err == -ENOMEM ? err : 0;
	m->n_code = ap_gopclntab_code(m->g, m->f.entry, m->code,
				      (size_t)AP_MIN(m->f.end - m->f.entry, (uint64_t)CODE_MAX));
	for (size_t i = 0; i < AP_ARRAY_SIZE(specials); i++)
		if (ap_str_is(ap_buf_view(&name), specials[i].name)) {
			specials[i].make(m);
			return 0;
		}
	if (m->f.flags & AP_GO_F_SP_WRITE)
		frame_kept(m);
	return 0;
}

static struct ap_rule value_rule(int32_t value)
{
	struct ap_rule r;

	if (value < 0)
		return (struct ap_rule){0};
	r = above_sp(value);
	if (value >= 8) {
		r.fp_tracked = AP_SAVED_CFA | AP_SAVED_UNDEFINED << 4;
		r.fp_offset = -16;
	}
	return r;
}

static struct ap_rule span_rule(const struct span *s, int32_t value)
{
	struct ap_rule r = s->rule;

	if (!s->adds_value)
		return r;
	if (r.ra == AP_GO_FRAME)
		r.cfa_offset = value + 8;
	else
		r.cfa_add = (int16_t)(value + 8);
	if (value >= 8) {
		r.fp_tracked = AP_SAVED_CFA;
		r.fp_offset = -16;
	}
	return r;
}

/* The rows of [begin, end), where one value holds. */
static int add_rows(struct maker *m, uint64_t begin, uint64_t end, int32_t value)
{
	struct ap_rule rule = value_rule(value);
	int err = ap_table_builder_row(m->b, begin, &rule);

	for (uint32_t i = 0; i < m->n_spans && err == 0; i++) {
		const struct span *s = &m->spans[i];
		uint64_t from = AP_MAX(begin, m->f.entry + s->begin);
		uint64_t to = AP_MIN(end, m->f.entry + s->end);
		struct ap_rule other = span_rule(s, value);

		if (from >= to || value < s->min_value)
			continue;
		err = ap_table_builder_row(m->b, from, &other);
		if (err == 0 && to < end)
			err = ap_table_builder_row(m->b, to, &rule);
	}
	return err;
}

static int add_function(struct maker *m)
{
	struct ap_go_values v;
	int err = find_spans(m);

	if (err == 0)
		err = ap_table_builder_function(m->b, m->f.entry, m->f.end);
	ap_go_values_begin(&v, m->g, &m->f, m->f.pcsp);
	while (err == 0 && ap_go_values_next(&v)) {
		if (m->steps_left-- == 0)
			return -EFBIG;
		err = add_rows(m, v.begin, v.end, v.value > VALUE_MAX ? -1 : v.value);
	}
	return err;
}

int ap_gopclntab_rows(struct ap_gopclntab *g, struct ap_table_builder *b)
{
	_cleanup_free_ struct maker *m = calloc(1, sizeof(*m));
	uint32_t n = 0;
	int err = 0;

	if (AP_ELF_MACHINE != EM_X86_64)
		return -ENODATA;
	if (!m)
		return -ENOMEM;
	m->g = g;
	m->b = b;
	m->steps_left = STEPS_MAX;
	for (uint32_t i = 0; i < ap_gopclntab_count(g) && err == 0; i++) {
		/* Without values it is no Go code. */
		if (ap_gopclntab_function(g, i, &m->f) < 0 || !m->f.pcsp)
			continue;
		err = add_function(m);
		n++;
	}
	return err == 0 && n == 0 ? -ENODATA : err;
}
