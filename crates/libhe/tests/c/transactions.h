/* Transactions, as versions 2.8 and 3.x have them. */
#ifndef TRANSACTIONS_H
#define TRANSACTIONS_H

#include "check.h"

/* How a transaction begins, where that is not said. */
#ifndef BEGIN
#define BEGIN(he) he_transaction(he)
#endif

static inline int
count_own(void *arg, const struct he_item *item)
{
	(void)item;
	++*(int *)arg;
	return (0);
}

static inline void
transactions(const char *folder)
{
	const char *url = url_in(folder, "volume");
	he_t he = he_open(url, "transactions", FRESH, NULL), tx, other;
	struct he_item item;
	struct he_stats stats;
	int items = 0;

	CHECK(he != NULL && !he_is_transaction(he));
	WORKS(put(he, he_insert, "there", "before"));
	CHECK((tx = BEGIN(he)) != NULL);
	CHECK(he_is_valid(tx) && he_is_transaction(tx));

	/* queued: nobody else sees it, and it sees only its own */
	WORKS(put(tx, he_insert, "new", "1"));
	WORKS(put(tx, he_update, "newer", "2"));
	FAILS(there(he, "new"), HE_ERR_ITEM_NOT_FOUND);
	FAILS(there(tx, "there"), HE_ERR_ITEM_NOT_FOUND);
	WORKS(reads(tx, "new", "1"));
	WORKS(goes(tx, he_next, "", "new", "1"));
	WORKS(goes(tx, he_next, "new", "newer", "2"));
	FAILS(goes(tx, he_next, "newer", "", ""), HE_ERR_ITEM_NOT_FOUND);
	WORKS(goes(tx, he_prev, "", "newer", "2"));
	WORKS(goes(tx, he_prev, "newer", "new", "1"));
	WORKS(he_iterate(tx, count_own, &items));
	CHECK(items == 2);
	WORKS(gone(tx, "newer"));
	FAILS(there(tx, "newer"), HE_ERR_ITEM_NOT_FOUND);
	item = room_for("new");
	WORKS(he_delete_lookup(tx, &item, 0, 10));
	CHECK(item.val_len == 1 && val_buffer[0] == '1');
	FAILS(he_delete_lookup(tx, &item, 0, 10), HE_ERR_ITEM_NOT_FOUND);
	WORKS(put(tx, he_insert, "new", "3"));
	WORKS(gone(tx, "there"));
	WORKS(he_stats(tx, &stats));
	CHECK(strcmp(stats.name, "transactions") == 0);

	/* what is not for transactions */
	FAILS(he_rename(tx, "x"), HE_ERR_ARGUMENTS);
	FAILS(he_remove(tx), HE_ERR_ARGUMENTS);
	NO_HANDLE(BEGIN(tx), HE_ERR_ARGUMENTS);

	WORKS(he_commit(tx));
	CHECK(!he_is_valid(tx));
	FAILS(he_commit(tx), HE_ERR_ARGUMENTS);
	FAILS(he_discard(tx), HE_ERR_ARGUMENTS);
	FAILS(put(tx, he_update, "late", "x"), HE_ERR_ARGUMENTS);
	WORKS(reads(he, "new", "3"));
	FAILS(there(he, "there"), HE_ERR_ITEM_NOT_FOUND);
	FAILS(there(he, "newer"), HE_ERR_ITEM_NOT_FOUND);

	/* failures show at commit, and then nothing is applied */
	CHECK((tx = BEGIN(he)) != NULL);
	WORKS(put(tx, he_update, "other", "x"));
	WORKS(put(tx, he_insert, "new", "x"));
	FAILS(he_commit(tx), HE_ERR_ITEM_EXISTS);
	CHECK(!he_is_valid(tx));
	FAILS(there(he, "other"), HE_ERR_ITEM_NOT_FOUND);
	WORKS(reads(he, "new", "3"));
	CHECK((tx = BEGIN(he)) != NULL);
	WORKS(put(tx, he_update, "other", "x"));
	WORKS(put(tx, he_replace, "missing", "x"));
	FAILS(he_commit(tx), HE_ERR_ITEM_NOT_FOUND);
	CHECK((tx = BEGIN(he)) != NULL);
	WORKS(put(tx, he_update, "other", "x"));
	WORKS(gone(tx, "missing"));
	FAILS(he_commit(tx), HE_ERR_ITEM_NOT_FOUND);
	CHECK((tx = BEGIN(he)) != NULL);
	WORKS(put(tx, he_insert, "twice", "x"));
	WORKS(put(tx, he_insert, "twice", "y"));
	FAILS(he_commit(tx), HE_ERR_ITEM_EXISTS);
	FAILS(there(he, "twice"), HE_ERR_ITEM_NOT_FOUND);
	FAILS(there(he, "other"), HE_ERR_ITEM_NOT_FOUND);

	/* no conflict detection: the later commit wins */
	CHECK((tx = BEGIN(he)) != NULL);
	CHECK((other = BEGIN(he)) != NULL);
	WORKS(put(tx, he_update, "race", "first begun"));
	WORKS(put(other, he_update, "race", "second begun"));
	WORKS(put(he, he_update, "race", "outside"));
	WORKS(he_commit(other));
	WORKS(reads(he, "race", "second begun"));
	WORKS(he_commit(tx));
	WORKS(reads(he, "race", "first begun"));

	/* an insert that was legal when it was queued, and is not any more */
	CHECK((tx = BEGIN(he)) != NULL);
	WORKS(put(tx, he_insert, "taken", "x"));
	WORKS(put(he, he_insert, "taken", "y"));
	FAILS(he_commit(tx), HE_ERR_ITEM_EXISTS);

	/* a queue is as large as what it changes, however often it changes that */
	item = item_of("large", NULL);
	item.val_len = HE_MAX_VAL_LEN;
	CHECK((item.val = calloc(1, item.val_len)) != NULL);
	CHECK((tx = BEGIN(he)) != NULL);
	for (int i = 0; i < 70; ++i)
		WORKS(he_update(tx, &item));
	WORKS(he_discard(tx));
	free(item.val);

	/* discard and close */
	CHECK((tx = BEGIN(he)) != NULL);
	WORKS(put(tx, he_update, "discarded", "x"));
	WORKS(he_discard(tx));
	FAILS(he_discard(tx), HE_ERR_ARGUMENTS);
	CHECK((tx = BEGIN(he)) != NULL);
	WORKS(put(tx, he_update, "discarded", "x"));
	WORKS(he_close(tx));
	FAILS(he_close(tx), HE_ERR_ARGUMENTS);
	FAILS(there(he, "discarded"), HE_ERR_ITEM_NOT_FOUND);

	/* closing the datastore discards its transactions */
	CHECK((tx = BEGIN(he)) != NULL);
	WORKS(put(tx, he_update, "discarded", "x"));
	WORKS(he_close(he));
	FAILS(he_commit(tx), HE_ERR_ARGUMENTS);
	FAILS(there(tx, "discarded"), HE_ERR_ARGUMENTS);
	CHECK((he = he_open(url, "transactions", 0, NULL)) != NULL);
	FAILS(there(he, "discarded"), HE_ERR_ITEM_NOT_FOUND);

	/* discarding a datastore empties it */
	WORKS(he_discard(he));
	FAILS(there(he, "new"), HE_ERR_ITEM_NOT_FOUND);
	WORKS(he_stats(he, &stats));
	CHECK(stats.valid_items == 0);
	WORKS(he_remove(he));
}

#endif
