/* What the system, the devices and the limits refuse: the code that says so, and nothing lost. */
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static int
ignore(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return (0);
}

/* Runs as somebody who may only read, or nothing; this process has nothing open yet. */
static void
as_another(const char *folder, const char *file, mode_t mode, void (*what)(const char *url))
{
	char path[4096];
	int status;
	pid_t child;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	CHECK(chmod(folder, 0755) == 0);
	CHECK(chmod(path, geteuid() == 0 ? mode : mode & ~(mode_t)0200) == 0);
	if ((child = fork()) == 0) {
		if (geteuid() == 0)
			CHECK(setgid(65534) == 0 && setuid(65534) == 0);
		what(url_in(folder, file));
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(chmod(path, 0600) == 0);
}

static void
may_nothing(const char *url)
{
	NO_HANDLE(he_open(url, "a", 0, NULL), HE_ERR_DEVICE_ACCESS);
	NO_HANDLE(he_open(url, "a", HE_O_READONLY, NULL), HE_ERR_DEVICE_ACCESS);
	FAILS(he_enumerate(url, ignore, NULL), HE_ERR_DEVICE_ACCESS);
	FAILS(he_remove_volume(url, 0), HE_ERR_DEVICE_ACCESS);
}

static void
may_read(const char *url)
{
	he_t he;

	NO_HANDLE(he_open(url, "a", 0, NULL), HE_ERR_DEVICE_ACCESS);
	CHECK((he = he_open(url, "a", HE_O_READONLY, NULL)) != NULL);
	WORKS(reads(he, "k", "v"));
	FAILS(put(he, he_update, "k", "x"), HE_ERR_READ_ONLY_DATASTORE);
	WORKS(he_close(he));
	WORKS(he_enumerate(url, ignore, NULL));
}

static void
access_rights(const char *folder)
{
	pid_t child;
	int status;

	/* By a process of its own: a child must not use what its parent opened. */
	if ((child = fork()) == 0) {
		he_t he = he_open(url_in(folder, "volume"), "a", FRESH, NULL);

		CHECK(he != NULL);
		WORKS(put(he, he_update, "k", "v"));
		WORKS(he_close(he));
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	as_another(folder, "volume", geteuid() == 0 ? 0600 : 0, may_nothing);
	as_another(folder, "volume", 0644, may_read);
}

/* A volume that is full: writes wait as long as was asked, deletes work, and nothing is lost. */
static void
full(const char *folder)
{
	const char *url = url_in(folder, "one");
	char key[16], *large = malloc(HE_MAX_VAL_LEN);
	struct he_env env;
	struct he_item item;
	struct he_stats stats;
	unsigned count = 0, left = 0;
	he_t he;
	int ret;

	CHECK(large != NULL);
	memset(large, 'x', HE_MAX_VAL_LEN);
	memset(&env, 0, sizeof(env));
	env.retry_count = 1;
	env.retry_delay = 1;
	CHECK((he = he_open(url, "full", FRESH, &env)) != NULL);
	memset(&item, 0, sizeof(item));
	item.key = key;
	item.val = large;
	item.val_len = HE_MAX_VAL_LEN;
	for (;;) {
		item.key_len = (size_t)snprintf(key, sizeof(key), "%u", count);
		errno = 0;
		if ((ret = he_insert(he, &item)) != 0)
			break;
		CHECK(++count < 64);
	}
	CHECK(ret == HE_ERR_VOLUME_FULL && errno == HE_ERR_VOLUME_FULL && count > 30);
	FAILS(he_exists(he, &item), HE_ERR_ITEM_NOT_FOUND);
	WORKS(he_commit(he));
	WORKS(he_close(he));

	/* all that was taken is there; half of it goes, and there is room again */
	CHECK((he = he_open(url, "full", 0, NULL)) != NULL);
	WORKS(he_stats(he, &stats));
	CHECK(stats.valid_items == count);
	for (unsigned i = 0; i < count; i += 2) {
		item.key_len = (size_t)snprintf(key, sizeof(key), "%u", i);
		WORKS(he_delete(he, &item));
		++left;
	}
	WORKS(he_commit(he));
	for (unsigned i = 0; i < left / 2; ++i) {
		item.key_len = (size_t)snprintf(key, sizeof(key), "new%u", i);
		WORKS(he_insert(he, &item));
	}
	WORKS(he_stats(he, &stats));
	CHECK(stats.valid_items == count - left + left / 2);
	WORKS(he_close(he));
	free(large);
}

/* As many datastores as the header says, and no more. */
static void
many_datastores(void)
{
	static he_t all[HE_MAX_DATASTORES];
	const char *url = "he://./_1073741824";
	char name[16];

	for (unsigned i = 0; i < HE_MAX_DATASTORES; ++i) {
		snprintf(name, sizeof(name), "%u", i);
		CHECK((all[i] = he_open(url, name, FRESH, NULL)) != NULL);
	}
	NO_HANDLE(he_open(url, "more", FRESH, NULL), HE_ERR_VOLUME_FULL);
	WORKS(he_remove(all[0]));
	CHECK((all[0] = he_open(url, "more", FRESH, NULL)) != NULL);
	for (unsigned i = 0; i < HE_MAX_DATASTORES; ++i)
		WORKS(he_close(all[i]));
}

/* A device whose size is no multiple of 4096 is used as far as it is one. */
static void
odd_size(const char *folder)
{
	char path[4096];
	he_t he;
	struct he_stats stats;

	snprintf(path, sizeof(path), "%s/elsewhere", folder);
	CHECK(truncate(path, ((off_t)1 << 30) + 5000) == 0);
	CHECK((he = he_open(url_in(folder, "elsewhere"), "odd", FRESH, NULL)) != NULL);
	WORKS(put(he, he_insert, "k", "v"));
	WORKS(he_stats(he, &stats));
	CHECK(stats.capacity >= (uint64_t)1 << 30);
	WORKS(he_close(he));
	CHECK((he = he_open(url_in(folder, "elsewhere"), "odd", 0, NULL)) != NULL);
	WORKS(reads(he, "k", "v"));
	WORKS(he_remove(he));
}

/* What the test has damaged: an item, the log, one device of two, a device's end, the format. */
static void
damaged(const char *folder)
{
	he_t he = he_open(url_in(folder, "item"), "d", 0, NULL);
	struct he_item item = room_for("0005");

	CHECK(he != NULL);
	FAILS(he_lookup(he, &item, 0, 10), HE_ERR_CHECKSUM);
	CHECK(val_buffer[0] == '#');
	item = room_for("0006");
	WORKS(he_lookup(he, &item, 0, 10));
	WORKS(he_close(he));
	NO_HANDLE(he_open(url_in(folder, "log"), "d", 0, NULL), HE_ERR_VOLUME_CORRUPT);
	NO_HANDLE(he_open(url_in(folder, "half"), "d", 0, NULL), HE_ERR_VOLUME_INVALID);
	NO_HANDLE(he_open(url_in(folder, "cut"), "d", 0, NULL), HE_ERR_VOLUME_INVALID);
	NO_HANDLE(he_open(url_in(folder, "cut"), "d", HE_O_VOLUME_CREATE | HE_O_CREATE, NULL), HE_ERR_VOLUME_INVALID);
	NO_HANDLE(he_open(url_in(folder, "newer"), "d", 0, NULL), HE_ERR_UNSUPPORTED);
	NO_HANDLE(he_open(url_in(folder, "newer"), "d", HE_O_VOLUME_CREATE | HE_O_CREATE, NULL), HE_ERR_UNSUPPORTED);
	FAILS(he_enumerate(url_in(folder, "newer"), ignore, NULL), HE_ERR_UNSUPPORTED);
	NO_HANDLE(he_open(url_in(folder, "unfinished"), "d", 0, NULL), HE_ERR_VOLUME_INVALID);
	NO_HANDLE(he_open(url_in(folder, "unfinished"), "d", HE_O_VOLUME_CREATE | HE_O_CREATE, NULL), HE_ERR_VOLUME_INVALID);
	FAILS(he_enumerate(url_in(folder, "unfinished"), ignore, NULL), HE_ERR_VOLUME_INVALID);
}

int
main(int argc, char **argv)
{
	CHECK(argc == 2);
	access_rights(argv[1]);
	damaged(argv[1]);
	many_datastores();
	odd_size(argv[1]);
	full(argv[1]);
	return (0);
}
