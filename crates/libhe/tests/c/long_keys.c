/* Keys that only other interfaces can make: an error that can be stepped past, never an overrun. */
#include "check.h"

static const char guard[16] = "################";

static int
count(void *arg, const struct he_item *item)
{
	CHECK(item->key_len >= 1 && item->key_len <= HE_MAX_KEY_LEN);
	++*(int *)arg;
	return (0);
}

/* The item's key is the longest that fits, and not a byte behind it was touched. */
static void
is_cut(const struct he_item *item)
{
	CHECK(item->key_len == HE_MAX_KEY_LEN);
	CHECK(key_buffer[0] == 'm' && key_buffer[HE_MAX_KEY_LEN - 1] == 'm');
	CHECK(memcmp(key_buffer + HE_MAX_KEY_LEN, guard, sizeof(guard)) == 0);
}

int
main(int argc, char **argv)
{
	const char *url = url_in(argv[1], "long");
	const struct he_item *shown;
	struct he_item item;
	he_iter_t iter;
	he_t he;
	int items = 0;

	CHECK(argc == 2);
	/* "", "a", a key of 65,536 m, "z" */
	CHECK((he = he_open(url, "mixed", 0, NULL)) != NULL);
	item = room_for("");
	WORKS(he_next(he, &item, 0, 10));
	CHECK(item.key_len == 1 && key_buffer[0] == 'a');
	FAILS(he_next(he, &item, 0, 10), HE_ERR_UNSUPPORTED);
	is_cut(&item);
	WORKS(he_next(he, &item, 0, 10));
	CHECK(item.key_len == 1 && key_buffer[0] == 'z');
	FAILS(he_next(he, &item, 0, 10), HE_ERR_ITEM_NOT_FOUND);
	item = room_for("");
	WORKS(he_prev(he, &item, 0, 10));
	CHECK(item.key_len == 1 && key_buffer[0] == 'z');
	FAILS(he_prev(he, &item, 0, 10), HE_ERR_UNSUPPORTED);
	is_cut(&item);
	WORKS(he_prev(he, &item, 0, 10));
	CHECK(item.key_len == 1 && key_buffer[0] == 'a');
	FAILS(he_prev(he, &item, 0, 10), HE_ERR_ITEM_NOT_FOUND);
	FAILS(he_iterate(he, count, &items), HE_ERR_UNSUPPORTED);
	CHECK(items == 2);
	CHECK((iter = he_iter_open(he, NULL, 0, 10, 0)) != NULL);
	CHECK((shown = he_iter_next(iter)) != NULL && *(char *)shown->key == 'a');
	NO_HANDLE((void *)he_iter_next(iter), HE_ERR_UNSUPPORTED);
	CHECK((shown = he_iter_next(iter)) != NULL && *(char *)shown->key == 'z');
	NO_HANDLE((void *)he_iter_next(iter), HE_ERR_ITEM_NOT_FOUND);
	he_iter_close(iter);
	WORKS(he_close(he));

	/* the same, and a key of 65,535 m, which fits */
	CHECK((he = he_open(url, "twins", 0, NULL)) != NULL);
	item = room_for("a");
	WORKS(he_next(he, &item, 0, 10));
	is_cut(&item);
	WORKS(he_next(he, &item, 0, 10));
	CHECK(item.key_len == 1 && key_buffer[0] == 'z');
	WORKS(he_prev(he, &item, 0, 10));
	is_cut(&item);
	WORKS(he_prev(he, &item, 0, 10));
	CHECK(item.key_len == 1 && key_buffer[0] == 'a');
	WORKS(he_close(he));
	return (0);
}
