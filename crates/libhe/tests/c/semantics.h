/* What holds in every version: written once, compiled with each header. */
#ifndef SEMANTICS_H
#define SEMANTICS_H

#include "check.h"

static inline int
count_names(void *arg, const char *name)
{
	CHECK(name != NULL && name[0] != '\0');
	++*(int *)arg;
	return (0);
}

static inline int
stop_at_once(void *arg, const char *name)
{
	(void)name;
	++*(int *)arg;
	return (7);
}

static inline int
count_items(void *arg, const struct he_item *item)
{
	CHECK(item->key != NULL && item->key_len > 0);
	++*(int *)arg;
	return (0);
}

static inline int
stop_at_second(void *arg, const struct he_item *item)
{
	(void)item;
	return (++*(int *)arg == 2);
}

static inline void
names_of_errors(void)
{
#define NAMED(code) CHECK(strcmp(he_strerror(code), #code) == 0)
	NAMED(HE_ERR_SOFTWARE);
	NAMED(HE_ERR_ARGUMENTS);
	NAMED(HE_ERR_MEMORY);
	NAMED(HE_ERR_CHECKSUM);
	NAMED(HE_ERR_TERMINATED);
	NAMED(HE_ERR_UNSUPPORTED);
	NAMED(HE_ERR_DEVICE_STAT);
	NAMED(HE_ERR_DEVICE_OPEN);
	NAMED(HE_ERR_DEVICE_ACCESS);
	NAMED(HE_ERR_DEVICE_LOCK);
	NAMED(HE_ERR_DEVICE_GEOMETRY);
	NAMED(HE_ERR_DEVICE_READ);
	NAMED(HE_ERR_DEVICE_WRITE);
	NAMED(HE_ERR_VOLUME_TOO_SMALL);
	NAMED(HE_ERR_VOLUME_INVALID);
	NAMED(HE_ERR_VOLUME_CORRUPT);
	NAMED(HE_ERR_VOLUME_IN_USE);
	NAMED(HE_ERR_VOLUME_FULL);
	NAMED(HE_ERR_DATASTORE_NOT_FOUND);
	NAMED(HE_ERR_DATASTORE_EXISTS);
	NAMED(HE_ERR_DATASTORE_IN_USE);
	NAMED(HE_ERR_ITEM_NOT_FOUND);
	NAMED(HE_ERR_ITEM_EXISTS);
	NAMED(HE_ERR_NETWORK_LISTEN);
	NAMED(HE_ERR_NETWORK_ACCEPT);
	NAMED(HE_ERR_NETWORK_CONNECT);
	NAMED(HE_ERR_NETWORK_READ);
	NAMED(HE_ERR_NETWORK_WRITE);
	NAMED(HE_ERR_NETWORK_PROTOCOL);
	CHECK(strcmp(he_strerror(-129), "HE_ERR_READ_ONLY_DATASTORE") == 0);
	CHECK(strcmp(he_strerror(ENOENT), strerror(ENOENT)) == 0);
	errno = HE_ERR_VOLUME_FULL;
	he_perror("a message");
	CHECK(errno == HE_ERR_VOLUME_FULL);
}

/* Bad arguments, and the codes of volumes and datastores that are not there. */
static inline void
opening(const char *folder)
{
	const char *blank = url_in(folder, "blank");
	char *long_text = malloc(HE_MAX_KEY_LEN + 2);
	he_t he;
	int names = 0;

	CHECK(long_text != NULL);
	memset(long_text, 'n', HE_MAX_KEY_LEN + 1);
	long_text[HE_MAX_KEY_LEN + 1] = '\0';
	NO_HANDLE(he_open(NULL, "a", FRESH, NULL), HE_ERR_ARGUMENTS);
	NO_HANDLE(he_open(blank, NULL, FRESH, NULL), HE_ERR_ARGUMENTS);
	NO_HANDLE(he_open(blank, "", FRESH, NULL), HE_ERR_ARGUMENTS);
	NO_HANDLE(he_open(blank, long_text, FRESH, NULL), HE_ERR_ARGUMENTS);
	NO_HANDLE(he_open(long_text, "a", FRESH, NULL), HE_ERR_ARGUMENTS);
	NO_HANDLE(he_open("file:///x", "a", FRESH, NULL), HE_ERR_ARGUMENTS);
	NO_HANDLE(he_open("hE://./x", "a", FRESH, NULL), HE_ERR_ARGUMENTS);
	NO_HANDLE(he_open(blank, "a", FRESH | 1 << 20, NULL), HE_ERR_ARGUMENTS);
	NO_HANDLE(he_open("he://host/dev", "a", FRESH, NULL), HE_ERR_UNSUPPORTED);
	NO_HANDLE(he_open(url_in(folder, "nowhere/volume"), "a", FRESH, NULL), HE_ERR_DEVICE_OPEN);
	NO_HANDLE(he_open(url_in(folder, "small"), "a", FRESH, NULL), HE_ERR_VOLUME_TOO_SMALL);
	NO_HANDLE(he_open(url_in(folder, "text"), "a", FRESH, NULL), HE_ERR_VOLUME_INVALID);
	FAILS(he_enumerate(blank, count_names, &names), HE_ERR_VOLUME_INVALID);
	FAILS(he_enumerate(blank, NULL, NULL), HE_ERR_ARGUMENTS);
	FAILS(he_enumerate(NULL, count_names, &names), HE_ERR_ARGUMENTS);

	/* On a blank device both are needed. */
	NO_HANDLE(he_open(blank, "a", 0, NULL), HE_ERR_VOLUME_INVALID);
	NO_HANDLE(he_open(blank, "a", HE_O_CREATE, NULL), HE_ERR_VOLUME_INVALID);
	NO_HANDLE(he_open(blank, "a", HE_O_VOLUME_CREATE, NULL), HE_ERR_DATASTORE_NOT_FOUND);
	CHECK((he = he_open(blank, "a", FRESH, NULL)) != NULL);
	NO_HANDLE(he_open(blank, "b", 0, NULL), HE_ERR_DATASTORE_NOT_FOUND);
	WORKS(put(he, he_update, "k", "v"));

	/* The scheme may be in capitals, and device order and spelling do not matter. */
	char loud[4200];
	snprintf(loud, sizeof(loud), "HE%s", blank + 2);
	he_t again = he_open(loud, "a", 0, NULL);
	CHECK(again != NULL && again != he);
	WORKS(reads(again, "k", "v"));

	/* Truncation needs that nobody else is there. */
	NO_HANDLE(he_open(blank, "a", HE_O_TRUNCATE, NULL), HE_ERR_DATASTORE_IN_USE);
	NO_HANDLE(he_open(blank, "a", FRESH | HE_O_TRUNCATE | HE_O_VOLUME_TRUNCATE, NULL), HE_ERR_DATASTORE_IN_USE);
	NO_HANDLE(he_open(blank, "b", FRESH | HE_O_VOLUME_TRUNCATE, NULL), HE_ERR_VOLUME_IN_USE);
	NO_HANDLE(he_open(blank, "a", HE_O_VOLUME_TRUNCATE, NULL), HE_ERR_VOLUME_IN_USE);
	WORKS(he_close(again));
	WORKS(he_close(he));
	CHECK((he = he_open(blank, "a", 0, NULL)) != NULL);
	WORKS(reads(he, "k", "v"));
	WORKS(he_close(he));
	CHECK((he = he_open(blank, "a", HE_O_TRUNCATE, NULL)) != NULL);
	FAILS(there(he, "k"), HE_ERR_ITEM_NOT_FOUND);
	WORKS(put(he, he_update, "k", "v"));
	WORKS(he_close(he));
	CHECK((he = he_open(blank, "b", FRESH | HE_O_VOLUME_TRUNCATE, NULL)) != NULL);
	NO_HANDLE(he_open(blank, "a", 0, NULL), HE_ERR_DATASTORE_NOT_FOUND);
	WORKS(he_close(he));
	free(long_text);
}

static inline void
items(const char *folder)
{
	he_t he = he_open(url_in(folder, "volume"), "items", FRESH, NULL);
	struct he_item item;

	CHECK(he != NULL && he_is_valid(he));
	/* update, insert, replace, delete, exists */
	WORKS(put(he, he_update, "a", "1"));
	WORKS(put(he, he_update, "a", "2"));
	FAILS(put(he, he_insert, "a", "3"), HE_ERR_ITEM_EXISTS);
	WORKS(put(he, he_insert, "b", "4"));
	FAILS(put(he, he_replace, "c", "5"), HE_ERR_ITEM_NOT_FOUND);
	WORKS(put(he, he_replace, "b", "6"));
	WORKS(reads(he, "a", "2"));
	WORKS(reads(he, "b", "6"));
	WORKS(there(he, "a"));
	FAILS(there(he, "c"), HE_ERR_ITEM_NOT_FOUND);
	FAILS(gone(he, "c"), HE_ERR_ITEM_NOT_FOUND);
	WORKS(gone(he, "b"));
	FAILS(reads(he, "b", ""), HE_ERR_ITEM_NOT_FOUND);

	/* empty values, with and without an address */
	WORKS(put(he, he_update, "empty", NULL));
	WORKS(put(he, he_update, "hollow", ""));
	WORKS(reads(he, "empty", ""));
	WORKS(reads(he, "hollow", ""));

	/* items are copied */
	char own[] = "mine";
	WORKS(put(he, he_update, "copied", own));
	memset(own, '?', 4);
	WORKS(reads(he, "copied", "mine"));

	/* partial reads: what is asked for and no more, and the whole length */
	WORKS(put(he, he_update, "long", "0123456789"));
	item = room_for("long");
	item.val_len = 12345;
	WORKS(he_lookup(he, &item, 2, 3));
	CHECK(item.val_len == 10 && memcmp(val_buffer, "234#", 4) == 0);
	CHECK(item.key_len == 4 && memcmp(key_buffer, "long#", 5) == 0);
	item = room_for("long");
	WORKS(he_lookup(he, &item, 8, 100));
	CHECK(item.val_len == 10 && memcmp(val_buffer, "89#", 3) == 0);
	item = room_for("long");
	WORKS(he_lookup(he, &item, 10, 100));
	CHECK(item.val_len == 10 && val_buffer[0] == '#');
	WORKS(he_lookup(he, &item, 1000, 100));
	CHECK(item.val_len == 10 && val_buffer[0] == '#');
	WORKS(he_lookup(he, &item, (size_t)-1, (size_t)-1));
	CHECK(item.val_len == 10 && val_buffer[0] == '#');
	item.val = NULL;
	WORKS(he_lookup(he, &item, 0, 0));
	CHECK(item.val_len == 10);

	/* delete_lookup deletes even when the buffer was too small */
	item = room_for("long");
	WORKS(he_delete_lookup(he, &item, 0, 2));
	CHECK(item.val_len == 10 && memcmp(val_buffer, "01#", 3) == 0);
	FAILS(there(he, "long"), HE_ERR_ITEM_NOT_FOUND);
	FAILS(he_delete_lookup(he, &item, 0, 2), HE_ERR_ITEM_NOT_FOUND);

	/* arguments that are none */
	FAILS(he_update(he, NULL), HE_ERR_ARGUMENTS);
	FAILS(he_lookup(he, NULL, 0, 0), HE_ERR_ARGUMENTS);
	FAILS(he_next(he, NULL, 0, 0), HE_ERR_ARGUMENTS);
	FAILS(put(he, he_update, "", "v"), HE_ERR_ARGUMENTS);
	item = item_of("k", NULL);
	item.val_len = 5;
	FAILS(he_update(he, &item), HE_ERR_ARGUMENTS);
	FAILS(he_lookup(he, &item, 0, 5), HE_ERR_ARGUMENTS);
	item = item_of("k", NULL);
	item.key = NULL;
	FAILS(he_delete(he, &item), HE_ERR_ARGUMENTS);
	FAILS(he_exists(he, &item), HE_ERR_ARGUMENTS);
	FAILS(he_iterate(he, NULL, NULL), HE_ERR_ARGUMENTS);

	/* the longest key and value, and one byte more */
	char *large = malloc(HE_MAX_VAL_LEN + 1);
	char *back = malloc(HE_MAX_VAL_LEN + 1);
	CHECK(large != NULL && back != NULL);
	memset(large, 'x', HE_MAX_VAL_LEN + 1);
	item = item_of("k", NULL);
	item.key = large;
	item.key_len = HE_MAX_KEY_LEN;
	item.val = large;
	item.val_len = HE_MAX_VAL_LEN;
	WORKS(he_update(he, &item));
	item.val = back;
	WORKS(he_lookup(he, &item, 0, HE_MAX_VAL_LEN));
	CHECK(item.val_len == HE_MAX_VAL_LEN && memcmp(large, back, HE_MAX_VAL_LEN) == 0);
	WORKS(he_delete(he, &item));
	item.key_len = HE_MAX_KEY_LEN + 1;
	FAILS(he_update(he, &item), HE_ERR_ARGUMENTS);
	FAILS(he_lookup(he, &item, 0, 0), HE_ERR_ARGUMENTS);
	item.key_len = 1;
	item.val_len = HE_MAX_VAL_LEN + 1;
	FAILS(he_update(he, &item), HE_ERR_ARGUMENTS);
	free(large);
	free(back);
	WORKS(he_close(he));
}

static inline void
neighbours(const char *folder)
{
	he_t he = he_open(url_in(folder, "volume"), "neighbours", FRESH, NULL);
	struct he_item item;
	int items = 0;

	CHECK(he != NULL);
	/* the end of an empty datastore: nothing is touched */
	FAILS(goes(he, he_next, "", "", ""), HE_ERR_ITEM_NOT_FOUND);
	FAILS(goes(he, he_prev, "", "", ""), HE_ERR_ITEM_NOT_FOUND);
	/* order is of unsigned bytes */
	WORKS(put(he, he_insert, "\x7f", "ascii"));
	WORKS(put(he, he_insert, "\x80", "high"));
	WORKS(put(he, he_insert, "b", "B"));
	WORKS(put(he, he_insert, "bb", "BB"));
	WORKS(put(he, he_insert, "d", "D"));
	/* first and last, and neighbours of what is there and what is not */
	WORKS(goes(he, he_next, "", "b", "B"));
	WORKS(goes(he, he_prev, "", "\x80", "high"));
	WORKS(goes(he, he_next, "b", "bb", "BB"));
	WORKS(goes(he, he_next, "a", "b", "B"));
	WORKS(goes(he, he_next, "c", "d", "D"));
	WORKS(goes(he, he_next, "\x7f", "\x80", "high"));
	WORKS(goes(he, he_prev, "bb", "b", "B"));
	WORKS(goes(he, he_prev, "c", "bb", "BB"));
	WORKS(goes(he, he_prev, "\xff", "\x80", "high"));
	/* no byte behind the key is touched, and at the end the key stays as it was */
	item = room_for("ccc");
	WORKS(he_next(he, &item, 0, 0));
	CHECK(item.key_len == 1 && memcmp(key_buffer, "dcc#", 4) == 0 && item.val_len == 1);
	item = room_for("\xff\xff");
	FAILS(he_next(he, &item, 0, 10), HE_ERR_ITEM_NOT_FOUND);
	CHECK(item.key_len == 2 && memcmp(key_buffer, "\xff\xff#", 3) == 0 && val_buffer[0] == '#');
	item = room_for("a");
	FAILS(he_prev(he, &item, 0, 10), HE_ERR_ITEM_NOT_FOUND);
	CHECK(item.key_len == 1 && memcmp(key_buffer, "a#", 2) == 0);
	/* partial reads here too */
	item = room_for("");
	WORKS(he_prev(he, &item, 1, 2));
	CHECK(item.val_len == 4 && memcmp(val_buffer, "ig#", 3) == 0);
	/* deleting the current key while scanning */
	item = room_for("");
	while (he_next(he, &item, 0, sizeof(val_buffer)) == 0) {
		WORKS(he_delete(he, &item));
		++items;
	}
	CHECK(errno == HE_ERR_ITEM_NOT_FOUND && items == 5);

	/* iterate */
	items = 0;
	WORKS(he_iterate(he, count_items, &items));
	CHECK(items == 0);
	for (int i = 0; i < 1000; ++i) {
		char key[16];
		snprintf(key, sizeof(key), "%04d", i);
		WORKS(put(he, he_insert, key, key));
	}
	WORKS(he_iterate(he, count_items, &items));
	CHECK(items == 1000);
	items = 0;
	FAILS(he_iterate(he, stop_at_second, &items), HE_ERR_TERMINATED);
	CHECK(items == 2);
	WORKS(he_close(he));
}

/* An iteration shows the moment at which it began, whatever its function does. */
struct changes {
	he_t he;
	int seen;
};

static inline int
change_behind(void *arg, const struct he_item *item)
{
	struct changes *changes = arg;
	char key[16];

	CHECK(item->val_len == 3 && memcmp(item->val, "old", 3) == 0);
	++changes->seen;
	snprintf(key, sizeof(key), "%04d", 9999 - changes->seen);
	WORKS(put(changes->he, he_update, key, "new"));
	snprintf(key, sizeof(key), "%04d", 500 + changes->seen);
	(void)put(changes->he, he_update, key, "new");
	snprintf(key, sizeof(key), "%04d", 999 - changes->seen / 4);
	(void)gone(changes->he, key);
	return (0);
}

static inline void
snapshots(const char *folder)
{
	he_t he = he_open(url_in(folder, "volume"), "snapshots", FRESH, NULL);
	struct changes changes = {he, 0};
	char key[16];

	CHECK(he != NULL);
	for (int i = 0; i < 1000; ++i) {
		snprintf(key, sizeof(key), "%04d", i);
		WORKS(put(he, he_insert, key, "old"));
	}
	WORKS(he_iterate(he, change_behind, &changes));
	CHECK(changes.seen == 1000);
	WORKS(he_close(he));
}

static inline void
handles(const char *folder)
{
	he_t he, second, closed;
	struct he_stats stats;
	struct he_item item = room_for("k");
	int local = 0, names = 0;
	const char *url = url_in(folder, "volume");

	CHECK((he = he_open(url, "handles", FRESH, NULL)) != NULL);
	CHECK((closed = he_open(url, "handles", 0, NULL)) != NULL && closed != he);
	WORKS(he_close(closed));
	he_t bad[] = {NULL, closed, (he_t)&local, (he_t)1, (he_t)-1, (he_t)((char *)he + 1), (he_t)((char *)he + 2)};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
		CHECK(!he_is_valid(bad[i]));
		FAILS(he_close(bad[i]), HE_ERR_ARGUMENTS);
		FAILS(he_remove(bad[i]), HE_ERR_ARGUMENTS);
		FAILS(he_rename(bad[i], "x"), HE_ERR_ARGUMENTS);
		FAILS(he_stats(bad[i], &stats), HE_ERR_ARGUMENTS);
		FAILS(he_commit(bad[i]), HE_ERR_ARGUMENTS);
		FAILS(put(bad[i], he_update, "k", "v"), HE_ERR_ARGUMENTS);
		FAILS(put(bad[i], he_insert, "k", "v"), HE_ERR_ARGUMENTS);
		FAILS(put(bad[i], he_replace, "k", "v"), HE_ERR_ARGUMENTS);
		FAILS(gone(bad[i], "k"), HE_ERR_ARGUMENTS);
		FAILS(there(bad[i], "k"), HE_ERR_ARGUMENTS);
		FAILS(he_lookup(bad[i], &item, 0, 1), HE_ERR_ARGUMENTS);
		FAILS(he_delete_lookup(bad[i], &item, 0, 1), HE_ERR_ARGUMENTS);
		FAILS(he_next(bad[i], &item, 0, 1), HE_ERR_ARGUMENTS);
		FAILS(he_prev(bad[i], &item, 0, 1), HE_ERR_ARGUMENTS);
		FAILS(he_iterate(bad[i], count_items, &names), HE_ERR_ARGUMENTS);
	}

	/* valid_items is exact and not inflated by overwrites */
	for (int i = 0; i < 10; ++i)
		WORKS(put(he, he_update, i % 2 ? "a" : "b", "v"));
	WORKS(he_stats(he, &stats));
	CHECK(strcmp(stats.name, "handles") == 0 && stats.valid_items == 2);
	CHECK(stats.capacity >= (uint64_t)1 << 30);
	WORKS(gone(he, "a"));
	WORKS(he_stats(he, &stats));
	CHECK(stats.valid_items == 1 && stats.deleted_items > 0);
	FAILS(he_stats(he, NULL), HE_ERR_ARGUMENTS);

	/* enumerate works on a volume that is open here */
	CHECK((second = he_open(url, "another", HE_O_CREATE, NULL)) != NULL);
	WORKS(he_enumerate(url, count_names, &names));
	CHECK(names >= 2);
	names = 0;
	FAILS(he_enumerate(url, stop_at_once, &names), HE_ERR_TERMINATED);
	CHECK(names == 1);

	/* rename: the handle stays usable, a clash is told */
	FAILS(he_rename(he, "another"), HE_ERR_DATASTORE_EXISTS);
	FAILS(he_rename(he, ""), HE_ERR_ARGUMENTS);
	FAILS(he_rename(he, NULL), HE_ERR_ARGUMENTS);
	WORKS(he_rename(he, "renamed"));
	WORKS(reads(he, "b", "v"));
	WORKS(he_stats(he, &stats));
	CHECK(strcmp(stats.name, "renamed") == 0);
	NO_HANDLE(he_open(url, "handles", 0, NULL), HE_ERR_DATASTORE_NOT_FOUND);
	CHECK((closed = he_open(url, "renamed", 0, NULL)) != NULL);

	/* remove: not while another handle is open, and the handle is over then */
	FAILS(he_remove(he), HE_ERR_DATASTORE_IN_USE);
	WORKS(reads(he, "b", "v"));
	WORKS(he_close(closed));
	WORKS(he_remove(he));
	FAILS(he_close(he), HE_ERR_ARGUMENTS);
	FAILS(he_stats(he, &stats), HE_ERR_ARGUMENTS);
	FAILS(reads(he, "b", "v"), HE_ERR_ARGUMENTS);
	NO_HANDLE(he_open(url, "renamed", 0, NULL), HE_ERR_DATASTORE_NOT_FOUND);
	WORKS(he_remove(second));

	/* garbage in the environment is no reason to refuse */
	struct he_env env;
	memset(&env, 0xa5, sizeof(env));
	CHECK((he = he_open(url, "garbage", FRESH, &env)) != NULL);
	WORKS(put(he, he_update, "a", "v"));
	WORKS(he_remove(he));
}

/* Other places that a volume can be kept on. */
static inline void
places(const char *folder)
{
	char url[9000];
	he_t he, memory;

	/* a directory grows */
	snprintf(url, sizeof(url), "he://./%s/directory", folder);
	CHECK((he = he_open(url, "a", FRESH, NULL)) != NULL);
	WORKS(put(he, he_update, "k", "v"));
	WORKS(he_close(he));
	CHECK((he = he_open(url, "a", 0, NULL)) != NULL);
	WORKS(reads(he, "k", "v"));
	WORKS(he_close(he));
	/* several devices, in any order */
	snprintf(url, sizeof(url), "he://./%s/one,%s/two", folder, folder);
	CHECK((he = he_open(url, "a", FRESH, NULL)) != NULL);
	WORKS(put(he, he_update, "k", "v"));
	snprintf(url, sizeof(url), "he://./%s/two,%s/one", folder, folder);
	CHECK((memory = he_open(url, "a", 0, NULL)) != NULL);
	WORKS(reads(memory, "k", "v"));
	WORKS(he_close(he));
	WORKS(he_close(memory));
	CHECK((he = he_open(url, "a", 0, NULL)) != NULL);
	WORKS(reads(he, "k", "v"));
	WORKS(he_close(he));
	/* memory, which goes with its last handle */
	CHECK((memory = he_open("he://./_1073741824", "a", FRESH, NULL)) != NULL);
	WORKS(put(memory, he_update, "k", "v"));
	WORKS(reads(memory, "k", "v"));
	WORKS(he_close(memory));
	NO_HANDLE(he_open("he://./_1073741824", "a", 0, NULL), HE_ERR_VOLUME_INVALID);
}

static inline void
all_semantics(const char *folder)
{
	names_of_errors();
	opening(folder);
	items(folder);
	neighbours(folder);
	snapshots(folder);
	handles(folder);
	places(folder);
}

#endif
