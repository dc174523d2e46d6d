/* Version 2.8. */
#include <stddef.h>

#include "figures.h"
#include "semantics.h"
#include "transactions.h"

#define OFFSET(type, member, at) _Static_assert(offsetof(struct type, member) == (at), #member)

/* Programs that were compiled with the original header use these layouts. */
OFFSET(he_item, key, 0);
OFFSET(he_item, val, 8);
OFFSET(he_item, key_len, 16);
OFFSET(he_item, val_len, 24);
_Static_assert(sizeof(struct he_item) == 32, "he_item");
OFFSET(he_env, fanout, 0);
OFFSET(he_env, write_cache, 8);
OFFSET(he_env, read_cache, 16);
OFFSET(he_env, auto_commit_period, 24);
OFFSET(he_env, auto_clean_period, 32);
OFFSET(he_env, clean_util_pct, 40);
OFFSET(he_env, clean_dirty_pct, 48);
OFFSET(he_env, retry_count, 56);
OFFSET(he_env, retry_delay, 64);
_Static_assert(sizeof(struct he_env) == 72, "he_env");
OFFSET(he_stats, name, 0);
OFFSET(he_stats, valid_items, 8);
OFFSET(he_stats, deleted_items, 16);
OFFSET(he_stats, utilized, 24);
OFFSET(he_stats, capacity, 32);
OFFSET(he_stats, buffered_writes, 40);
OFFSET(he_stats, buffered_reads, 48);
OFFSET(he_stats, device_writes, 56);
OFFSET(he_stats, device_reads, 64);
OFFSET(he_stats, auto_commits, 72);
OFFSET(he_stats, auto_cleans, 80);
_Static_assert(sizeof(struct he_stats) == 88, "he_stats");

int
main(int argc, char **argv)
{
	int major = 0, minor = 0, patch = 0;

	CHECK(argc == 2);
	CHECK(strcmp(he_version(&major, &minor, &patch), "2.8.2") == 0);
	CHECK(major == 2 && minor == 8 && patch == 2);
	CHECK(strcmp(he_version(NULL, NULL, NULL), "2.8.2") == 0);
	all_semantics(argv[1]);
	transactions(argv[1]);
	figures(argv[1]);
	return (0);
}
