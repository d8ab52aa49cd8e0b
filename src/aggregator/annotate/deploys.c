/* SPDX-License-Identifier: Apache-2.0 */
/* Which sightings are a deploy. What is on file is in deploys_saved.c. */
#include "aggregator/annotate/deploys_internal.h"

#define MINUTE_MS   60000ll
#define DAY_MS	    86400000ll /* how long hosts are added to a marker */
#define FORGET_MS   (7 * DAY_MS)
#define QUIET_MS    (3 * MINUTE_MS)
#define JOIN_MS	    (10 * MINUTE_MS) /* programs of one service that change within it change together */
#define LATE_MS	    (60 * MINUTE_MS) /* a batch from a spool may move a marker back by that much */
#define RETURNS_MAX 2
#define MARKERS_MAX 4096 /* open ones */

/* ---- Programs and their identities. ---- */

static void build_free(struct build *b)
{
	free(b->build);
	free(b->version);
}

static void program_free(struct program *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		build_free(&p->builds[i]);
	free(p->key);
	free(p);
}

static void make_room(struct ap_deploys *d)
{
	struct program *p, *next, *oldest = NULL;

	if (HASH_COUNT(d->table) < AP_DEPLOY_PROGRAMS_MAX)
		return;
	HASH_ITER(hh, d->table, p, next)
		if (!oldest || p->seen_ms < oldest->seen_ms)
			oldest = p;
	HASH_DEL(d->table, oldest);
	program_free(oldest);
	d->stats.forgotten++;
}

struct program *program_get(struct ap_deploys *d, struct ap_str service, struct ap_str name)
{
	char key[1024];
	size_t n = service.n + name.n + 2;
	struct program *p;

	if (n > sizeof(key))
		return NULL;
	memcpy(key, service.p, service.n);
	key[service.n] = '\0';
	memcpy(key + service.n + 1, name.p, name.n);
	key[n - 1] = '\0';
	HASH_FIND(hh, d->table, key, n, p);
	if (p)
		return p;
	make_room(d);
	p = calloc(1, sizeof(*p));
	if (p)
		p->key = malloc(n);
	if (!p || !p->key) {
		free(p);
		return NULL;
	}
	memcpy(p->key, key, n);
	p->key_n = n;
	HASH_ADD_KEYPTR(hh, d->table, p->key, n, p);
	if (p->lost) {
		program_free(p);
		return NULL;
	}
	return p;
}

struct build *program_add(struct program *p, struct ap_str build, struct ap_str version)
{
	struct build b = {
		.build = ap_str_dup(build), .version = ap_str_dup(version), .dirty = true};
	uint32_t at = p->n;

	if (!b.build || !b.version) {
		build_free(&b);
		return NULL;
	}
	if (p->n == AP_DEPLOY_BUILDS_MAX) {
		at = p->current == 0 ? 1 : 0;
		for (uint32_t i = 0; i < p->n; i++)
			if (i != p->current && p->builds[i].seen_ms < p->builds[at].seen_ms)
				at = i;
		build_free(&p->builds[at]);
	} else {
		p->n++;
	}
	p->builds[at] = b;
	return &p->builds[at];
}

/* Either side may not know it. */
static bool agrees(struct ap_str seen, const char *known)
{
	return seen.n == 0 || known[0] == '\0' || ap_str_is(seen, known);
}

static bool is_shared(struct ap_str seen, const char *known)
{
	return seen.n && ap_str_is(seen, known);
}

/* A version may become known after a while: that alone is no other identity. */
static struct build *find_build(struct program *p, const struct ap_sighting *s)
{
	for (uint32_t i = 0; i < p->n; i++) {
		const struct build *b = &p->builds[i];

		if (agrees(s->build, b->build) && agrees(s->version, b->version) &&
		    (is_shared(s->build, b->build) || is_shared(s->version, b->version)))
			return &p->builds[i];
	}
	return NULL;
}

/* Takes over what was not known yet. */
static int learn(struct build *b, const struct ap_sighting *s)
{
	char **known[] = {&b->build, &b->version};
	const struct ap_str seen[] = {s->build, s->version};

	for (int i = 0; i < 2; i++) {
		char *copy;

		if ((*known[i])[0] || seen[i].n == 0)
			continue;
		copy = ap_str_dup(seen[i]);
		if (!copy)
			return -ENOMEM;
		free(*known[i]);
		*known[i] = copy;
		b->dirty = true;
	}
	return 0;
}

/* ---- Markers. ---- */

void marker_free(struct marker *m)
{
	AP_VEC_FOREACH(&m->hosts, h)
		free(*h);
	AP_VEC_FOREACH(&m->programs, p)
		free(*p);
	ap_vec_free(&m->hosts);
	ap_vec_free(&m->programs);
	free(m->service);
	free(m->program);
	for (int i = 0; i < 2; i++) {
		free(m->from[i]);
		free(m->to[i]);
	}
}

static void drop_marker(struct ap_deploys *d, size_t i)
{
	marker_free(&d->markers.p[i]);
	memmove(d->markers.p + i, d->markers.p + i + 1,
		(d->markers.n - i - 1) * sizeof(*d->markers.p));
	d->markers.n--;
}

/* The latest marker that took a program to what is current. */
static struct marker *marker_of(struct ap_deploys *d, const struct program *p)
{
	const struct build *b = &p->builds[p->current];

	for (size_t i = d->markers.n; i-- > 0;) {
		struct marker *m = &d->markers.p[i];

		if (strcmp(m->service, program_service(p)) == 0 &&
		    strcmp(m->program, program_name(p)) == 0)
			return strcmp(m->to[0], b->build) == 0 && strcmp(m->to[1], b->version) == 0
				       ? m
				       : NULL;
	}
	return NULL;
}

/* Another program's marker of the same service and about the same time. */
static struct marker *marker_to_join(struct ap_deploys *d, const struct program *p, int64_t at_ms)
{
	for (size_t i = d->markers.n; i-- > 0;) {
		struct marker *m = &d->markers.p[i];

		if (strcmp(m->service, program_service(p)) == 0 &&
		    strcmp(m->program, program_name(p)) != 0 && llabs(at_ms - m->at_ms) <= JOIN_MS)
			return m;
	}
	return NULL;
}

/* 1; 0: it is there already, or there are too many; -ENOMEM. */
static int add_name(struct names *names, struct ap_str name)
{
	char *copy;

	AP_VEC_FOREACH(names, it)
		if (ap_str_is(name, *it))
			return 0;
	if (names->n >= AP_DEPLOY_HOSTS_MAX)
		return 0;
	copy = ap_str_dup(name);
	if (!copy || ap_vec_push(names, copy) < 0) {
		free(copy);
		return -ENOMEM;
	}
	return 1;
}

/* A marker hears of one more host, or that it began earlier. */
static int follow(struct marker *m, const struct ap_sighting *s)
{
	int r = 0;

	if (s->at_ms - m->at_ms <= DAY_MS)
		r = add_name(&m->hosts, s->host);
	if (s->at_ms < m->at_ms && m->at_ms - s->at_ms <= LATE_MS) {
		m->at_ms = s->at_ms;
		r = AP_MAX(r, 1);
	}
	m->dirty = m->dirty || r > 0;
	return AP_MIN(r, 0);
}

static int add_marker(struct ap_deploys *d, const struct program *p, const struct build *from,
		      const struct build *to, const struct ap_sighting *s, int64_t at_ms)
{
	struct marker m = {
		.serial = ++d->last_serial,
		.service = strdup(program_service(p)),
		.program = strdup(program_name(p)),
		.from = {strdup(from->build), strdup(from->version)},
		.to = {strdup(to->build), strdup(to->version)},
		.at_ms = at_ms,
		.dirty = true,
	};

	while (d->markers.n &&
	       (d->markers.n >= MARKERS_MAX || d->markers.p[0].at_ms < at_ms - DAY_MS) &&
	       !d->markers.p[0].dirty)
		drop_marker(d, 0);
	if (!m.service || !m.program || !m.from[0] || !m.from[1] || !m.to[0] || !m.to[1] ||
	    add_name(&m.hosts, s->host) < 0 || d->markers.n >= MARKERS_MAX ||
	    ap_vec_push(&d->markers, m) < 0) {
		marker_free(&m);
		return -ENOMEM;
	}
	return 0;
}

/* From the current identity to another one. */
static int deploy(struct ap_deploys *d, struct program *p, struct build *to,
		  const struct ap_sighting *s, int64_t at_ms)
{
	struct build *from = &p->builds[p->current];
	struct marker *m = marker_to_join(d, p, at_ms);
	int r;

	if (m) {
		r = add_name(&m->programs, ap_str_of(program_name(p)));
		m->dirty = m->dirty || r > 0;
		r = r < 0 ? r : follow(m, s);
	} else {
		r = add_marker(d, p, from, to, s, at_ms);
	}
	if (r < 0)
		return r;
	from->dirty = to->dirty = true;
	p->current = (uint32_t)(to - p->builds);
	p->since_ms = at_ms;
	for (uint32_t i = 0; i < p->n; i++)
		p->builds[i].since_ms = 0;
	return 0;
}

/* ---- Sightings. ---- */

static int see_current(struct ap_deploys *d, struct program *p, const struct ap_sighting *s)
{
	struct marker *m = marker_of(d, p);

	if (!p->since_ms)
		p->since_ms = s->at_ms;
	for (uint32_t i = 0; i < p->n; i++)
		if (p->builds[i].since_ms < s->at_ms)
			p->builds[i].since_ms = 0;
	return m ? follow(m, s) : 0;
}

/* One that ran before, while another is current. */
static int see_known(struct ap_deploys *d, struct program *p, struct build *b,
		     const struct ap_sighting *s)
{
	int64_t last = p->builds[p->current].seen_ms;

	if (s->at_ms <= last)
		return 0;
	if (!b->since_ms)
		b->since_ms = s->at_ms;
	if (s->at_ms - last < QUIET_MS || s->at_ms - b->since_ms < QUIET_MS ||
	    b->returns >= RETURNS_MAX)
		return 0;
	b->returns++;
	return deploy(d, p, b, s, b->since_ms);
}

/* With the lock held. */
static int see(struct ap_deploys *d, const struct ap_sighting *s)
{
	struct program *p = program_get(d, s->service, s->program);
	struct build *b = p ? find_build(p, s) : NULL;
	bool is_new = !b || s->at_ms - b->seen_ms > FORGET_MS;
	int r = 0;

	if (!p)
		return -ENOMEM;
	if (!b)
		b = program_add(p, s->build, s->version);
	if (!b || learn(b, s) < 0)
		return -ENOMEM;
	if (b == &p->builds[p->current])
		r = see_current(d, p, s);
	else if (!is_new)
		r = see_known(d, p, b, s);
	else if (s->at_ms >= p->since_ms) /* else it ran before, and its batch comes late */
		r = deploy(d, p, b, s, s->at_ms);
	b->seen_ms = AP_MAX(b->seen_ms, s->at_ms);
	p->seen_ms = AP_MAX(p->seen_ms, s->at_ms);
	return r;
}

int ap_deploys_see(struct ap_deploys *d, const struct ap_sighting *s)
{
	int r = 0;

	if (s->service.n == 0 || (s->build.n == 0 && s->version.n == 0))
		return 0;
	pthread_mutex_lock(&d->lock);
	r = see(d, s);
	pthread_mutex_unlock(&d->lock);
	return r;
}

int ap_deploys_see_batch(struct ap_deploys *d, const struct ap_profile *p, struct ap_str host)
{
	uint32_t n = ap_intern_count(p->label_sets);
	_cleanup_free_ int64_t *first = calloc(n + 1, sizeof(*first));
	int r = first ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < p->samples.n; i++) {
		const struct ap_sample *s = &p->samples.p[i];

		if (s->labels < n && (!first[s->labels] || s->time_ns < first[s->labels]))
			first[s->labels] = s->time_ns;
	}
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		const struct ap_sighting s = {
			.service = ap_profile_label_value(p, i, AP_STR("service")),
			.host = host,
			.program = ap_profile_label_value(p, i, AP_STR("comm")),
			.build = ap_profile_label_value(p, i, AP_STR("build")),
			.version = ap_profile_label_value(p, i, AP_STR("version")),
			.at_ms = first[i] / 1000000,
		};

		if (first[i])
			r = ap_deploys_see(d, &s);
	}
	return r;
}

void ap_deploys_get_stats(struct ap_deploys *d, struct ap_deploys_stats *ret)
{
	pthread_mutex_lock(&d->lock);
	*ret = d->stats;
	ret->programs = HASH_COUNT(d->table);
	pthread_mutex_unlock(&d->lock);
}

void ap_deploys_close(struct ap_deploys *d)
{
	struct program *p, *next;

	if (!d)
		return;
	HASH_ITER(hh, d->table, p, next) {
		HASH_DEL(d->table, p);
		program_free(p);
	}
	while (d->markers.n)
		drop_marker(d, d->markers.n - 1);
	ap_vec_free(&d->markers);
	pthread_mutex_destroy(&d->lock);
	free(d);
}
