/* Version 2.12: that of 2.8 under its own number, which its programs ask for. */
#include "semantics.h"
#include "transactions.h"

#if HE_VERSION_MAJOR != 2 || HE_VERSION_MINOR != 12
#error "the header says another version"
#endif
#ifdef he_version
#error "what reads headers without macros does not find the call"
#endif

int
main(int argc, char **argv)
{
	int major = 0, minor = 0, patch = -1;
	he_t he;

	CHECK(argc == 2);
	CHECK(strncmp(he_version(&major, &minor, &patch), "2.12.", 5) == 0);
	CHECK(major == 2 && minor == 12 && patch >= 0);
	all_semantics(argv[1]);
	transactions(argv[1]);
	HANDLE(he, he_open(url_in(argv[1], "fresh"), "v2.12", FRESH, NULL));
	WORKS(he_close(he));
	HANDLE(he, he_open(url_in(argv[1], "fresh"), "v2.12", 0, NULL));
	WORKS(he_close(he));
	return (0);
}
