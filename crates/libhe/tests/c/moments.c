/*
 * What is walked over is of one moment, whatever becomes of the datastore meanwhile, under an open iterator or from inside
 * a function of he_iterate; and what is shown is a copy, whatever is done to it.
 */
#include "check.h"

#define ITEMS 2000 /* many more than are read ahead */
#define STEPS 3 /* before the datastore changes */

/* Version 2.2's name of he_discard, which every program can call. */
int he_truncate(he_t he);

static const char *url;
static he_t he;

static void
fill(const char *name)
{
	char key[16], value[32];

	HANDLE(he, he_open(url, name, FRESH | HE_O_TRUNCATE, NULL));
	for (int i = 0; i < ITEMS; ++i) {
		snprintf(key, sizeof(key), "%06d", 2 * i);
		snprintf(value, sizeof(value), "value of %06d", 2 * i);
		WORKS(put(he, he_insert, key, value));
	}
}

/* The item is the one of that number, as it was filled. */
static void
is_item(const struct he_item *item, int number)
{
	char text[32];

	CHECK(number >= 0 && number < ITEMS);
	snprintf(text, sizeof(text), "value of %06d", 2 * number);
	CHECK(item->key_len == 6 && memcmp(item->key, text + 9, 6) == 0);
	CHECK(item->val_len == 15 && memcmp(item->val, text, 15) == 0);
}

/* All items are as they were filled. */
static void
is_filled(void)
{
	he_iter_t iter;
	const struct he_item *item;
	int items = 0;

	HANDLE(iter, he_iter_open(he, NULL, 0, HE_MAX_VAL_LEN, 0));
	while ((item = he_iter_next(iter)) != NULL)
		is_item(item, items++);
	CHECK(items == ITEMS && errno == HE_ERR_ITEM_NOT_FOUND);
	he_iter_close(iter);
}

/* Between the items, in their place, and behind them all. */
static void
write_all_over(void)
{
	char key[16];

	for (int i = 0; i < ITEMS; i += 7) {
		snprintf(key, sizeof(key), "%06d", i);
		WORKS(put(he, he_update, key, "later"));
	}
	WORKS(put(he, he_update, "zzz", "later"));
	(void)gone(he, "001000");
}

/* What happens to the datastore; false if its handle ends with that. */

static int
discarded(void)
{
	WORKS(he_discard(he));
	write_all_over();
	return (1);
}

static int
truncated(void)
{
	WORKS(he_truncate(he));
	write_all_over();
	return (1);
}

static int
overwritten(void)
{
	write_all_over();
	WORKS(he_commit(he));
	return (1);
}

static int
renamed(void)
{
	he_t other;

	WORKS(he_rename(he, "renamed"));
	/* another one has its name now */
	HANDLE(other, he_open(url, "moments", FRESH, NULL));
	WORKS(put(other, he_update, "000000", "of the other one"));
	WORKS(he_remove(other));
	write_all_over();
	return (1);
}

static int
in_use(void)
{
	he_t second;

	NO_HANDLE(he_open(url, "moments", HE_O_TRUNCATE, NULL), HE_ERR_DATASTORE_IN_USE);
	NO_HANDLE(he_open(url, "moments", HE_O_TRUNCATE | HE_O_NOSORT, NULL), HE_ERR_DATASTORE_IN_USE);
	HANDLE(second, he_open(url, "moments", 0, NULL));
	FAILS(he_remove(he), HE_ERR_DATASTORE_IN_USE);
	WORKS(he_close(second));
	is_filled();
	return (1);
}

static int
removed(void)
{
	WORKS(he_remove(he));
	NO_HANDLE(he_open(url, "moments", 0, NULL), HE_ERR_DATASTORE_NOT_FOUND);
	return (0);
}

/* Its last handle is closed, and it is opened with other flags. */
static void
reopened(int flags)
{
	WORKS(he_close(he));
	HANDLE(he, he_open(url, "moments", flags, NULL));
	write_all_over();
}

static int
reopened_empty(void)
{
	reopened(HE_O_TRUNCATE);
	return (0);
}

static int
reopened_without_order(void)
{
	reopened(HE_O_TRUNCATE | HE_O_NOSORT);
	NO_HANDLE(he_iter_open(he, NULL, 0, 0, 0), HE_ERR_UNSUPPORTED);
	return (0);
}

static int (*const deeds[])(void) = {
	discarded, truncated, overwritten, renamed, in_use, removed, reopened_empty, reopened_without_order,
};
#define DEEDS (sizeof(deeds) / sizeof(deeds[0]))

/* Whatever is left of it goes. */
static void
clear(void)
{
	if (he_is_valid(he))
		WORKS(he_remove(he));
}

static void
under_an_iterator(void)
{
	const struct he_item *item;
	he_iter_t iter;
	int goes_on, items;

	for (size_t i = 0; i < DEEDS; ++i)
		for (int backwards = 0; backwards < 2; ++backwards) {
			fill("moments");
			HANDLE(iter, he_iter_open(he, NULL, 0, HE_MAX_VAL_LEN, backwards));
			for (items = 0; items < STEPS; ++items)
				CHECK((item = he_iter_next(iter)) != NULL);
			goes_on = deeds[i]();
			/* the last that was handed out stays, in any case */
			is_item(item, backwards ? ITEMS - items : items - 1);
			if (goes_on) {
				for (; (item = he_iter_next(iter)) != NULL; ++items)
					is_item(item, backwards ? ITEMS - 1 - items : items);
				CHECK(items == ITEMS && errno == HE_ERR_ITEM_NOT_FOUND);
			} else
				NO_HANDLE((void *)he_iter_next(iter), HE_ERR_ARGUMENTS);
			he_iter_close(iter);
			clear();
		}
}

struct walk {
	int (*deed)(void);
	int items;
};

static int
happens(void *arg, const struct he_item *item)
{
	struct walk *walk = arg;

	is_item(item, walk->items++);
	if (walk->items == STEPS)
		(void)walk->deed();
	/* also after that */
	is_item(item, walk->items - 1);
	return (0);
}

static void
inside_a_function(void)
{
	for (size_t i = 0; i < DEEDS; ++i) {
		struct walk walk = {deeds[i], 0};

		fill("moments");
		WORKS(he_iterate(he, happens, &walk));
		CHECK(walk.items == ITEMS);
		clear();
	}
}

/* Whatever can be written there. */
static void
spoil(const struct he_item *item)
{
	memset(item->key, 0xff, item->key_len);
	if (item->val != NULL)
		memset(item->val, 0xff, item->val_len);
}

static int
spoil_all(void *arg, const struct he_item *item)
{
	is_item(item, (*(int *)arg)++);
	spoil(item);
	return (0);
}

/* What is shown is written to: the walk goes on as before, and nothing that is stored has changed. */
static void
edits(void)
{
	const struct he_item *item;
	he_iter_t iter;
	he_t tx;
	int items = 0;

	fill("edited");
	WORKS(he_commit(he));
	/* read from memory, and then from the device */
	for (int again = 0; again < 2; ++again) {
		items = 0;
		WORKS(he_iterate(he, spoil_all, &items));
		CHECK(items == ITEMS);
		is_filled();
		for (int backwards = 0; backwards < 2; ++backwards) {
			HANDLE(iter, he_iter_open(he, NULL, 0, HE_MAX_VAL_LEN, backwards));
			for (items = 0; (item = he_iter_next(iter)) != NULL; ++items) {
				is_item(item, backwards ? ITEMS - 1 - items : items);
				spoil(item);
				/* the item itself is for reading only; but who writes there all the same harms himself alone */
				memset((void *)item, 0, sizeof(*item));
			}
			CHECK(items == ITEMS && errno == HE_ERR_ITEM_NOT_FOUND);
			he_iter_close(iter);
			is_filled();
		}
		WORKS(he_close(he));
		HANDLE(he, he_open(url, "edited", 0, NULL));
	}
	/* of a transaction's own content, before it is committed */
	CHECK((tx = he_transaction(he)) != NULL);
	WORKS(put(tx, he_update, "tx", "own"));
	HANDLE(iter, he_iter_open(tx, NULL, 0, 10, 0));
	CHECK((item = he_iter_next(iter)) != NULL);
	spoil(item);
	he_iter_close(iter);
	HANDLE(iter, he_iter_open(tx, NULL, 0, 10, 0));
	CHECK((item = he_iter_next(iter)) != NULL && item->key_len == 2 && memcmp(item->key, "tx", 2) == 0);
	CHECK(item->val_len == 3 && memcmp(item->val, "own", 3) == 0);
	he_iter_close(iter);
	WORKS(he_commit(tx));
	struct he_item found = room_for("tx");
	WORKS(he_lookup(he, &found, 0, 10));
	CHECK(found.val_len == 3 && memcmp(found.val, "own", 3) == 0);
	WORKS(he_remove(he));
}

int
main(int argc, char **argv)
{
	CHECK(argc == 2);
	url = url_in(argv[1], "volume");
	under_an_iterator();
	inside_a_function();
	edits();
	return (0);
}
