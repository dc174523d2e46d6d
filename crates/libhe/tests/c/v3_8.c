/* Version 3.8 without macros: as bindings of other languages see it. */
#define BEGIN(he) he_transaction((he), 0)
#include "semantics.h"
#include "transactions.h"

#if defined(he_transaction) || defined(he_open) || defined(he_stats) || defined(he_version)
#error "what reads headers without macros does not find the call"
#endif

int
main(int argc, char **argv)
{
	he_t (*begin)(he_t, uint16_t) = he_transaction;
	int major = 0, minor = 0, patch = 0;
	struct he_stats stats;
	uint64_t before;
	he_iter_t iter;
	he_t he, tx;

	CHECK(argc == 2);
	CHECK(strcmp(he_version(&major, &minor, &patch), "3.8.2") == 0);
	all_semantics(argv[1]);
	transactions(argv[1]);
	HANDLE(he, he_open(url_in(argv[1], "volume"), "v3.8", FRESH, NULL));
	HANDLE(tx, begin(he, 0));
	WORKS(put(tx, he_update, "k", "v"));
	WORKS(he_commit(tx));
	WORKS(reads(he, "k", "v"));
	NO_HANDLE(begin(he, 1), HE_ERR_ARGUMENTS);
	stats.cache_misses = 4711;
	WORKS(he_stats(he, &stats));
	CHECK(stats.valid_items == 1 && stats.cache_misses != 4711);
	WORKS(he_close(he));

	/* what an iterator reads of the devices is counted */
	HANDLE(he, he_open(url_in(argv[1], "volume"), "v3.8", 0, NULL));
	WORKS(he_stats(he, &stats));
	HANDLE(iter, he_iter_open(he, NULL, 0, 10, 0));
	CHECK(he_iter_next(iter) != NULL);
	before = stats.device_reads;
	WORKS(he_stats(he, &stats));
	CHECK(stats.device_reads > before);
	WORKS(he_close(he));
	he_iter_close(iter);
	return (0);
}
