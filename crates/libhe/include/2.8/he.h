/* he.h: the Helium C interface, version 2.8. Link with -lhe; see he(3). */
#ifndef HE_H
#define HE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if !defined(HE_VERSION_MAJOR)
#define HE_VERSION_MAJOR 2
#define HE_VERSION_MINOR 8
#define HE_VERSION_PATCH 2
#endif

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

/* A handle of a datastore or a transaction. One that was closed gives HE_ERR_ARGUMENTS. */
typedef void *he_t;

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
};

/* Anything but zero ends the call with HE_ERR_TERMINATED. */
typedef int (*he_enumerate_cbf_t)(void *arg, const char *name);
typedef int (*he_iterate_cbf_t)(void *arg, const struct he_item *item);

/* Handles. */
int he_is_valid(const he_t he);
int he_is_transaction(const he_t he);

/* Datastores. */
int he_enumerate(const char *url, he_enumerate_cbf_t cbf, void *arg);
he_t he_open(const char *url, const char *name, int flags, const struct he_env *env);
int he_close(he_t he);
int he_remove(he_t he);
int he_rename(he_t he, const char *name);
int he_stats(he_t he, struct he_stats *stats);

/* Transactions; for a datastore, he_commit makes its volume durable and he_discard empties it. */
he_t he_transaction(he_t he);
int he_commit(he_t he);
int he_discard(he_t he);

/* Items. */
int he_update(he_t he, const struct he_item *item);
int he_insert(he_t he, const struct he_item *item);
int he_replace(he_t he, const struct he_item *item);
int he_delete(he_t he, const struct he_item *item);
int he_delete_lookup(he_t he, struct he_item *item, size_t off, size_t len);
int he_exists(he_t he, const struct he_item *item);
int he_lookup(he_t he, struct he_item *item, size_t off, size_t len);
int he_next(he_t he, struct he_item *item, size_t off, size_t len);
int he_prev(he_t he, struct he_item *item, size_t off, size_t len);
int he_iterate(he_t he, he_iterate_cbf_t cbf, void *arg);

/* Errors and version. */
void he_perror(const char *s);
const char *he_strerror(int err);
#if HE_VERSION_MINOR == 8
const char *he_version(int *major, int *minor, int *patch);
#elif defined(__GNUC__)
const char *he_version(int *major, int *minor, int *patch) __asm__("he_version_v2_12");
#else
#define he_version he_version_v2_12
const char *he_version(int *major, int *minor, int *patch);
#endif

#ifdef __cplusplus
}
#endif

#endif
