/* Has a volume open until it hears the end of its input. */
#include "check.h"

int
main(int argc, char **argv)
{
	he_t he;

	CHECK(argc == 2);
	CHECK((he = he_open(url_in(argv[1], "volume"), "watched", FRESH, NULL)) != NULL);
	WORKS(put(he, he_update, "k", "v"));
	puts("open");
	fflush(stdout);
	while (getchar() != EOF)
		;
	WORKS(he_close(he));
	return (0);
}
