/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tty.h"

#include <signal.h>
#include <sys/ioctl.h>

#include "base/io.h"

/* The other screen, without a cursor, and without lines that go on in the next one. */
#define ENTER "\033[?1049h\033[?25l\033[?7l"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
static struct ap_tty *volatile taken; /* for on_fatal() */

/* Gives the terminal back before the program dies of a fault of its own. Async-signal-safe. */
static void on_fatal(int sig)
{
	struct ap_tty *t = taken;

	if (t && write(t->out, LEAVE, sizeof(LEAVE) - 1) >= 0)
		tcsetattr(t->in, TCSANOW, &t->saved);
	signal(sig, SIG_DFL);
	raise(sig);
}

void ap_tty_watch_faults(void)
{
	struct sigaction sa = {.sa_handler = on_fatal};

	for (size_t i = 0; i < AP_ARRAY_SIZE(fatal); i++)
		sigaction(fatal[i], &sa, NULL);
}

int ap_tty_take(struct ap_tty *t, struct ap_error *err)
{
	struct termios raw;
	int r;

	t->in = STDIN_FILENO;
	t->out = STDOUT_FILENO;
	if (!isatty(t->out) || tcgetattr(t->in, &t->saved) < 0)
		return ap_error_set(err, -ENOTTY,
				    "this view needs a terminal: --batch prints plain pages");
	taken = t;
	raw = t->saved;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
	raw.c_iflag &= ~(tcflag_t)(ICRNL | IXON);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	t->taken = true;
	r = tcsetattr(t->in, TCSANOW, &raw) < 0 ? -errno
						: ap_write_all(t->out, ENTER, sizeof(ENTER) - 1);
	if (r < 0) {
		ap_tty_release(t);
		return ap_error_set(err, r, "cannot use the terminal: %s", ap_strerror(r));
	}
	return 0;
}

void ap_tty_release(struct ap_tty *t)
{
	if (!t->taken)
		return;
	t->taken = false;
	/* A terminal that is gone has nothing to get back. */
	if (ap_write_all(t->out, LEAVE, sizeof(LEAVE) - 1) == 0)
		tcsetattr(t->in, TCSANOW, &t->saved);
	taken = NULL;
}

int ap_tty_draw(const struct ap_tty *t, struct ap_str lines, unsigned int rows)
{
	_cleanup_buf_ struct ap_buf out = {0};

	ap_buf_puts(&out, "\033[H");
	for (unsigned int row = 0; row < rows && lines.n; row++) {
		if (row)
			ap_buf_puts(&out, "\r\n");
		ap_buf_str(&out, ap_str_cut(&lines, '\n'));
		ap_buf_puts(&out, "\033[K");
	}
	ap_buf_puts(&out, "\033[J");
	return ap_buf_error(&out) ?: ap_write_all(t->out, out.p, out.n);
}

void ap_tty_size(const struct ap_tty *t, unsigned int *ret_rows, unsigned int *ret_columns)
{
	struct winsize size = {0};

	if (ioctl(t->out, TIOCGWINSZ, &size) < 0)
		size = (struct winsize){0};
	*ret_rows = size.ws_row ? size.ws_row : 24;
	*ret_columns = size.ws_col ? size.ws_col : 80;
}

/* What follows "ESC [" or "ESC O" up to its last byte. */
static int sequence(struct ap_str body)
{
	static const struct {
		const char *body;
		int key;
	} keys[] = {{"A", AP_KEY_UP},	      {"B", AP_KEY_DOWN},   {"C", AP_KEY_RIGHT},
		    {"D", AP_KEY_LEFT},	      {"H", AP_KEY_HOME},   {"F", AP_KEY_END},
		    {"1~", AP_KEY_HOME},      {"4~", AP_KEY_END},   {"5~", AP_KEY_PAGE_UP},
		    {"6~", AP_KEY_PAGE_DOWN}, {"Z", AP_KEY_BACKTAB}};

	for (size_t i = 0; i < AP_ARRAY_SIZE(keys); i++)
		if (ap_str_is(body, keys[i].body))
			return keys[i].key;
	return AP_KEY_OTHER;
}

int ap_key_next(struct ap_str *input)
{
	const char *p = input->p;
	size_t n = input->n, len = 1;
	int key;

	if (!n)
		return AP_KEY_NONE;
	key = (unsigned char)p[0] ? (unsigned char)p[0] : AP_KEY_OTHER;
	if (key == AP_KEY_ESCAPE && n > 1 && (p[1] == '[' || p[1] == 'O')) {
		/* Parameters, and one byte from '@' on that ends it (ECMA-48, 5.4). */
		for (len = 2; len < n && (unsigned char)p[len] < 0x40;)
			len++;
		len = AP_MIN(len + 1, n);
		key = sequence((struct ap_str){p + 2, len - 2});
	} else if (key == '\n') {
		key = AP_KEY_ENTER;
	} else if (key == '\b') {
		key = AP_KEY_BACKSPACE;
	}
	input->p += len;
	input->n -= len;
	return key;
}
