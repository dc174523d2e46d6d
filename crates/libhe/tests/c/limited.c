/* Puts items until one is refused, which is said; then what is there is read, and the volume closed. */
#include "check.h"

int
main(int argc, char **argv)
{
	static char value[100000];
	struct he_item item;
	size_t value_len;
	long items, n;
	char key[32];
	int ret;
	he_t he;

	CHECK(argc == 4);
	items = atol(argv[2]);
	value_len = (size_t)atol(argv[3]);
	CHECK(value_len <= sizeof(value));
	if ((he = he_open(url_in(argv[1], "grown"), "d", FRESH, NULL)) == NULL) {
		printf("open: %s\n", he_strerror(errno));
		return (0);
	}
	memset(&item, 0, sizeof(item));
	item.key = key;
	item.val = value;
	for (ret = 0, n = 0; n < items; n++) {
		item.key_len = (size_t)snprintf(key, sizeof(key), "%08ld%08ld", (n * 7919) % 100003, n);
		item.val_len = value_len;
		memset(value, (int)n, value_len);
		if ((ret = he_update(he, &item)) != 0)
			break;
	}
	printf("update %ld: %s\n", n, ret == 0 ? "0" : he_strerror(ret));
	/* What was accepted is there, and can be removed. */
	if (n > 0) {
		item.key_len = (size_t)snprintf(key, sizeof(key), "%08d%08d", 0, 0);
		WORKS(he_lookup(he, &item, 0, sizeof(value)));
		CHECK(item.val_len == value_len);
		WORKS(he_delete(he, &item));
	}
	WORKS(he_close(he));
	puts("closed");
	return (0);
}
