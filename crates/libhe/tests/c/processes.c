/* What a fork of the process may do; a program without standard descriptors; a thread at its very end. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* Shows the first that is not as it has to be: a child may have nowhere to print to. */
#define EXPECT(what)                 \
	do {                         \
		if (!(what))         \
			return (__LINE__); \
	} while (0)

static int
ended(pid_t child)
{
	int status;

	CHECK(child > 0);
	alarm(60);
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
	alarm(0);
	if (WEXITSTATUS(status) != 0)
		fprintf(stderr, "the child says: line %d (modulo 256)\n", WEXITSTATUS(status));
	return (WEXITSTATUS(status));
}

static int
stop(void *arg, const struct he_item *item)
{
	(void)arg;
	(void)item;
	return (0);
}

static int
inherited(const char *url, he_t he, he_t txn)
{
	struct he_item item = room_for("k");
	struct he_stats stats;

	EXPECT(there(he, "k") == HE_ERR_DEVICE_LOCK && errno == HE_ERR_DEVICE_LOCK);
	EXPECT(he_lookup(he, &item, 0, sizeof(val_buffer)) == HE_ERR_DEVICE_LOCK);
	EXPECT(he_next(he, &item, 0, sizeof(val_buffer)) == HE_ERR_DEVICE_LOCK);
	EXPECT(put(he, he_update, "k", "child") == HE_ERR_DEVICE_LOCK);
	EXPECT(put(he, he_insert, "l", "child") == HE_ERR_DEVICE_LOCK);
	EXPECT(gone(he, "k") == HE_ERR_DEVICE_LOCK);
	EXPECT(put(txn, he_update, "k", "child") == HE_ERR_DEVICE_LOCK);
	EXPECT(he_commit(txn) == HE_ERR_DEVICE_LOCK);
	EXPECT(he_discard(txn) == HE_ERR_DEVICE_LOCK);
	EXPECT(he_transaction(he) == NULL && errno == HE_ERR_DEVICE_LOCK);
	EXPECT(he_commit(he) == HE_ERR_DEVICE_LOCK);
	EXPECT(he_stats(he, &stats) == HE_ERR_DEVICE_LOCK);
	EXPECT(he_iterate(he, stop, NULL) == HE_ERR_DEVICE_LOCK);
	EXPECT(he_remove(he) == HE_ERR_DEVICE_LOCK);
	EXPECT(he_is_valid(he) == 0);
	EXPECT(he_close(he) == HE_ERR_DEVICE_LOCK);
	/* The parent has it open. */
	EXPECT(he_open(url, "a", 0, NULL) == NULL && errno == HE_ERR_DEVICE_LOCK);
	EXPECT(he_open(url, "a", FRESH | HE_O_VOLUME_TRUNCATE, NULL) == NULL && errno == HE_ERR_DEVICE_LOCK);
	return (0);
}

static int
without_descriptors(const char *url)
{
	static const char line[] = "a line that goes nowhere\n";
	he_t he;
	int fd;

	for (fd = 0; fd < 3; fd++)
		close(fd);
	EXPECT((he = he_open(url, "a", FRESH, NULL)) != NULL);
	EXPECT(put(he, he_update, "k", "in a") == 0);
	for (fd = 0; fd < 3; fd++) {
		EXPECT(fcntl(fd, F_GETFD) == -1);
		EXPECT(write(fd, line, sizeof(line) - 1) == -1);
	}
	EXPECT(he_close(he) == 0);
	return (0);
}

static int at_the_end_gave = -1;

static int
all_of_it(he_t he)
{
	he_t txn;

	EXPECT(put(he, he_update, "late", "value") == 0);
	EXPECT(reads(he, "late", "value") == 0);
	EXPECT(goes(he, he_next, "lat", "late", "value") == 0);
	EXPECT((txn = he_transaction(he)) != NULL);
	EXPECT(put(txn, he_update, "later", "value") == 0);
	EXPECT(he_commit(txn) == 0);
	EXPECT(he_iterate(he, stop, NULL) == 0);
	EXPECT(gone(he, "late") == 0);
	EXPECT(he_commit(he) == 0);
	return (0);
}

static void
at_the_end(void *he)
{
	at_the_end_gave = all_of_it(he);
}

static pthread_key_t key;

static void *
thread(void *he)
{
	CHECK(pthread_setspecific(key, he) == 0);
	CHECK(all_of_it(he) == 0);
	return (NULL);
}

int
main(int argc, char **argv)
{
	const char *url, *other;
	pthread_t id;
	he_t he, txn;
	pid_t child;

	CHECK(argc == 2);
	url = url_in(argv[1], "volume");
	other = url_in(argv[1], "other");
	if ((child = fork()) == 0)
		_exit(without_descriptors(other));
	CHECK(ended(child) == 0);
	CHECK((he = he_open(other, "a", 0, NULL)) != NULL);
	WORKS(reads(he, "k", "in a"));
	WORKS(he_close(he));

	CHECK((he = he_open(url, "a", FRESH, NULL)) != NULL);
	WORKS(put(he, he_update, "k", "parent"));
	CHECK((txn = he_transaction(he)) != NULL);
	WORKS(put(txn, he_update, "t", "parent"));
	if ((child = fork()) == 0)
		_exit(inherited(url, he, txn));
	CHECK(ended(child) == 0);
	WORKS(he_commit(txn));
	WORKS(put(he, he_update, "after", "parent"));

	CHECK(pthread_key_create(&key, at_the_end) == 0);
	CHECK(pthread_create(&id, NULL, thread, he) == 0);
	CHECK(pthread_join(id, NULL) == 0);
	CHECK(at_the_end_gave == 0);

	WORKS(he_close(he));
	CHECK((he = he_open(url, "a", 0, NULL)) != NULL);
	WORKS(reads(he, "k", "parent"));
	WORKS(reads(he, "t", "parent"));
	WORKS(reads(he, "after", "parent"));
	WORKS(reads(he, "later", "value"));
	WORKS(he_close(he));
	return (0);
}
