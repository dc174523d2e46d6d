/*
 * he.h: the Helium C interface, version 2.12. Link with -lhe; see he(3).
 *
 * As in ../2.8/he.h, under its own version.
 */
#define HE_VERSION_MAJOR 2
#define HE_VERSION_MINOR 12
#define HE_VERSION_PATCH 0
#include "../2.8/he.h"
