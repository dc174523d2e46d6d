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
	/* items that ask for it are compressed */
	uint64_t before;
	char *long_value = malloc(sizeof(val_buffer));
	CHECK(long_value != NULL);
	memset(long_value, 'z', sizeof(val_buffer) - 1);
	long_value[sizeof(val_buffer) - 1] = '\0';
	WORKS(he_stats(he, &stats));
	before = stats.size;
	for (int i = 0; i < 100; ++i) {
		char key[16];
		snprintf(key, sizeof(key), "z%d", i);
		item = item_of(key, long_value);
		item.flags = HE_I_COMPRESS;
		WORKS(i % 2 ? he_insert(he, &item) : he_update(he, &item));
		WORKS(reads(he, key, long_value));
	}
	WORKS(he_stats(he, &stats));
	CHECK(stats.size < before + 100 * sizeof(val_buffer) / 4);
	item = item_of("z0", "short");
	item.flags = HE_I_COMPRESS;
	WORKS(he_replace(he, &item));
	WORKS(reads(he, "z0", "short"));
	FAILS(he_replace(NULL, &item), HE_ERR_ARGUMENTS);
	FAILS(he_insert(he, NULL), HE_ERR_ARGUMENTS);
	for (int i = 0; i < 100; ++i) {
		char key[16];
		snprintf(key, sizeof(key), "z%d", i);
		WORKS(gone(he, key));
	}
	free(long_value);
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
