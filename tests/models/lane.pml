/* SPDX-License-Identifier: MIT */
/* The lane of src/shard/lane.h: marks instead of an index, batches that become visible by the mark
 * of their first message, numbers that wrap, and a sender that waits for room and sleeps (mesh.h).
 * Every interleaving of one sender and one receiver.
 *
 * Shown: messages arrive in order, none is lost, doubled or read half-written; both ends come to
 * their end, so no wake for room is lost.
 *
 * -DBROKEN=1: the mark is written before the payload; 2: the receiver does not offer room; 3: the
 * sender sleeps without a second look. All must be found to fail. */
#ifndef BROKEN
#define BROKEN 0
#endif
#define CELLS    4
#define WRAP     16 /* numbers are modulo this; more than twice the cells */
#define MESSAGES 12 /* past the wrap, from FIRST on */
#define FIRST    9

byte mark[CELLS];
byte payload[CELLS];
byte head = FIRST; /* of the receiver, as far as it was published */
bool wants_room = false, asleep = false;
byte bell = 0;

#define NUMBER(n) (((n) + FIRST) % WRAP)
#define CELL(n)   (((n) + FIRST) % CELLS)

inline wait_for_room()
{
    wants_room = true;
#if BROKEN != 3
    if
    :: (NUMBER(tail) + WRAP - head) % WRAP < CELLS -> skip /* a second look */
    :: else ->
        asleep = true;
        if
        :: wants_room -> bell > 0; bell = 0
        :: else -> skip
        fi;
        asleep = false
    fi
#else
    asleep = true;
    bell > 0;
    bell = 0;
    asleep = false
#endif
}

active proctype sender()
{
    byte tail = 0, published = 0, seen = FIRST, batch;

    do
    :: tail < MESSAGES ->
        if
        :: batch = 1
        :: batch = 2
        fi;
        do
        :: batch > 0 && tail < MESSAGES ->
            if
            :: (NUMBER(tail) + WRAP - seen) % WRAP == CELLS -> seen = head
            :: else -> skip
            fi;
            if
            :: (NUMBER(tail) + WRAP - seen) % WRAP == CELLS -> break /* full */
            :: else -> skip
            fi;
#if BROKEN == 1
            mark[CELL(tail)] = NUMBER(tail) + 1;
#endif
            payload[CELL(tail)] = 255; /* half-written */
            payload[CELL(tail)] = tail;
            if
            :: tail != published -> mark[CELL(tail)] = NUMBER(tail) + 1
            :: else -> skip
            fi;
            tail++;
            batch--
        :: else -> break
        od;
        if
        :: tail != published -> mark[CELL(published)] = NUMBER(published) + 1; published = tail
        :: else -> skip
        fi;
        if
        :: batch > 0 && tail < MESSAGES -> wait_for_room()
        :: else -> skip
        fi
    :: else -> break
    od
}

active proctype receiver()
{
    byte at = 0, first;
    bool rings;

    do
    :: at < MESSAGES ->
        mark[CELL(at)] == NUMBER(at) + 1; /* sleeps and is woken: sleep.pml */
        first = at;
        do
        :: at < MESSAGES && at - first < CELLS && mark[CELL(at)] == NUMBER(at) + 1 ->
            assert(payload[CELL(at)] == at);
            at++
        :: else -> break
        od;
        if
        :: at != first -> head = NUMBER(at)
        :: else -> skip
        fi;
#if BROKEN != 2
        if
        :: 2 * (at - first) >= CELLS && wants_room ->
            wants_room = false;
            atomic { rings = asleep; asleep = false };
            if
            :: rings -> bell++
            :: else -> skip
            fi
        :: else -> skip
        fi
#endif
    :: else -> break
    od
}
