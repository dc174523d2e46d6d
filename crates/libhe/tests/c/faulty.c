/* A program with a fault of its own: it has the library write a value to memory that it gave back. */
#include "check.h"

int
main(int argc, char **argv)
{
	struct he_item item;
	char *given_back = malloc(64);
	he_t he;

	CHECK(argc == 2 && given_back != NULL);
	CHECK((he = he_open(url_in(argv[1], "volume"), "faulty", FRESH, NULL)) != NULL);
	WORKS(put(he, he_update, "k", "a value of some length"));
	item = item_of("k", NULL);
	item.val = given_back;
	free(given_back);
	WORKS(he_lookup(he, &item, 0, 64));
	WORKS(he_close(he));
	return (0);
}
