/* A whole training step: a list of both kinds of passes, with tensors, and what its host does. */
#ifndef STEP_H
#define STEP_H

#include <stdbool.h>
#include <stdint.h>

/* A range of memory that the host reads or writes at a stop. */
struct step_access {
    uint32_t stop;
    uint32_t writes; /* 1, or 0: the host reads it */
    uint32_t offset; /* from the image's begin */
    uint32_t bytes;
};

/* Of a region that begins at address 0; words are little-endian. */
struct step_image {
    uint64_t digest;            /* of the configuration that it is for */
    const uint32_t *content;    /* memory before the step; the list comes first */
    const uint32_t *expected;   /* memory after it */
    uint32_t words;             /* of either */
    uint32_t places;            /* that the list takes */
    const uint32_t *addresses;  /* offsets of words that an address of the region is added to */
    uint32_t address_count;
    const struct step_access *accesses; /* of the host, in order */
    uint32_t access_count;
    const uint8_t *accessed;    /* what is read or written, one behind the other */
};

/* Runs the step at an address of memory, by interrupt or by polling, says what was found, and
 * returns whether everything is as it must be. */
bool run_step(const struct step_image *image, uintptr_t place, bool by_interrupt);

#endif
