/*
 * he.h: the Helium C interface, version 3.8. Link with -lhe; see he(3).
 *
 * As in ../3.x/he.h, but he_transaction(he, flags) is a function and nothing else, for what cannot
 * see a macro.
 */
#define HE_TRANSACTION_TAKES_FLAGS
#include "../3.x/he.h"
