/* SPDX-License-Identifier: Apache-2.0 */
/* The pusher against a server that answers as the test says. */
#include "agent/push.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "../test.h"
#include "base/clock.h"
#include "wire/batch.h"
#include "wire/server.h"

#define SECOND AP_NSEC_PER_SEC
#define METHOD "/aperture.aggregator.v1.Aggregator/Push"

/* Answers each call with the next of `script`, the last one for ever. */
struct aggregator {
	struct ap_server *server;
	uint16_t port;
	struct ap_push_result script[8];
	uint32_t n_script, calls;
	char seen[256]; /* first bytes of the requests, in order */
	pthread_mutex_t lock;
};

static void on_push(void *ctx, struct ap_str request, const atomic_bool *gone, struct ap_buf *reply,
		    struct ap_rpc_status *status)
{
	struct aggregator *a = ctx;
	uint32_t i;

	pthread_mutex_lock(&a->lock);
	a->seen[AP_MIN(a->calls, 254u)] = request.n ? request.p[0] : '-';
	i = AP_MIN(a->calls, a->n_script - 1);
	a->calls++;
	pthread_mutex_unlock(&a->lock);
	if (a->script[i].status == AP_PUSH_UNSPECIFIED)
		ap_rpc_status_set(status, AP_RPC_INTERNAL, "down");
	else
		ap_push_result_encode(&a->script[i], reply);
}

static void serve(struct aggregator *a, uint16_t port)
{
	struct ap_rpc_method method = {METHOD, on_push, a};
	struct ap_server_config config = {.methods = &method, .n_methods = 1};
	struct ap_error err = {0};
	char listen[32];

	pthread_mutex_init(&a->lock, NULL);
	snprintf(listen, sizeof(listen), "127.0.0.1:%u", port);
	config.listen = listen;
	if (ap_server_start(&config, &a->server, &err) < 0)
		fail_msg("%s", err.msg);
	a->port = ap_server_port(a->server);
}

static char folder[64]; /* of the spool; "" none */
static uint64_t spool_bytes;

static int make_folder(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/ap-spool-XXXXXX");
	spool_bytes = 0;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	folder[0] = '\0';
	return system(command);
}

static struct ap_pusher *pusher(uint16_t port, struct ap_ledger *ledger, size_t max_bytes)
{
	struct ap_pusher_config config = {.max_queue_bytes = max_bytes,
					  .spool_dir = folder[0] ? folder : NULL,
					  .spool_bytes = spool_bytes,
					  .backoff_min_ns = 1000000,
					  .backoff_max_ns = 20000000,
					  .ledger = ledger};
	struct ap_pusher *p = NULL;
	char target[32];

	snprintf(target, sizeof(target), "127.0.0.1:%u", port);
	config.server = target;
	assert_int_equal(ap_pusher_start(&config, &p, NULL), 0);
	return p;
}

static int add(struct ap_pusher *p, char first, size_t bytes, uint64_t periods)
{
	struct ap_ledger deltas = {.count = {[AP_LEDGER_SAMPLE_IDLE] = periods}};
	struct ap_buf b = {0};
	int r;

	for (size_t i = 0; i < bytes; i++)
		ap_buf_byte(&b, (uint8_t)first);
	r = ap_pusher_add(p, &b, &(struct ap_push_units){.periods = periods}, &deltas);
	assert_true((r == 0) == (b.p == NULL));
	ap_buf_free(&b);
	return r;
}

/* Waits until the pusher's queue is empty. */
static void drained(struct ap_pusher *p)
{
	uint64_t deadline = ap_clock_mono_ns() + 30 * SECOND;
	struct ap_pusher_stats s;

	do {
		assert_true(ap_clock_mono_ns() < deadline);
		usleep(1000);
		ap_pusher_get_stats(p, &s);
	} while (s.queued);
}

static void batches_arrive_in_order_through_every_hindrance(void **state)
{
	struct aggregator a = {.script = {{AP_PUSH_UNSPECIFIED},
					  {AP_PUSH_BACKPRESSURE, .retry_after_ms = 2},
					  {AP_PUSH_OK},
					  {AP_PUSH_DUPLICATE},
					  {AP_PUSH_UNSPECIFIED},
					  {AP_PUSH_OK}},
			       .n_script = 6};
	struct ap_ledger ledger = {0};
	struct ap_pusher_stats s;
	struct ap_pusher *p;

	serve(&a, 0);
	p = pusher(a.port, &ledger, 0);
	assert_int_equal(add(p, 'a', 10, 1), 0);
	assert_int_equal(add(p, 'b', 10, 2), 0);
	assert_int_equal(add(p, 'c', 10, 4), 0);
	drained(p);
	ap_pusher_get_stats(p, &s);
	assert_string_equal(a.seen, "aaabcc");
	assert_int_equal(s.pushed, 3);
	assert_int_equal(s.duplicates, 1);
	assert_int_equal(s.retries, 3);
	assert_true(s.connected);
	assert_int_equal(ledger.count[AP_LEDGER_PUSH_IN], 7);
	assert_int_equal(ledger.count[AP_LEDGER_PUSH_OUT], 7);
	assert_int_equal(ap_pusher_stop(p, SECOND), 0);
	ap_server_stop(a.server, SECOND);
}

static void a_refused_batch_is_counted_and_its_deltas_come_back(void **state)
{
	struct aggregator a = {
		.script = {{AP_PUSH_ERROR, AP_PUSH_CODE_TOO_OLD, "too old"}, {AP_PUSH_OK}},
		.n_script = 2};
	struct ap_ledger ledger = {0}, back = {0};
	struct ap_pusher_stats s;
	struct ap_pusher *p;

	serve(&a, 0);
	p = pusher(a.port, &ledger, 0);
	assert_int_equal(add(p, 'a', 10, 5), 0);
	drained(p);
	ap_pusher_get_stats(p, &s);
	assert_int_equal(s.refused, 1);
	assert_string_equal(s.last_refusal, "too old");
	assert_string_equal(s.last_error, ""); /* nothing is kept to be sent again */
	assert_int_equal(ledger.count[AP_LEDGER_PUSH_REFUSED], 5);
	ap_pusher_reclaim(p, &back);
	assert_int_equal(back.count[AP_LEDGER_SAMPLE_IDLE], 5);
	ap_pusher_reclaim(p, &back);
	assert_int_equal(back.count[AP_LEDGER_SAMPLE_IDLE], 5);
	assert_int_equal(add(p, 'b', 10, 1), 0);
	drained(p);
	assert_int_equal(ledger.count[AP_LEDGER_PUSH_OUT], 1);
	ap_pusher_stop(p, SECOND);
	ap_server_stop(a.server, SECOND);
}

static void a_full_queue_drops_the_oldest(void **state)
{
	struct ap_ledger ledger = {0}, back = {0};
	struct ap_pusher *p = pusher(1, &ledger, 100); /* nobody listens on port 1 */
	struct ap_pusher_stats s;
	uint32_t left;

	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(add(p, 'x', 40, 1 + i), 0);
	assert_int_equal(add(p, 'y', 101, 1000), -EFBIG);
	ap_pusher_get_stats(p, &s);
	assert_true(s.queued <= 3);
	assert_int_equal(s.queued + s.dropped, 11);
	ap_pusher_reclaim(p, &back);
	assert_int_equal(back.count[AP_LEDGER_SAMPLE_IDLE],
			 ledger.count[AP_LEDGER_PUSH_QUEUE_FULL]);
	left = ap_pusher_stop(p, 0);
	assert_int_equal(left, s.queued);
	assert_int_equal(ledger.count[AP_LEDGER_PUSH_IN], 1055);
	assert_int_equal(ledger.count[AP_LEDGER_PUSH_IN],
			 ledger.count[AP_LEDGER_PUSH_QUEUE_FULL] +
				 ledger.count[AP_LEDGER_PUSH_STOPPED]);
}

static void an_aggregator_that_comes_late_gets_all(void **state)
{
	struct aggregator a = {.script = {{AP_PUSH_OK}}, .n_script = 1};
	struct ap_ledger ledger = {0};
	struct ap_pusher_stats s;
	struct ap_pusher *p;
	uint16_t port;

	serve(&a, 0); /* finds a free port */
	port = a.port;
	ap_server_stop(a.server, 0);
	p = pusher(port, &ledger, 0);
	for (char c = 'a'; c <= 'z'; c++)
		assert_int_equal(add(p, c, 10, 1), 0);
	do {
		usleep(1000);
		ap_pusher_get_stats(p, &s);
	} while (s.retries < 3);
	assert_false(s.connected);
	assert_true(s.last_error[0] != '\0');
	serve(&a, port);
	assert_int_equal(ap_pusher_stop(p, 30 * SECOND), 0);
	assert_string_equal(a.seen, "abcdefghijklmnopqrstuvwxyz");
	assert_int_equal(ledger.count[AP_LEDGER_PUSH_OUT], 26);
	ap_server_stop(a.server, SECOND);
}

/* All that went in has ended in one way. */
static void assert_closed(const struct ap_ledger *l)
{
	uint64_t ends = l->count[AP_LEDGER_PUSH_OUT];

	for (uint32_t id = AP_LEDGER_PUSH_QUEUE_FULL; id <= AP_LEDGER_PUSH_DAMAGED; id++)
		ends += l->count[id];
	assert_int_equal(l->count[AP_LEDGER_PUSH_IN], ends);
}

static void the_next_run_sends_what_is_on_disk(void **state)
{
	struct aggregator a = {.script = {{AP_PUSH_OK}}, .n_script = 1};
	struct ap_ledger first = {0}, second = {0}, third = {0};
	struct ap_pusher *p = pusher(1, &first, 0); /* nobody listens on port 1 */

	for (char c = 'a'; c <= 'c'; c++)
		assert_int_equal(add(p, c, 10, 7), 0);
	assert_int_equal(ap_pusher_stop(p, 0), 0);
	assert_int_equal(first.count[AP_LEDGER_PUSH_KEPT], 21);
	assert_closed(&first);

	serve(&a, 0);
	p = pusher(a.port, &second, 0);
	assert_int_equal(add(p, 'd', 10, 1), 0);
	drained(p);
	assert_int_equal(ap_pusher_stop(p, 0), 0);
	assert_string_equal(a.seen, "abcd");
	assert_int_equal(second.count[AP_LEDGER_PUSH_OUT], 22);
	assert_closed(&second);

	p = pusher(a.port, &third, 0);
	assert_int_equal(ap_pusher_stop(p, 0), 0);
	assert_int_equal(third.count[AP_LEDGER_PUSH_IN], 0);
	ap_server_stop(a.server, SECOND);
}

static void what_memory_has_no_room_for_is_on_disk(void **state)
{
	struct aggregator a = {.script = {{AP_PUSH_BACKPRESSURE, .retry_after_ms = 1}},
			       .n_script = 1};
	struct ap_ledger ledger = {0};
	struct ap_pusher_stats s;
	struct ap_pusher *p;

	serve(&a, 0);
	p = pusher(a.port, &ledger, 100);
	for (char c = 'a'; c <= 'j'; c++)
		assert_int_equal(add(p, c, 40, 1), 0);
	assert_int_equal(add(p, 'k', 1000, 1), 0); /* larger than all the memory */
	ap_pusher_get_stats(p, &s);
	assert_int_equal(s.queued, 11);
	assert_int_equal(s.queued_bytes, 1400);
	assert_true(s.memory_bytes <= 100);
	pthread_mutex_lock(&a.lock);
	a.script[0] = (struct ap_push_result){.status = AP_PUSH_OK};
	memset(a.seen, 0, sizeof(a.seen));
	a.calls = 0;
	pthread_mutex_unlock(&a.lock);
	drained(p);
	/* The first may have been under way with the answer of before. */
	assert_string_equal(strchr(a.seen, 'b'), "bcdefghijk");
	assert_int_equal(ap_pusher_stop(p, 0), 0);
	assert_int_equal(ledger.count[AP_LEDGER_PUSH_OUT], 11);
	ap_server_stop(a.server, SECOND);
}

static void a_full_spool_drops_the_oldest(void **state)
{
	struct ap_ledger ledger = {0}, back = {0};
	struct ap_pusher_stats s;
	struct ap_pusher *p;

	spool_bytes = 4000; /* a record a file */
	p = pusher(1, &ledger, 100);
	for (int i = 0; i < 40; i++)
		assert_int_equal(add(p, 'x', 300, 1), 0);
	ap_pusher_get_stats(p, &s);
	assert_true(s.spool_bytes <= 4000);
	assert_in_range(s.queued, 5, 12);
	assert_int_equal(s.queued + s.dropped, 40);
	ap_pusher_reclaim(p, &back);
	assert_int_equal(back.count[AP_LEDGER_SAMPLE_IDLE], s.dropped);
	assert_int_equal(ap_pusher_stop(p, 0), 0);
	assert_int_equal(ledger.count[AP_LEDGER_PUSH_QUEUE_FULL], s.dropped);
	assert_int_equal(ledger.count[AP_LEDGER_PUSH_KEPT], s.queued);
	assert_closed(&ledger);
}

static void a_disk_that_fails_leaves_the_memory(void **state)
{
	struct ap_ledger ledger = {0};
	struct rlimit before, none;
	struct ap_pusher_stats s;
	struct ap_pusher *p;

	p = pusher(1, &ledger, 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(add(p, 'a', 10, 3), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	ap_pusher_get_stats(p, &s);
	assert_int_equal(s.queued, 1);
	assert_string_not_equal(s.spool_error, "");
	assert_int_equal(add(p, 'b', 10, 4), 0);
	ap_pusher_get_stats(p, &s);
	assert_string_equal(s.spool_error, "");
	assert_int_equal(ap_pusher_stop(p, 0), 1);
	assert_int_equal(ledger.count[AP_LEDGER_PUSH_STOPPED], 3);
	assert_int_equal(ledger.count[AP_LEDGER_PUSH_KEPT], 4);
	assert_closed(&ledger);
}

#define TEST_SPOOL(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batches_arrive_in_order_through_every_hindrance),
		cmocka_unit_test(a_refused_batch_is_counted_and_its_deltas_come_back),
		cmocka_unit_test(a_full_queue_drops_the_oldest),
		cmocka_unit_test(an_aggregator_that_comes_late_gets_all),
		TEST_SPOOL(the_next_run_sends_what_is_on_disk),
		TEST_SPOOL(what_memory_has_no_room_for_is_on_disk),
		TEST_SPOOL(a_full_spool_drops_the_oldest),
		TEST_SPOOL(a_disk_that_fails_leaves_the_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
