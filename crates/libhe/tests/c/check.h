/* What the programs share: saying what failed, and short words for items. */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <he.h>

#define CHECK(what)                                                                       \
	do {                                                                              \
		if (!(what)) {                                                            \
			fprintf(stderr, "%s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__, #what, errno); \
			exit(1);                                                          \
		}                                                                         \
	} while (0)

/* The call gives the code, in its result and in errno. */
#define FAILS(call, code)                                                                 \
	do {                                                                              \
		errno = 0;                                                                \
		int ret_ = (call);                                                        \
		if (ret_ != (code) || errno != (code)) {                                  \
			fprintf(stderr, "%s:%d: %s gave %d %s (errno %d), not %s\n", __FILE__, __LINE__, #call, \
			    ret_, he_strerror(ret_), errno, #code);                       \
			exit(1);                                                          \
		}                                                                         \
	} while (0)

/* The call works, and leaves errno alone. */
#define WORKS(call)                                                                       \
	do {                                                                              \
		errno = 4711;                                                             \
		int ret_ = (call);                                                        \
		if (ret_ != 0 || errno != 4711) {                                         \
			fprintf(stderr, "%s:%d: %s gave %d %s (errno %d)\n", __FILE__, __LINE__, #call, ret_,  \
			    he_strerror(ret_), errno);                                    \
			exit(1);                                                          \
		}                                                                         \
	} while (0)

/* The call gives a handle, which is no address of any process, and leaves errno alone. */
#define HANDLE(he, call)                                                                  \
	do {                                                                              \
		errno = 4711;                                                             \
		(he) = (call);                                                            \
		if ((he) == NULL || errno != 4711 || (size_t)(he) >> 57 == 0) {           \
			fprintf(stderr, "%s:%d: %s gave %p (errno %d)\n", __FILE__, __LINE__, #call, (void *)(he), errno); \
			exit(1);                                                          \
		}                                                                         \
	} while (0)

/* The call gives no handle, and the code in errno. */
#define NO_HANDLE(call, code)                                                             \
	do {                                                                              \
		errno = 0;                                                                \
		void *he_ = (call);                                                       \
		if (he_ != NULL || errno != (code)) {                                     \
			fprintf(stderr, "%s:%d: %s gave %p, errno %d %s, not %s\n", __FILE__, __LINE__, #call, he_, \
			    errno, he_strerror(errno), #code);                            \
			exit(1);                                                          \
		}                                                                         \
	} while (0)

#define FRESH (HE_O_CREATE | HE_O_VOLUME_CREATE)

static char key_buffer[HE_MAX_KEY_LEN + 16];
static char val_buffer[4096];

/* An item of two texts, without their zeros. */
static inline struct he_item
item_of(const char *key, const char *val)
{
	struct he_item item;

	memset(&item, 0, sizeof(item));
	item.key = (void *)key;
	item.key_len = strlen(key);
	item.val = (void *)val;
	item.val_len = val == NULL ? 0 : strlen(val);
	return (item);
}

static inline int
put(he_t he, int (*how)(he_t, const struct he_item *), const char *key, const char *val)
{
	struct he_item item = item_of(key, val);
	return (how(he, &item));
}

static inline int
gone(he_t he, const char *key)
{
	struct he_item item = item_of(key, NULL);
	return (he_delete(he, &item));
}

static inline int
there(he_t he, const char *key)
{
	struct he_item item = item_of(key, NULL);
	return (he_exists(he, &item));
}

/* An item to be filled, with room for anything. */
static inline struct he_item
room_for(const char *key)
{
	struct he_item item;

	memset(&item, 0, sizeof(item));
	memset(key_buffer, '#', sizeof(key_buffer));
	memset(val_buffer, '#', sizeof(val_buffer));
	item.key_len = strlen(key);
	memcpy(key_buffer, key, item.key_len);
	item.key = key_buffer;
	item.val = val_buffer;
	return (item);
}

static inline int
reads(he_t he, const char *key, const char *val)
{
	struct he_item item = room_for(key);
	int ret = he_lookup(he, &item, 0, sizeof(val_buffer));

	if (ret != 0)
		return (ret);
	return (item.val_len == strlen(val) && memcmp(val_buffer, val, item.val_len) == 0 ? 0 : 1);
}

/* Goes from one key to its neighbour, which is expected to be this one. */
static inline int
goes(he_t he, int (*how)(he_t, struct he_item *, size_t, size_t), const char *from, const char *to, const char *val)
{
	struct he_item item = room_for(from);
	int ret = how(he, &item, 0, sizeof(val_buffer));

	if (ret != 0)
		return (ret);
	CHECK(item.key == key_buffer && item.val == val_buffer);
	CHECK(item.key_len == strlen(to) && memcmp(key_buffer, to, item.key_len) == 0);
	CHECK(item.val_len == strlen(val) && memcmp(val_buffer, val, item.val_len) == 0);
	return (0);
}

static inline const char *
url_in(const char *folder, const char *file)
{
	static char urls[8][4096];
	static int next;
	char *url = urls[next++ % 8];

	snprintf(url, sizeof(urls[0]), "he://./%s/%s", folder, file);
	return (url);
}

#endif
