/* Versions 3.x: read-only handles, merge, iterators, both forms of he_transaction. */
#include "figures.h"
#include "semantics.h"
#include "transactions.h"

static int
add_one(void *arg, struct he_item *item)
{
	static char text[32];
	int number = item->val == NULL ? 0 : atoi(memcpy(text, item->val, item->val_len));

	++*(int *)arg;
	CHECK(item->key_len == 7 && memcmp(item->key, "counter", 7) == 0);
	item->val_len = (size_t)snprintf(text, sizeof(text), "%d", number + 1);
	item->val = text;
	return (0);
}

static int
refuse(void *arg, struct he_item *item)
{
	(void)arg;
	item->val = NULL;
	item->val_len = 0;
	return (1);
}

/* The old value is changed where it is, and then refused. */
static int
edit_and_refuse(void *arg, struct he_item *item)
{
	(void)arg;
	memset(item->val, '9', item->val_len);
	return (1);
}

/* The same, but it is the answer. */
static int
edit_in_place(void *arg, struct he_item *item)
{
	(void)arg;
	memset(item->val, '9', item->val_len);
	return (0);
}

static int
leave_too_much(void *arg, struct he_item *item)
{
	item->val_len += *(size_t *)arg;
	return (0);
}

static int
leave_a_part(void *arg, struct he_item *item)
{
	item->val = (char *)item->val + *(size_t *)arg;
	item->val_len -= *(size_t *)arg;
	return (0);
}

struct inner {
	he_t he;
	int calls, most;
};

/* Writes the same item, for so many calls. */
static int
write_itself(void *arg, struct he_item *item)
{
	struct inner *inner = arg;

	if (inner->calls++ < inner->most) {
		char text[32];

		(void)snprintf(text, sizeof(text), "inner %d", inner->calls);
		WORKS(put(inner->he, he_update, "counter", text));
	}
	return (edit_in_place(NULL, item));
}

/* What the function of he_merge does to memory, and to the item. */
static void
merging_in_place(const char *folder)
{
	he_t he = he_open(url_in(folder, "volume"), "in place", FRESH, NULL), tx, on;
	struct he_item item = item_of("counter", NULL);
	size_t sizes[] = { 1, 4096, (size_t)1 << 40, SIZE_MAX / 2 }, part = 2;

	CHECK(he != NULL && (tx = he_transaction(he)) != NULL);
	for (int inside = 0; inside < 2; ++inside) {
		struct inner once = { on = inside ? tx : he, 0, 1 }, ever = { on, 0, 1 << 30 };

		WORKS(put(on, he_update, "counter", "1234"));
		FAILS(he_merge(on, &item, edit_and_refuse, NULL), HE_ERR_TERMINATED);
		WORKS(reads(on, "counter", "1234"));
		for (int i = 0; i < 4; ++i) {
			FAILS(he_merge(on, &item, leave_too_much, &sizes[i]), HE_ERR_ARGUMENTS);
			WORKS(reads(on, "counter", "1234"));
		}
		WORKS(he_merge(on, &item, leave_a_part, &part));
		WORKS(reads(on, "counter", "34"));
		WORKS(he_merge(on, &item, edit_in_place, NULL));
		WORKS(reads(on, "counter", "99"));
		WORKS(he_merge(on, &item, write_itself, &once));
		WORKS(reads(on, "counter", "9999999"));
		CHECK(once.calls == 2);
		FAILS(he_merge(on, &item, write_itself, &ever), HE_ERR_DATASTORE_IN_USE);
		WORKS(reads(on, "counter", "inner 1000"));
	}
	WORKS(he_discard(tx));
	WORKS(he_close(he));
}

static int
close_it(void *arg, const struct he_item *item)
{
	(void)item;
	(void)he_close(*(he_t *)arg);
	return (0);
}

static void
merging(const char *folder)
{
	he_t he = he_open(url_in(folder, "volume"), "merging", FRESH, NULL), tx;
	struct he_item item = item_of("counter", NULL);
	int calls = 0;

	CHECK(he != NULL);
	WORKS(he_merge(he, &item, add_one, &calls));
	WORKS(reads(he, "counter", "1"));
	WORKS(he_merge(he, &item, add_one, &calls));
	WORKS(reads(he, "counter", "2"));
	CHECK(calls == 2);
	FAILS(he_merge(he, &item, refuse, NULL), HE_ERR_TERMINATED);
	WORKS(reads(he, "counter", "2"));
	FAILS(he_merge(he, &item, NULL, NULL), HE_ERR_ARGUMENTS);
	FAILS(he_merge(NULL, &item, add_one, &calls), HE_ERR_ARGUMENTS);
	CHECK((tx = he_transaction(he)) != NULL);
	WORKS(he_merge(tx, &item, add_one, &calls));
	WORKS(reads(tx, "counter", "1"));
	WORKS(he_commit(tx));
	WORKS(reads(he, "counter", "1"));
	WORKS(he_close(he));
}

static void
iterators(const char *folder)
{
	he_t he = he_open(url_in(folder, "volume"), "iterators", FRESH, NULL), tx;
	const struct he_item *item;
	struct he_item seek;
	he_iter_t iter;
	int items;

	CHECK(he != NULL);
	WORKS(put(he, he_insert, "b", "value of b"));
	WORKS(put(he, he_insert, "d", "value of d"));
	WORKS(put(he, he_insert, "f", "value of f"));

	/* from the first, and from the last backwards; the values whole */
	for (int backwards = 0; backwards < 2; ++backwards) {
		CHECK((iter = he_iter_open(he, NULL, 0, HE_MAX_VAL_LEN, backwards)) != NULL);
		for (items = 0; (item = he_iter_next(iter)) != NULL; ++items) {
			const char *expected = &"bdf"[backwards ? 2 - items : items];
			CHECK(item->key_len == 1 && memcmp(item->key, expected, 1) == 0);
			CHECK(item->val_len == 10 && memcmp(item->val, "value of ", 9) == 0);
			WORKS(put(he, he_update, backwards ? "e" : "c", "later"));
			WORKS(put(he, he_update, "d", "value of x"));
		}
		CHECK(items == 3 && errno == HE_ERR_ITEM_NOT_FOUND);
		CHECK(he_iter_next(iter) == NULL);
		he_iter_close(iter);
		he_iter_close(iter);
		NO_HANDLE((void *)he_iter_next(iter), HE_ERR_ARGUMENTS);
		(void)gone(he, "c");
		(void)gone(he, "e");
	}
	/* what is emptied meanwhile is there for who began before */
	CHECK((iter = he_iter_open(he, NULL, 0, HE_MAX_VAL_LEN, 0)) != NULL && he_iter_next(iter) != NULL);
	WORKS(he_discard(he));
	WORKS(put(he, he_insert, "c", "later"));
	for (items = 1; (item = he_iter_next(iter)) != NULL; ++items)
		CHECK(item->key_len == 1 && memcmp(item->key, &"bdf"[items], 1) == 0 && item->val_len == 10);
	CHECK(items == 3 && errno == HE_ERR_ITEM_NOT_FOUND);
	he_iter_close(iter);
	WORKS(he_discard(he));
	WORKS(put(he, he_insert, "b", "value of b"));
	WORKS(put(he, he_insert, "d", "value of x"));
	WORKS(put(he, he_insert, "f", "value of f"));
	/* from a key that is there, and one that is not, both ways; parts of values; keys only */
	seek = item_of("d", NULL);
	CHECK((iter = he_iter_open(he, &seek, 0, 3, 0)) != NULL);
	CHECK((item = he_iter_next(iter)) != NULL && memcmp(item->key, "d", 1) == 0);
	CHECK(item->val_len == 10 && memcmp(item->val, "val", 3) == 0);
	he_iter_close(iter);
	seek = item_of("c", NULL);
	CHECK((iter = he_iter_open(he, &seek, 9, 1, 0)) != NULL);
	CHECK((item = he_iter_next(iter)) != NULL && memcmp(item->key, "d", 1) == 0);
	CHECK((item = he_iter_next(iter)) != NULL && memcmp(item->val, "f", 1) == 0);
	he_iter_close(iter);
	CHECK((iter = he_iter_open(he, &seek, 0, 0, 1)) != NULL);
	CHECK((item = he_iter_next(iter)) != NULL && memcmp(item->key, "b", 1) == 0 && item->val == NULL);
	CHECK(he_iter_next(iter) == NULL);
	he_iter_close(iter);
	seek.key_len = 0;
	CHECK((iter = he_iter_open(he, &seek, 0, 0, 1)) != NULL);
	CHECK((item = he_iter_next(iter)) != NULL && memcmp(item->key, "f", 1) == 0);

	/* what is no handle of an iterator, and what is none of a datastore */
	FAILS(he_close(iter), HE_ERR_ARGUMENTS);
	FAILS(put(iter, he_update, "k", "v"), HE_ERR_ARGUMENTS);
	CHECK(!he_is_valid(iter));
	NO_HANDLE((void *)he_iter_next(he), HE_ERR_ARGUMENTS);
	NO_HANDLE((void *)he_iter_next(NULL), HE_ERR_ARGUMENTS);
	he_iter_close(he);
	CHECK(he_is_valid(he));
	he_iter_close(NULL);
	NO_HANDLE(he_iter_open(iter, NULL, 0, 0, 0), HE_ERR_ARGUMENTS);
	NO_HANDLE(he_iter_open(NULL, NULL, 0, 0, 0), HE_ERR_ARGUMENTS);

	/* a transaction's own content */
	CHECK((tx = he_transaction(he)) != NULL);
	WORKS(put(tx, he_update, "own", "1"));
	he_iter_t own = he_iter_open(tx, NULL, 0, 10, 0);
	CHECK(own != NULL && (item = he_iter_next(own)) != NULL && memcmp(item->key, "own", 3) == 0);
	CHECK(he_iter_next(own) == NULL);

	/* iterators end with their datastore's handle; what they have handed out stays for a step */
	CHECK(he_iter_next(iter) != NULL || errno == HE_ERR_ITEM_NOT_FOUND);
	he_iter_t last = he_iter_open(he, NULL, 0, 10, 0), closed = he_iter_open(he, NULL, 0, 10, 0);
	CHECK((item = he_iter_next(last)) != NULL && he_iter_next(closed) != NULL);
	WORKS(he_close(he));
	CHECK(item->key_len == 1 && memcmp(item->key, "b", 1) == 0 && item->val_len > 0 && *(char *)item->val != 0);
	NO_HANDLE((void *)he_iter_next(last), HE_ERR_ARGUMENTS);
	NO_HANDLE((void *)he_iter_next(last), HE_ERR_ARGUMENTS);
	he_iter_close(closed);
	NO_HANDLE((void *)he_iter_next(closed), HE_ERR_ARGUMENTS);
	NO_HANDLE((void *)he_iter_next(iter), HE_ERR_ARGUMENTS);
	NO_HANDLE((void *)he_iter_next(own), HE_ERR_ARGUMENTS);
	he_iter_close(iter);
	he_iter_close(own);
}

static void
read_only(const char *folder)
{
	const char *url = url_in(folder, "volume");
	he_t he, second;
	struct he_item item;

	CHECK((he = he_open(url, "frozen", FRESH, NULL)) != NULL && !he_is_read_only(he));
	WORKS(put(he, he_insert, "k", "v"));
	NO_HANDLE(he_open(url, "frozen", HE_O_READONLY, NULL), HE_ERR_READ_ONLY_DATASTORE);
	NO_HANDLE(he_open(url, "frozen", HE_O_CREATE | HE_O_ERR_EXISTS, NULL), HE_ERR_DATASTORE_EXISTS);
	WORKS(he_close(he));
	NO_HANDLE(he_open(url, "frozen", HE_O_READONLY | HE_O_TRUNCATE, NULL), HE_ERR_ARGUMENTS);
	NO_HANDLE(he_open(url, "frozen", HE_O_READONLY | HE_O_VOLUME_TRUNCATE, NULL), HE_ERR_ARGUMENTS);
	CHECK((he = he_open(url, "frozen", HE_O_READONLY, NULL)) != NULL);
	CHECK(he_is_read_only(he) && !he_is_read_only(NULL));
	CHECK((second = he_open(url, "frozen", HE_O_READONLY, NULL)) != NULL);
	NO_HANDLE(he_open(url, "frozen", 0, NULL), HE_ERR_READ_ONLY_DATASTORE);
	/* of several reasons the first in the order of checks is told */
	NO_HANDLE(he_open(url, "frozen", HE_O_ERR_EXISTS | HE_O_TRUNCATE | HE_O_VOLUME_TRUNCATE | HE_O_CREATE, NULL),
	    HE_ERR_DATASTORE_EXISTS);
	NO_HANDLE(he_open(url, "frozen", HE_O_TRUNCATE | HE_O_VOLUME_TRUNCATE | HE_O_CREATE, NULL),
	    HE_ERR_DATASTORE_IN_USE);
	NO_HANDLE(he_open(url, "frozen", HE_O_VOLUME_TRUNCATE | HE_O_CREATE, NULL), HE_ERR_VOLUME_IN_USE);
	NO_HANDLE(he_open(url_in(folder, "blank2"), "frozen", HE_O_READONLY | HE_O_TRUNCATE, NULL), HE_ERR_ARGUMENTS);
	WORKS(reads(he, "k", "v"));
	WORKS(goes(he, he_next, "", "k", "v"));
	FAILS(put(he, he_update, "k", "x"), HE_ERR_READ_ONLY_DATASTORE);
	FAILS(put(he, he_insert, "l", "x"), HE_ERR_READ_ONLY_DATASTORE);
	FAILS(put(he, he_replace, "k", "x"), HE_ERR_READ_ONLY_DATASTORE);
	FAILS(gone(he, "k"), HE_ERR_READ_ONLY_DATASTORE);
	item = room_for("k");
	FAILS(he_delete_lookup(he, &item, 0, 1), HE_ERR_READ_ONLY_DATASTORE);
	FAILS(he_merge(he, &item, refuse, NULL), HE_ERR_READ_ONLY_DATASTORE);
	FAILS(he_discard(he), HE_ERR_READ_ONLY_DATASTORE);
	FAILS(he_rename(he, "x"), HE_ERR_READ_ONLY_DATASTORE);
	FAILS(he_remove(he), HE_ERR_READ_ONLY_DATASTORE);
	WORKS(he_commit(he));
	WORKS(he_close(second));
	WORKS(he_close(he));
	CHECK((he = he_open(url, "frozen", 0, NULL)) != NULL);
	WORKS(reads(he, "k", "v"));
	WORKS(he_remove(he));
	CHECK((he = he_open(url, "exists", HE_O_CREATE | HE_O_VOLUME_CREATE | HE_O_ERR_EXISTS, NULL)) != NULL);
	WORKS(he_remove(he));
}

static void
newer_transactions(const char *folder)
{
	const char *url = url_in(folder, "volume");
	he_t one = he_open(url, "one", FRESH, NULL), two = he_open(url, "two", FRESH, NULL), tx, member;
	he_t elsewhere = he_open(url_in(folder, "elsewhere"), "one", FRESH, NULL);

	CHECK(one != NULL && two != NULL && elsewhere != NULL);
	NO_HANDLE(he_transaction(one, 5), HE_ERR_ARGUMENTS);
	CHECK((tx = he_transaction(one, 0)) != NULL && he_is_transaction(tx));
	CHECK((member = he_transaction_datastore(tx, two)) != NULL && he_is_transaction(member));
	NO_HANDLE(he_transaction_datastore(tx, elsewhere), HE_ERR_ARGUMENTS);
	NO_HANDLE(he_transaction_datastore(one, two), HE_ERR_ARGUMENTS);
	NO_HANDLE(he_transaction_datastore(tx, NULL), HE_ERR_ARGUMENTS);
	WORKS(put(tx, he_update, "k", "in one"));
	WORKS(put(member, he_update, "k", "in two"));
	WORKS(reads(tx, "k", "in one"));
	WORKS(reads(member, "k", "in two"));
	WORKS(he_commit(tx));
	CHECK(!he_is_valid(tx) && !he_is_valid(member));
	WORKS(reads(one, "k", "in one"));
	WORKS(reads(two, "k", "in two"));
	/* one failure undoes both */
	CHECK((tx = he_transaction(one, 0)) != NULL);
	CHECK((member = he_transaction_datastore(tx, two)) != NULL);
	WORKS(put(tx, he_update, "k", "again"));
	WORKS(put(member, he_insert, "k", "again"));
	FAILS(he_commit(member), HE_ERR_ITEM_EXISTS);
	CHECK(!he_is_valid(tx));
	WORKS(reads(one, "k", "in one"));
	WORKS(he_close(one));
	WORKS(he_close(two));
	WORKS(he_close(elsewhere));
}

static void
volumes(const char *folder)
{
	const char *url = url_in(folder, "elsewhere");
	he_t he = he_open(url, "a", FRESH, NULL);
	struct he_item item;

	CHECK(he != NULL);
	WORKS(put(he, he_update, "k", "v"));
	FAILS(he_remove_volume(url, 0), HE_ERR_VOLUME_IN_USE);
	/* closed under its own iteration */
	WORKS(he_iterate(he, close_it, &he));
	CHECK(!he_is_valid(he));
	CHECK((he = he_open(url, "a", 0, NULL)) != NULL);
	WORKS(reads(he, "k", "v"));
	WORKS(he_close(he));
	WORKS(he_remove_volume(url, 0));
	FAILS(he_remove_volume(url, 0), HE_ERR_VOLUME_INVALID);
	FAILS(he_remove_volume(NULL, 0), HE_ERR_ARGUMENTS);
	NO_HANDLE(he_open(url, "a", 0, NULL), HE_ERR_VOLUME_INVALID);

	/* a datastore without order */
	CHECK((he = he_open(url_in(folder, "volume"), "unordered", FRESH | HE_O_NOSORT, NULL)) != NULL);
	WORKS(put(he, he_insert, "k", "v"));
	WORKS(reads(he, "k", "v"));
	FAILS(put(he, he_insert, "k", "v"), HE_ERR_ITEM_EXISTS);
	item = room_for("");
	FAILS(he_next(he, &item, 0, 10), HE_ERR_UNSUPPORTED);
	FAILS(he_prev(he, &item, 0, 10), HE_ERR_UNSUPPORTED);
	NO_HANDLE(he_iter_open(he, NULL, 0, 0, 0), HE_ERR_UNSUPPORTED);
	WORKS(he_close(he));
	/* it stays without order, whatever later opens say */
	CHECK((he = he_open(url_in(folder, "volume"), "unordered", 0, NULL)) != NULL);
	FAILS(he_next(he, &item, 0, 10), HE_ERR_UNSUPPORTED);
	WORKS(he_close(he));
	/* nor does it matter whether the log is scanned */
	CHECK((he = he_open(url_in(folder, "volume"), "unordered", HE_O_SCAN, NULL)) != NULL);
	WORKS(reads(he, "k", "v"));
	FAILS(he_next(he, &item, 0, 10), HE_ERR_UNSUPPORTED);
	WORKS(he_close(he));
	/* until it is truncated by an open that wants it otherwise, and back */
	CHECK((he = he_open(url_in(folder, "volume"), "unordered", HE_O_TRUNCATE, NULL)) != NULL);
	FAILS(he_next(he, &item, 0, 10), HE_ERR_ITEM_NOT_FOUND);
	WORKS(put(he, he_insert, "k", "v"));
	WORKS(he_next(he, &item, 0, 10));
	WORKS(he_close(he));
	CHECK((he = he_open(url_in(folder, "volume"), "unordered", HE_O_TRUNCATE | HE_O_NOSORT, NULL)) != NULL);
	FAILS(he_next(he, &item, 0, 10), HE_ERR_UNSUPPORTED);
	WORKS(he_remove(he));
	/* all flags of a volume at once, and one that is none */
	NO_HANDLE(he_open(url_in(folder, "volume"), "cleaned", FRESH | 2048, NULL), HE_ERR_ARGUMENTS);
	CHECK((he = he_open(url_in(folder, "volume"), "cleaned",
	           FRESH | HE_O_VOLUME_NOTRIM | HE_O_SCAN | HE_O_CLEAN, NULL)) != NULL);
	WORKS(put(he, he_insert, "k", "v"));
	/* with a handle open they change nothing */
	he_t other = he_open(url_in(folder, "volume"), "cleaned", HE_O_VOLUME_NOTRIM | HE_O_SCAN | HE_O_CLEAN, NULL);
	CHECK(other != NULL);
	WORKS(reads(other, "k", "v"));
	WORKS(he_close(other));
	WORKS(he_remove(he));
	/* one with compression */
	CHECK((he = he_open(url_in(folder, "volume"), "compressed", FRESH | HE_O_COMPRESS, NULL)) != NULL);
	memset(val_buffer, 'z', 4000);
	val_buffer[4000] = '\0';
	char *value = strdup(val_buffer);
	WORKS(put(he, he_insert, "k", value));
	WORKS(reads(he, "k", value));
	free(value);
	WORKS(he_remove(he));
}

int
main(int argc, char **argv)
{
	int major = 0, minor = 0, patch = 0;

	CHECK(argc == 2);
	CHECK(strcmp(he_version(&major, &minor, &patch), "3.8.2") == 0);
	CHECK(major == 3 && minor == 8 && patch == 2);
	all_semantics(argv[1]);
	transactions(argv[1]);
	figures(argv[1]);
	merging(argv[1]);
	merging_in_place(argv[1]);
	iterators(argv[1]);
	read_only(argv[1]);
	newer_transactions(argv[1]);
	volumes(argv[1]);
	return (0);
}
