/* SPDX-License-Identifier: MIT */
/* Which version this is, and the sizes that no other of the same ABI may change: every program
 * embeds these structs, and so do most others. abi/ouro.abi lists all of them. */
#include <ouro.h>

_Static_assert(sizeof(struct ouro_future) == 16, "ABI");
_Static_assert(sizeof(struct ouro_op) == 48, "ABI");
_Static_assert(sizeof(struct ouro_task) == 72, "ABI");
_Static_assert(sizeof(struct ouro_timer) == 40, "ABI");
_Static_assert(sizeof(struct ouro_buf) == 16, "ABI");
_Static_assert(sizeof(ouro_conn) == 8 && sizeof(ouro_fiber) == 8, "ABI");

const char *ouro_version(void)
{
#define TEXT2(x) #x
#define TEXT(x)  TEXT2(x)
    return TEXT(OURO_VERSION_MAJOR) "." TEXT(OURO_VERSION_MINOR) "." TEXT(OURO_VERSION_PATCH);
}

unsigned ouro_version_number(void)
{
    return OURO_VERSION_NUMBER;
}

bool ouro_version_fits(unsigned number)
{
    unsigned abi = OURO_VERSION_MAJOR == 0 ? 100 : 10000; /* what differs within one ABI */

    return number / abi == OURO_VERSION_NUMBER / abi && number <= OURO_VERSION_NUMBER;
}
