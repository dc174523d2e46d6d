/* One process per volume; and what was committed survives a process that just ends. */
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

int
main(int argc, char **argv)
{
	const char *url;
	he_t he, other;
	int status;
	pid_t child;

	CHECK(argc == 2 || argc == 3);
	url = url_in(argv[1], "volume");
	if (argc == 3) {
		NO_HANDLE(he_open(url, "a", 0, NULL), HE_ERR_DEVICE_LOCK);
		return (0);
	}
	/* The child writes to two datastores, commits one handle, and dies. */
	if ((child = fork()) == 0) {
		CHECK((he = he_open(url, "a", FRESH, NULL)) != NULL);
		CHECK((other = he_open(url, "b", FRESH, NULL)) != NULL);
		WORKS(put(he, he_update, "k", "in a"));
		WORKS(put(other, he_update, "k", "in b"));
		WORKS(he_commit(he));
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK((he = he_open(url, "a", 0, NULL)) != NULL);
	CHECK((other = he_open(url, "b", 0, NULL)) != NULL);
	WORKS(reads(he, "k", "in a"));
	WORKS(reads(other, "k", "in b"));
	/* A second process is kept out: it is a program of its own, not a copy of this one. */
	if ((child = fork()) == 0) {
		execl(argv[0], argv[0], argv[1], "locked-out", (char *)NULL);
		_exit(1);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	WORKS(he_close(he));
	WORKS(he_close(other));
	return (0);
}
