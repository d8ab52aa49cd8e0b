/* SPDX-License-Identifier: Apache-2.0 */
/* A terminal that a program has to itself for a while: keys arrive as they are pressed, and the picture is on
 * the other screen, so that what was there comes back. However the program ends, but for SIGKILL, the
 * terminal is as it was. */
#ifndef AP_CLI_TTY_H
#define AP_CLI_TTY_H

#include <termios.h>

#include "base/buf.h"
#include "base/error.h"

struct ap_tty {
	int in, out;
	struct termios saved;
	bool taken;
};

/* From here on a fault of this program's own gives the terminal back, too. Before others take such signals:
 * they then come first. */
void ap_tty_watch_faults(void);
/* Takes the terminal of stdin and stdout: -ENOTTY where one of them is none. One at a time. */
int ap_tty_take(struct ap_tty *t, struct ap_error *err);
/* Gives it back; idempotent. */
void ap_tty_release(struct ap_tty *t);
/* Draws `lines`, each ending in '\n', from the top, and clears what is below: 0 or -errno. */
int ap_tty_draw(const struct ap_tty *t, struct ap_str lines, unsigned int rows);
/* 24 x 80 where the terminal does not say. */
void ap_tty_size(const struct ap_tty *t, unsigned int *ret_rows, unsigned int *ret_columns);

/* What a key press is; characters are themselves. */
enum ap_key {
	AP_KEY_NONE = 0,
	AP_KEY_TAB = '\t',
	AP_KEY_ENTER = '\r',
	AP_KEY_ESCAPE = 0x1b,
	AP_KEY_BACKSPACE = 0x7f,
	AP_KEY_UP = 0x100,
	AP_KEY_DOWN,
	AP_KEY_LEFT,
	AP_KEY_RIGHT,
	AP_KEY_PAGE_UP,
	AP_KEY_PAGE_DOWN,
	AP_KEY_HOME,
	AP_KEY_END,
	AP_KEY_BACKTAB,
	AP_KEY_OTHER, /* a sequence that is none of these */
};

/* Takes the next key from what was read; AP_KEY_NONE: there is no more. */
int ap_key_next(struct ap_str *input);

#endif
