/* Every figure of he_stats tells what it says, and what struct he_env asks for happens. */
#ifndef FIGURES_H
#define FIGURES_H

#include <time.h>

#include "check.h"

#define LARGE ((size_t)1 << 20)
#define LARGE_ITEMS 40

static inline void
put_large(he_t he, int number, char byte)
{
	struct he_item item = item_of("", NULL);
	char key[16];
	char *value = malloc(LARGE);

	CHECK(value != NULL);
	memset(value, byte, LARGE);
	item.key = key;
	item.key_len = (size_t)snprintf(key, sizeof(key), "large%d", number);
	item.val = value;
	item.val_len = LARGE;
	WORKS(he_update(he, &item));
	free(value);
}

/* What the background does by itself comes sooner or later. */
static inline void
wait_for_auto_commit(he_t he)
{
	struct timespec pause = {0, 50 * 1000 * 1000};
	struct he_stats stats;
	uint64_t before;

	WORKS(he_stats(he, &stats));
	before = stats.auto_commits;
	for (int i = 0; i < 2400; ++i) {
		/* again and again: the cleaner may have committed it before its time */
		if (i % 60 == 0)
			WORKS(put(he, he_update, "buffered", "value"));
		WORKS(he_stats(he, &stats));
		if (stats.auto_commits > before)
			return;
		nanosleep(&pause, NULL);
	}
	CHECK(!"nothing was committed by itself");
}

/* of a long value no piece is read where none of its bytes is asked for */
static inline void
how_long(he_t he)
{
	static char key[HE_MAX_KEY_LEN];
	struct he_stats before, after;
	struct he_item item;

	memset(&item, 0, sizeof(item));
	item.key = key;
	/* nothing at all is, of a value that is not long */
	WORKS(he_stats(he, &before));
	item.key_len = (size_t)snprintf(key, sizeof(key), "buffered");
	WORKS(he_lookup(he, &item, 0, 0));
	CHECK(item.val_len == 5);
	item.key_len = item.val_len = 0;
	WORKS(he_next(he, &item, 0, 0));
	CHECK(item.key_len == 8 && memcmp(key, "buffered", 8) == 0 && item.val_len == 5);
	item.key_len = (size_t)snprintf(key, sizeof(key), "c");
	item.val_len = 0;
	WORKS(he_prev(he, &item, 0, 0));
	CHECK(item.key_len == 8 && memcmp(key, "buffered", 8) == 0 && item.val_len == 5);
	WORKS(he_stats(he, &after));
	CHECK(after.device_reads == before.device_reads);

	for (int i = 0; i < LARGE_ITEMS; i += 2) {
		item.key_len = (size_t)snprintf(key, sizeof(key), "large%d", i);
		item.val_len = 0;
		WORKS(he_lookup(he, &item, 0, 0));
		CHECK(item.val_len == LARGE);
		item.key_len -= 1;
		item.val_len = 0;
		WORKS(he_next(he, &item, 0, 0));
		CHECK(item.key_len > 5 && item.val_len == LARGE);
		item.key_len = (size_t)snprintf(key, sizeof(key), "large%d~", i);
		item.val_len = 0;
		WORKS(he_prev(he, &item, 0, 0));
		CHECK(item.key_len > 5 && item.val_len == LARGE);
	}
	WORKS(he_stats(he, &after));
	CHECK(after.device_reads - before.device_reads < LARGE);
	/* and all of them where one is */
	item.key_len = (size_t)snprintf(key, sizeof(key), "large0");
	item.val = &before;
	WORKS(he_lookup(he, &item, LARGE - 1, 1));
	CHECK(item.val_len == LARGE && *(char *)&before == 'b');
	WORKS(he_stats(he, &before));
	CHECK(before.device_reads - after.device_reads >= LARGE);
}

static inline void
figures(const char *folder)
{
	const char *url = url_in(folder, "elsewhere");
	struct he_env env;
	struct he_stats stats, later;
	he_t he, other;

	memset(&env, 0, sizeof(env));
	env.auto_commit_period = 1;
	env.auto_clean_period = 3600;
	CHECK((he = he_open(url, "figures", FRESH, &env)) != NULL);
	WORKS(he_stats(he, &stats));
	CHECK(stats.valid_items == 0 && stats.capacity >= (uint64_t)1 << 30);
	CHECK(stats.auto_cleans == 0 && stats.device_reads == 0);

	/* committed: written to the device, and kept in memory as well */
	for (int i = 0; i < LARGE_ITEMS; ++i)
		put_large(he, i, 'a');
	WORKS(he_commit(he));
	WORKS(he_stats(he, &later));
	CHECK(later.valid_items == LARGE_ITEMS);
	CHECK(later.utilized >= stats.utilized + LARGE_ITEMS * LARGE);
	CHECK(later.device_writes >= stats.device_writes + LARGE_ITEMS * LARGE);
	CHECK(later.buffered_writes > 0);

	/* overwritten and removed: dead, and not valid any more */
	stats = later;
	for (int i = 0; i < LARGE_ITEMS; i += 2)
		put_large(he, i, 'b');
	WORKS(he_stats(he, &later));
	CHECK(later.valid_items == LARGE_ITEMS && later.deleted_items > stats.deleted_items);
	stats = later;
	WORKS(gone(he, "large1"));
	WORKS(gone(he, "large3"));
	WORKS(he_stats(he, &later));
	CHECK(later.valid_items == LARGE_ITEMS - 2 && later.deleted_items > stats.deleted_items);
	CHECK(later.utilized < stats.utilized);

	/* the volume's figures are the same through every datastore of it, the items are not */
	CHECK((other = he_open(url, "other", HE_O_CREATE, NULL)) != NULL);
	WORKS(he_stats(other, &stats));
	CHECK(stats.valid_items == 0 && stats.capacity == later.capacity && stats.utilized > LARGE);
	WORKS(he_close(other));

	wait_for_auto_commit(he);
	WORKS(he_stats(he, &later));
	WORKS(he_close(he));

	/* cleaned at the open, if it was not before; read from the device, then from memory */
	env.auto_commit_period = (uint64_t)-1;
	CHECK((he = he_open(url, "figures", HE_O_CLEAN, &env)) != NULL);
	WORKS(he_stats(he, &stats));
	for (int i = 0; i < 2400 && later.auto_cleans + stats.auto_cleans == 0; ++i) {
		struct timespec pause = {0, 50 * 1000 * 1000};

		nanosleep(&pause, NULL);
		WORKS(he_stats(he, &stats));
	}
	CHECK(later.auto_cleans + stats.auto_cleans > 0);
	/* what the cleaner moved may still be in the log's own memory: not so after another open */
	WORKS(he_close(he));
	CHECK((he = he_open(url, "figures", 0, &env)) != NULL);
#if HE_VERSION_MAJOR == 3
	/* keys alone are in memory */
	WORKS(he_stats(he, &stats));
	for (int backwards = 0; backwards < 2; ++backwards) {
		const struct he_item *item;
		he_iter_t iter = he_iter_open(he, NULL, 0, 0, backwards);
		int items = 0;

		CHECK(iter != NULL);
		for (; (item = he_iter_next(iter)) != NULL; ++items)
			CHECK(item->key_len > 0 && item->val == NULL && item->val_len == 0);
		CHECK(items == LARGE_ITEMS - 1);
		he_iter_close(iter);
	}
	WORKS(he_stats(he, &later));
	CHECK(later.device_reads == stats.device_reads);
#endif
	how_long(he);
	for (int i = 0; i < 4; ++i)
		WORKS(reads(he, "buffered", "value"));
	WORKS(he_stats(he, &later));
	CHECK(later.device_reads > 0 && later.buffered_reads > 0);
#if HE_VERSION_MAJOR == 3
	CHECK(later.cache_misses > 0 && later.cache_hits > 0);
	WORKS(put(he, he_update, "dirty", "value"));
	WORKS(he_stats(he, &later));
	CHECK(later.dirty_writes > 0);
	/* the background may have something to write, too, but not for ever */
	for (int i = 0; i < 100 && later.dirty_writes > 0; ++i) {
		WORKS(he_commit(he));
		WORKS(he_stats(he, &later));
	}
	CHECK(later.dirty_writes == 0);
#endif
	WORKS(he_remove(he));
}

#endif
