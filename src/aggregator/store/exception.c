/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/exception.h"

#define MARK "Code: "
enum { ALL_CONNECTION_TRIES_FAILED = 279, ALL_REPLICAS_ARE_STALE = 369 };

static struct ap_str after(struct ap_str s, size_t n)
{
	return (struct ap_str){s.p + n, s.n - n};
}

/* Where `part` begins in `s`; -1: nowhere. */
static ssize_t position(struct ap_str s, struct ap_str part)
{
	const char *at = s.n ? memmem(s.p, s.n, part.p, part.n) : NULL;

	return at ? at - s.p : -1;
}

static struct ap_str first_line(struct ap_str s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != '\n' && s.p[n] != '\0')
		n++;
	return (struct ap_str){s.p, n};
}

static bool read_number(struct ap_str *s, uint32_t *ret)
{
	uint32_t v = 0;
	size_t n = 0;

	while (n < s->n && n < 9 && s->p[n] >= '0' && s->p[n] <= '9')
		v = v * 10 + (uint32_t)(s->p[n++] - '0');
	*s = after(*s, n);
	*ret = v;
	return n > 0;
}

bool ap_exception_find(struct ap_str text, uint32_t *ret_number, struct ap_str *ret_line)
{
	/* DB::Exception, DB::NetException, … */
	static const struct ap_str name = AP_STR("Exception: "), what = AP_STR(", e.what() = ");
	ssize_t at;

	while ((at = position(text, AP_STR(MARK))) >= 0) {
		struct ap_str line;

		text = after(text, (size_t)at + strlen(MARK));
		line = first_line(text);
		if (!read_number(&line, ret_number))
			continue;
		at = position(line, name);
		if (at >= 0)
			line = after(line, (size_t)at + name.n);
		at = position(line, what);
		if (at >= 0)
			line.n = (size_t)at;
		*ret_line = line;
		return true;
	}
	return false;
}

/* The numbers: src/Common/ErrorCodes.cpp of ClickHouse. */
int ap_exception_errno(uint32_t number)
{
	switch (number) {
	case 159: /* TIMEOUT_EXCEEDED */
	case 160: /* TOO_SLOW */
		return -ETIMEDOUT;
	case 241: /* MEMORY_LIMIT_EXCEEDED */
	case 173: /* CANNOT_ALLOCATE_MEMORY */
		return -ENOMEM;
	case 394: /* QUERY_WAS_CANCELLED */
		return -ECANCELED;
	case 158: /* TOO_MANY_ROWS */
	case 396: /* TOO_MANY_ROWS_OR_BYTES */
		return -E2BIG;
	case 243: /* NOT_ENOUGH_SPACE */
		return -ENOSPC;
	case 372: /* SESSION_NOT_FOUND */
		return -ESRCH;
	case 76:  /* CANNOT_OPEN_FILE */
	case 202: /* TOO_MANY_SIMULTANEOUS_QUERIES */
	case 216: /* QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING */
	case 252: /* TOO_MANY_PARTS */
	case 373: /* SESSION_IS_LOCKED */
		return -EBUSY;
	case 36:  /* BAD_ARGUMENTS */
	case 43:  /* ILLEGAL_TYPE_OF_ARGUMENT */
	case 46:  /* UNKNOWN_FUNCTION */
	case 47:  /* UNKNOWN_IDENTIFIER */
	case 62:  /* SYNTAX_ERROR */
	case 427: /* CANNOT_COMPILE_REGEXP */
		return -EINVAL;
	case 32:  /* ATTEMPT_TO_READ_AFTER_EOF: of a server that went in between */
	case 209: /* SOCKET_TIMEOUT */
	case 210: /* NETWORK_ERROR */
	case 225: /* NO_ZOOKEEPER */
	case 242: /* TABLE_IS_READ_ONLY: the same, to a table */
	case ALL_CONNECTION_TRIES_FAILED:
	case ALL_REPLICAS_ARE_STALE:
	case 999: /* KEEPER_EXCEPTION */
		return -ENOTCONN;
	case 60: /* UNKNOWN_TABLE */
	case 81: /* UNKNOWN_DATABASE */
		return -ENOENT;
	case 164: /* READONLY */
	case 192: /* UNKNOWN_USER */
	case 193: /* WRONG_PASSWORD */
	case 194: /* REQUIRED_PASSWORD */
	case 195: /* IP_ADDRESS_NOT_ALLOWED */
	case 291: /* DATABASE_ACCESS_DENIED */
	case 497: /* ACCESS_DENIED */
	case 516: /* AUTHENTICATION_FAILED */
		return -EACCES;
	default:
		return -EIO;
	}
}

/* "(host:9000)" */
static bool names_host(struct ap_str line)
{
	ssize_t from = position(line, AP_STR("(")), end;

	if (from < 0)
		return false;
	line = after(line, (size_t)from);
	end = position(line, AP_STR(")"));
	return end >= 0 && position((struct ap_str){line.p, (size_t)end}, AP_STR(":")) >= 0;
}

/* That another server of the cluster is not reached is said in a line for each attempt, of which the first is
 * taken that names the server. */
static bool find_attempt(struct ap_str text, struct ap_str *ret)
{
	struct ap_str line;
	uint32_t number;

	while (ap_exception_find(text, &number, &line)) {
		text = after(text, (size_t)(line.p + line.n - text.p));
		if (number != ALL_CONNECTION_TRIES_FAILED && names_host(line)) {
			*ret = line;
			return true;
		}
	}
	return false;
}

int ap_exception_error(struct ap_error *err, const char *what, struct ap_str text)
{
	struct ap_str line = first_line(text);
	const char *lead = "";
	uint32_t number = 0;
	int r = -EIO;

	if (ap_exception_find(text, &number, &line))
		r = ap_exception_errno(number);
	if (r == -ENOTCONN && number == ALL_CONNECTION_TRIES_FAILED && find_attempt(text, &line)) {
		/* A server that came with an empty disk. */
		r = position(line, AP_STR("no table")) >= 0 ? -ENOENT : r;
		lead = "a server of the cluster cannot be asked: ";
	} else if (number == ALL_REPLICAS_ARE_STALE) {
		lead = "a shard of the cluster has no replica that is up and not behind: ";
	}
	line.n = AP_MIN(line.n, sizeof(err->msg));
	ap_error_set(err, r, "%s: %s%.*s", what, lead, AP_STR_ARG(line));
	/* A stranger's control characters could drive the reader's terminal. */
	for (char *p = err ? err->msg : NULL; p && *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return r;
}
