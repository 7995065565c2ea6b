/* SPDX-License-Identifier: MIT */
/* The sleep/wake handshake of src/shard/mesh.h: one shard, two senders, every interleaving. Each
 * statement is one access; the four that the essay names are seq_cst in the code, as all are here.
 * A wake that is lost leaves the shard blocked with a message before it: an invalid end state.
 *
 * -DBROKEN=1: the shard looks before it says that it sleeps; 2: the sender looks before it writes.
 * Both must be found to fail. */
#ifndef BROKEN
#define BROKEN 0
#endif
#define SENDERS  2
#define MESSAGES 2

bool asleep = false;
byte lane[SENDERS];  /* messages that can be seen */
byte bell = 0;       /* rings that have not been heard */
byte taken = 0;

inline take_all()
{
    i = 0;
    do
    :: i < SENDERS ->
        do
        :: lane[i] > 0 -> lane[i] = lane[i] - 1; taken++
        :: else -> break
        od;
        i++
    :: else -> break
    od
}

active proctype shard()
{
    byte i = 0;
    bool nothing;

    do
    :: taken == SENDERS * MESSAGES -> break
    :: else ->
        take_all();
        if
        :: taken == SENDERS * MESSAGES -> break
        :: else -> skip
        fi;
#if BROKEN == 1
        nothing = (lane[0] == 0 && lane[1] == 0);
        asleep = true;
#else
        asleep = true;
        nothing = (lane[0] == 0 && lane[1] == 0);
#endif
        if
        :: nothing -> bell > 0; bell = 0 /* blocks in the kernel until a ring */
        :: else -> skip
        fi;
        asleep = false
    od;
    assert(lane[0] == 0 && lane[1] == 0)
}

active [SENDERS] proctype sender()
{
    byte me = _pid - 1, n = 0;
    bool rings;

    do
    :: n < MESSAGES ->
        n++;
#if BROKEN == 2
        rings = asleep;
        lane[me] = lane[me] + 1;
#else
        lane[me] = lane[me] + 1;
        rings = asleep;
#endif
        if
        :: rings ->
            atomic { rings = asleep; asleep = false }; /* an exchange: one of them rings */
            if
            :: rings -> bell++
            :: else -> skip
            fi
        :: else -> skip
        fi
    :: else -> break
    od
}
