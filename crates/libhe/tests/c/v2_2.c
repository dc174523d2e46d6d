/* Version 2.2: what the original connector was written for. */
#include "semantics.h"

#if HE_VERSION_MAJOR != 2 || HE_VERSION_MINOR != 2
#error "the header says another version"
#endif

int
main(int argc, char **argv)
{
	int major = 0, minor = 0;
	struct he_stats stats;
	struct he_item item;
	struct he_env env = {64 << 20, 32 << 20};
	he_t he, second;

	CHECK(argc == 2);
	he_version(&major, &minor);
	CHECK(major == 2 && minor == 2);
	all_semantics(argv[1]);

	he = he_open(url_in(argv[1], "volume"), "v2", FRESH | HE_O_TRUNCATE | HE_O_VOLUME_CLEAN, &env);
	CHECK(he != NULL);
	item = item_of("k", "compressible");
	item.flags = HE_I_COMPRESS;
	WORKS(he_update(he, &item));
	WORKS(reads(he, "k", "compressible"));
	WORKS(he_stats(he, &stats));
	CHECK(stats.valid_items == 1 && stats.locked_items == 0 && stats.size > 0 && stats.size <= stats.capacity);

	/* truncate empties an open datastore, for all of its handles */
	CHECK((second = he_open(url_in(argv[1], "volume"), "v2", 0, NULL)) != NULL);
	WORKS(he_truncate(he));
	FAILS(there(second, "k"), HE_ERR_ITEM_NOT_FOUND);
	WORKS(put(second, he_insert, "k", "after"));
	WORKS(reads(he, "k", "after"));
	FAILS(he_truncate(NULL), HE_ERR_ARGUMENTS);
	WORKS(he_commit(he));
	WORKS(he_close(second));
	WORKS(he_close(he));
	return (0);
}
