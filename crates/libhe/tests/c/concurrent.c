/* Many threads on few handles, which others close meanwhile. */
#include <pthread.h>
#include <unistd.h>

#include "check.h"

#define THREADS 6

static const char *url;
static int rounds;
static he_t shared[4];
static he_iter_t iters[4];
static he_t transactions[4];
static int merged;

/* Any answer is good that is one of these: a crash or another code is not. */
static void
sound(int ret)
{
	CHECK(ret == 0 || ret == HE_ERR_ARGUMENTS || ret == HE_ERR_ITEM_NOT_FOUND || ret == HE_ERR_ITEM_EXISTS ||
	    ret == HE_ERR_DATASTORE_IN_USE);
}

static int
raise_it(void *arg, struct he_item *item)
{
	unsigned long *number = arg;

	*number = 0;
	if (item->val_len == sizeof(*number))
		memcpy(number, item->val, sizeof(*number));
	++*number;
	item->val = number;
	item->val_len = sizeof(*number);
	return (0);
}

static void *
work(void *arg)
{
	unsigned seed = (unsigned)(size_t)arg;
	char *key = malloc(HE_MAX_KEY_LEN);
	char val[64];

	for (int i = 0; i < rounds; ++i) {
		int at = rand_r(&seed) % 4;
		he_t he = __atomic_load_n(&shared[at], __ATOMIC_ACQUIRE), tx;
		struct he_item item;

		memset(&item, 0, sizeof(item));
		item.key = key;
		item.key_len = (size_t)snprintf(key, 16, "%d", rand_r(&seed) % 100);
		item.val = val;
		item.val_len = 20;
		memset(val, 'v', sizeof(val));
		switch (rand_r(&seed) % 15) {
		case 0:
		case 1:
			sound(he_update(he, &item));
			break;
		case 2:
			sound(he_lookup(he, &item, 0, sizeof(val)));
			break;
		case 3:
			sound(he_delete(he, &item));
			break;
		case 4:
			sound(he_next(he, &item, 0, sizeof(val)));
			break;
		case 5:
			if ((tx = he_transaction(he)) != NULL) {
				sound(he_update(tx, &item));
				sound(rand_r(&seed) % 2 ? he_commit(tx) : he_discard(tx));
			}
			break;
		case 6:
			sound(he_commit(he));
			break;
		case 7: {
			he_iter_t iter = he_iter_open(he, NULL, 0, 10, 0);
			(void)he_iter_next(iter);
			he_iter_t old = __atomic_exchange_n(&iters[at], iter, __ATOMIC_ACQ_REL);
			he_iter_close(old);
			break;
		}
		case 8: {
			struct he_stats stats;
			sound(he_stats(he, &stats));
			break;
		}
		case 9: {
			char name[16];
			snprintf(name, sizeof(name), "shared%d", at);
			he_t fresh = he_open(url, name, FRESH, NULL);
			CHECK(fresh != NULL);
			he_t old = __atomic_exchange_n(&shared[at], fresh, __ATOMIC_ACQ_REL);
			/* Several threads may get hold of it: one of them closes it. */
			sound(he_close(old));
			sound(he_close(old));
			break;
		}
		case 10: {
			unsigned long number;
			struct he_item counter;
			he_t counters = he_open(url, "counters", FRESH, NULL);
			memset(&counter, 0, sizeof(counter));
			counter.key = "n";
			counter.key_len = 1;
			CHECK(counters != NULL);
			WORKS(he_merge(counters, &counter, raise_it, &number));
			WORKS(he_close(counters));
			__atomic_add_fetch(&merged, 1, __ATOMIC_RELAXED);
			break;
		}
		case 11: {
			/* one transaction, which several threads write to and end */
			he_t old = __atomic_exchange_n(&transactions[at], he_transaction(he), __ATOMIC_ACQ_REL);
			sound(he_update(__atomic_load_n(&transactions[at], __ATOMIC_ACQUIRE), &item));
			sound(rand_r(&seed) % 2 ? he_commit(old) : he_close(old));
			break;
		}
		case 12: {
			/* handles of another kind, whoever closes them meanwhile */
			he_iter_t iter = __atomic_load_n(&iters[at], __ATOMIC_ACQUIRE);
			he_t transaction = __atomic_load_n(&transactions[at], __ATOMIC_ACQUIRE);
			struct he_stats stats;
			FAILS(he_update(iter, &item), HE_ERR_ARGUMENTS);
			FAILS(he_commit(iter), HE_ERR_ARGUMENTS);
			FAILS(he_close(iter), HE_ERR_ARGUMENTS);
			FAILS(he_stats(iter, &stats), HE_ERR_ARGUMENTS);
			FAILS(he_rename(transaction, "x"), HE_ERR_ARGUMENTS);
			FAILS(he_remove(transaction), HE_ERR_ARGUMENTS);
			NO_HANDLE(he_transaction(transaction), HE_ERR_ARGUMENTS);
			NO_HANDLE((void *)he_iter_next(transaction), HE_ERR_ARGUMENTS);
			NO_HANDLE((void *)he_iter_next(he), HE_ERR_ARGUMENTS);
			he_iter_close(he);
			break;
		}
		case 13:
			/* none, and what never was one */
			FAILS(he_update(NULL, &item), HE_ERR_ARGUMENTS);
			FAILS(he_close((he_t)((size_t)rand_r(&seed) & ~(size_t)1)), HE_ERR_ARGUMENTS);
			FAILS(he_commit(&item), HE_ERR_ARGUMENTS);
			break;
		default:
			sound(he_delete_lookup(he, &item, 0, 3));
			break;
		}
	}
	free(key);
	return (NULL);
}

int
main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	he_t he;

	CHECK(argc == 3);
	url = url_in(argv[1], "volume");
	rounds = atoi(argv[2]);
	for (size_t i = 0; i < THREADS; ++i)
		CHECK(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
	for (int i = 0; i < THREADS; ++i)
		CHECK(pthread_join(threads[i], NULL) == 0);
	for (int i = 0; i < 4; ++i) {
		he_iter_close(iters[i]);
		(void)he_close(transactions[i]);
		(void)he_close(shared[i]);
	}
	/* No merge was lost. */
	if (merged != 0) {
		unsigned long number = 0;
		struct he_item item = item_of("n", NULL);
		CHECK((he = he_open(url, "counters", 0, NULL)) != NULL);
		item.val = &number;
		WORKS(he_lookup(he, &item, 0, sizeof(number)));
		CHECK(number == (unsigned long)merged);
		WORKS(he_close(he));
	}
	return (0);
}
