/* Freed memory of large messages stays with the process for the next ones. No Python objects. */
#ifndef ELIO_HEAP_H
#define ELIO_HEAP_H

#include <stdlib.h>

#define ELIO_LARGE_BLOCK (128 * 1024)
#define ELIO_LARGEST_KEPT (8 * 1024 * 1024)

/* The C library of Linux gives a block of 128 KiB and more back to the system when it is freed, and the next message of
 * that size costs a page fault for every 4 KiB: on virtual machines more than all else that is done with the message.
 * It stops doing so for blocks up to the size of one that was freed (mallopt(3), M_MMAP_THRESHOLD), so the first large
 * message frees one that is larger than most, and was never touched. Settings of the environment stay in force. */
static inline void elio_prime_heap(size_t size)
{
    static int primed = 0;
    if (size < ELIO_LARGE_BLOCK || primed)
        return;
    primed = 1;
    void *volatile block = malloc(ELIO_LARGEST_KEPT);
    free(block);
}

#endif
