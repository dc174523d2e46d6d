/* he.h: the Helium C interface, versions 3.4 to 3.8. Link with -lhe; see he(3). */
#ifndef HE_H
#define HE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HE_VERSION_MAJOR 3
#define HE_VERSION_MINOR 8
#define HE_VERSION_PATCH 2

/* Limits. */
#define HE_MAX_DATASTORES 4095
#define HE_MAX_KEY_LEN 65535
#define HE_MAX_VAL_LEN 16777215

/* Flags of he_open. */
#define HE_O_CREATE 1 /* make the datastore if it is not there */
#define HE_O_TRUNCATE 2 /* empty the datastore */
#define HE_O_VOLUME_CREATE 4 /* make the volume if the devices are blank */
#define HE_O_VOLUME_TRUNCATE 8 /* make the volume anew */
#define HE_O_VOLUME_NOTRIM 16 /* never tell the devices what is free */
#define HE_O_NOSORT 32 /* a datastore without order, with a smaller index */
#define HE_O_SCAN 64 /* rebuild the index from the items */
#define HE_O_CLEAN 128 /* clean the volume first */
#define HE_O_COMPRESS 256 /* a datastore with compressed values */
#define HE_O_READONLY 512 /* write nothing through this handle */
#define HE_O_ERR_EXISTS 1024 /* fail if the datastore is there */

/* Errors: calls return them, and set errno to them. */
#define HE_ERR_SOFTWARE (-100)
#define HE_ERR_ARGUMENTS (-101)
#define HE_ERR_MEMORY (-102)
#define HE_ERR_CHECKSUM (-103)
#define HE_ERR_TERMINATED (-104)
#define HE_ERR_UNSUPPORTED (-105)
#define HE_ERR_DEVICE_STAT (-106)
#define HE_ERR_DEVICE_OPEN (-107)
#define HE_ERR_DEVICE_ACCESS (-108)
#define HE_ERR_DEVICE_LOCK (-109)
#define HE_ERR_DEVICE_GEOMETRY (-110)
#define HE_ERR_DEVICE_READ (-111)
#define HE_ERR_DEVICE_WRITE (-112)
#define HE_ERR_VOLUME_TOO_SMALL (-113)
#define HE_ERR_VOLUME_INVALID (-114)
#define HE_ERR_VOLUME_CORRUPT (-115)
#define HE_ERR_VOLUME_IN_USE (-116)
#define HE_ERR_VOLUME_FULL (-117)
#define HE_ERR_DATASTORE_NOT_FOUND (-118)
#define HE_ERR_DATASTORE_EXISTS (-119)
#define HE_ERR_DATASTORE_IN_USE (-120)
#define HE_ERR_ITEM_NOT_FOUND (-121)
#define HE_ERR_ITEM_EXISTS (-122)
#define HE_ERR_NETWORK_LISTEN (-123)
#define HE_ERR_NETWORK_ACCEPT (-124)
#define HE_ERR_NETWORK_CONNECT (-125)
#define HE_ERR_NETWORK_READ (-126)
#define HE_ERR_NETWORK_WRITE (-127)
#define HE_ERR_NETWORK_PROTOCOL (-128)
#define HE_ERR_READ_ONLY_DATASTORE (-129)

/*
 * What has another form here than in other versions has a symbol of its own: given as such where
 * the compiler can, so that it is there for what reads headers without macros (cgo, bindgen).
 */
#if defined(__GNUC__)
#define HE_SYMBOL(symbol) __asm__(symbol)
#else
#define HE_SYMBOL(symbol)
#define he_open he_open_v3
#define he_stats he_stats_v3
#define he_version he_version_v3
#endif

/* A handle of a datastore or a transaction. One that was closed gives HE_ERR_ARGUMENTS. */
typedef void *he_t;

/* A handle of an iterator. */
typedef void *he_iter_t;

struct he_item {
	void *key;
	void *val;
	size_t key_len;
	size_t val_len;
};

/* Zero means the default; what is out of range becomes the nearest that is not. */
struct he_env {
	uint64_t fanout;              /* count */
	uint64_t write_cache;         /* bytes */
	uint64_t read_cache;          /* bytes */
	uint64_t auto_commit_period;  /* seconds */
	uint64_t auto_clean_period;   /* seconds */
	uint64_t clean_util_pct;      /* percent */
	uint64_t clean_dirty_pct;     /* percent */
	uint64_t retry_count;         /* count */
	uint64_t retry_delay;         /* microseconds */
	uint64_t gc_fanout;           /* count */
	uint64_t compress_threshold;  /* bytes */
};

struct he_stats {
	const char *name;         /* good until the handle is closed */
	uint64_t valid_items;     /* count */
	uint64_t deleted_items;   /* about: dead bytes, as items of the size of those that live */
	uint64_t utilized;        /* bytes, of all datastores */
	uint64_t capacity;        /* bytes, of the volume */
	uint64_t buffered_writes; /* bytes */
	uint64_t buffered_reads;  /* bytes */
	uint64_t device_writes;   /* bytes */
	uint64_t device_reads;    /* bytes */
	uint64_t auto_commits;    /* count */
	uint64_t auto_cleans;     /* count */
	uint64_t dirty_writes;    /* bytes */
	uint64_t clean_bytes;     /* bytes */
	uint64_t cache_hits;      /* count */
	uint64_t cache_misses;    /* count */
};

/* Anything but zero ends the call with HE_ERR_TERMINATED. */
typedef int (*he_enumerate_cbf_t)(void *arg, const char *name);
typedef int (*he_iterate_cbf_t)(void *arg, const struct he_item *item);
typedef int (*he_merge_cbf_t)(void *arg, struct he_item *item);

/* Handles. */
int he_is_valid(const he_t he);
int he_is_transaction(const he_t he);
int he_is_read_only(const he_t he);

/* Datastores. */
int he_enumerate(const char *url, he_enumerate_cbf_t cbf, void *arg);
he_t he_open(const char *url, const char *name, int flags, const struct he_env *env)
    HE_SYMBOL("he_open_v3");
int he_close(he_t he);
int he_remove(he_t he);
int he_rename(he_t he, const char *name);
int he_stats(he_t he, struct he_stats *stats) HE_SYMBOL("he_stats_v3");
int he_remove_volume(const char *url, int flag);

/* Transactions; for a datastore, he_commit makes its volume durable and he_discard empties it. */
#if defined(HE_TRANSACTION_TAKES_FLAGS) && defined(__GNUC__)
he_t he_transaction(he_t he, uint16_t flags) HE_SYMBOL("he_transaction_v3_8");
#else
he_t he_transaction(he_t he);
he_t he_transaction_v3_8(he_t he, uint16_t flags);
#endif
he_t he_transaction_datastore(he_t transaction, he_t he);
int he_commit(he_t he);
int he_discard(he_t he);

/* Items. */
int he_update(he_t he, const struct he_item *item);
int he_insert(he_t he, const struct he_item *item);
int he_replace(he_t he, const struct he_item *item);
int he_delete(he_t he, const struct he_item *item);
int he_delete_lookup(he_t he, struct he_item *item, size_t off, size_t len);
int he_merge(he_t he, const struct he_item *item, he_merge_cbf_t cbf, void *arg);
int he_exists(he_t he, const struct he_item *item);
int he_lookup(he_t he, struct he_item *item, size_t off, size_t len);
int he_next(he_t he, struct he_item *item, size_t off, size_t len);
int he_prev(he_t he, struct he_item *item, size_t off, size_t len);
int he_iterate(he_t he, he_iterate_cbf_t cbf, void *arg);

/* Iterators. */
he_iter_t he_iter_open(he_t he, struct he_item *seek, size_t off, size_t len, int backwards);
const struct he_item *he_iter_next(he_iter_t iter);
void he_iter_close(he_iter_t iter);

/* Errors and version. */
void he_perror(const char *s);
const char *he_strerror(int err);
const char *he_version(int *major, int *minor, int *patch) HE_SYMBOL("he_version_v3");

#ifdef __cplusplus
}
#endif

/* he_transaction(he) as up to 3.7, he_transaction(he, flags) as from 3.8 on, where the language can. */
#if defined(HE_TRANSACTION_TAKES_FLAGS)
#if !defined(__GNUC__)
#define he_transaction he_transaction_v3_8
#endif
#elif defined(__cplusplus)
static inline he_t he_transaction(he_t he, uint16_t flags)
{
	return he_transaction_v3_8(he, flags);
}
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 199901L
#define HE_PICK_TRANSACTION(one, two, name, ...) name
#define he_transaction(...) \
	HE_PICK_TRANSACTION(__VA_ARGS__, he_transaction_v3_8, he_transaction, 0)(__VA_ARGS__)
#endif

#undef HE_SYMBOL

#endif
