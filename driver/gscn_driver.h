/* Driver of a GSCN array or machine behind its registers: C11, freestanding, no memory of its own.
 * Which of the two it is for, gscn_registers.h says: that of a machine has GSCN_STOP_OFFSET.
 *
 * The system is reached by hooks alone. The order of calls is gscn_open, then for each list of
 * passes gscn_start and gscn_finish, or gscn_run for an image of `gscn image`. A device is for one
 * caller at a time. docs/contract/registers.md has the registers, docs/contract/integration.md what
 * a list of passes is. */
#ifndef GSCN_DRIVER_H
#define GSCN_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gscn_passes.h"
#include "gscn_registers.h"

/* What the system offers. `read32` and `write32` must be there; others may be NULL. */
struct gscn_hooks {
    void *context; /* handed to each hook */
    uint32_t (*read32)(void *context, uint32_t offset);
    void (*write32)(void *context, uint32_t offset, uint32_t value);
    /* Orders memory and registers: what was written before is seen after it, on both sides. */
    void (*barrier)(void *context);
    /* Caches before memory: write a range back, so that the array sees it; drop a range, so that
     * the processor sees what the array wrote. NULL where the array and the processor see one
     * memory. Ranges begin and end at multiples of 64 bytes; their addresses are those of the bus,
     * memory base included. */
    void (*clean)(void *context, uint64_t address, uint64_t bytes);
    void (*invalidate)(void *context, uint64_t address, uint64_t bytes);
    /* Called again and again while the array is busy: returns when it may be worth looking again,
     * as at an interrupt, and false to give up. NULL looks again at once, without an end. */
    bool (*wait)(void *context);
    /* Of a machine: does what a control record's `stop` asks the host for, in memory. `*anew` is 0,
     * and may be made the address of the record from which on the list begins anew. False leaves
     * the stop without an answer and gives up, as `wait` does. */
    bool (*stop)(void *context, uint32_t number, uint64_t *anew);
};

enum gscn_result {
    GSCN_OK,
    GSCN_NO_DEVICE,           /* register ID is another one */
    GSCN_OTHER_VERSION,       /* the register map is of another major version than this driver */
    GSCN_OTHER_CONFIGURATION, /* it has another digest than was asked for, or is no machine */
    GSCN_ARGUMENT,            /* an address, a size or a hook is not what it must be */
    GSCN_BUSY,                /* the array is busy */
    GSCN_TIMEOUT,             /* a hook gave up, or `stop` is not there; the array may be busy */
    GSCN_FAILED               /* an error ended the list: gscn_outcome says which */
};

/* Sizes of the array, from its registers. */
struct gscn_sizes {
    uint64_t digest; /* of the configuration, as in manifest.json */
    uint32_t clusters, pes, ports;
    uint32_t acc_depth, stationary_depth, directory_depth, chunks_depth;
    uint32_t mem_bytes, burst_beats;
    uint32_t addr_width, bus_addr_width; /* bits of the array's addresses, and of the bus's */
    uint32_t number_formats; /* bit n: a pass may have n as its number_format */
};

struct gscn_device {
    struct gscn_hooks hooks;
    struct gscn_sizes sizes;
    uint64_t memory_base; /* by gscn_set_memory_base */
};

/* How a list ended. */
struct gscn_outcome {
    uint32_t error;          /* of ERROR.code: see gscn_error_text */
    uint32_t error_pass;     /* number in its list of the pass that it is about; all ones: none */
    bool saturated;          /* flags are kept until gscn_clear or an error */
    bool accumulator_overflow;
    bool nonfinite;
    bool bus_write;          /* of a bus error: the burst was a write, */
    uint32_t bus_response;   /* how it was answered (2 SLVERR, 3 DECERR; 0: there was none), */
    uint32_t bus_port;       /* at which memory port, */
    uint64_t bus_address;    /* and where on the bus */
};

/* A range of bytes from where an image begins. */
struct gscn_range {
    uint64_t offset, bytes;
};

/* Passes with their operands and expected results, as `gscn image` writes them; may lie anywhere. */
struct gscn_image {
    uint64_t digest;         /* of the configuration that it is for */
    uint64_t base;           /* for which address its descriptors are */
    const uint8_t *bytes;    /* descriptors, from the first byte on, and operands */
    uint64_t size;
    uint64_t memory_bytes;   /* that it takes in memory, results included */
    uint32_t pass_count;
    uint32_t output_count;
    const struct gscn_range *outputs; /* results, in order; within the image's memory */
    const uint8_t *expected; /* all results, one range behind the other */
};

/* Finds the array, reads its sizes, and clears it. `digest` is that of the expected configuration:
 * GSCN_CONFIG_DIGEST of that which these files were written with, or an image's; 0 for any.
 * Interrupts are off afterwards. */
enum gscn_result gscn_open(struct gscn_device *device, const struct gscn_hooks *hooks,
                           uint64_t digest);

/* Says where on the bus the array's address 0 lies, for the lists that are started from now on: a
 * multiple of 4096, with all of the array's addresses on the bus behind it. All addresses that the
 * other functions take are the array's. It is 0 after gscn_open, and must be 0 on a bus that has
 * no more bits of address than the array. */
enum gscn_result gscn_set_memory_base(struct gscn_device *device, uint64_t base);

/* Ends whatever runs; resets counters, flags, errors and pending interrupts. */
enum gscn_result gscn_clear(struct gscn_device *device);

/* Turns the interrupt on or off: it is raised at the end of a list and at an error. */
void gscn_interrupts(struct gscn_device *device, bool on);

/* Raises the interrupt without a list, and waits for it by hook `wait`, once: GSCN_TIMEOUT if that
 * gives up. To be tried before `wait` is relied on, while nothing runs. */
enum gscn_result gscn_try_interrupt(struct gscn_device *device);

/* Starts a list of `count` descriptors at an address of the array's memory, and returns at once;
 * a machine takes them in order.
 * What the passes read must be in memory (hook `clean`). */
enum gscn_result gscn_start(struct gscn_device *device, uint64_t address, uint32_t count);

#ifdef GSCN_STOP_OFFSET
/* Starts a list of both kinds of passes: `places` of 256 bytes, from the record at `first` on (0: the
 * first one), in two queues or in order. docs/contract/lists.md has the rest. */
enum gscn_result gscn_start_list(struct gscn_device *device, uint64_t address, uint32_t places,
                                 uint64_t first, bool two_queues);
#endif

/* Asks that the list under way be stopped; gscn_finish then has the error ABORTED. */
void gscn_abort(struct gscn_device *device);

/* Waits for the end of what was started, by hook `wait`. After GSCN_TIMEOUT it may be called
 * again. */
enum gscn_result gscn_finish(struct gscn_device *device, struct gscn_outcome *outcome);

/* A performance counter, as numbered in manifest.json. */
uint64_t gscn_counter(struct gscn_device *device, uint16_t index);

/* Adds `operands` to the addresses of operands and tables, and `results` to those of results. */
void gscn_relocate(struct gscn_pass_descriptor *passes, uint32_t count, uint64_t operands,
                   uint64_t results);

/* Copies an image to `memory`, which the array sees at `base` (a multiple of 64), makes its
 * descriptors those of a list there, and clears the room of results. `memory` has the image's
 * `memory_bytes`. */
enum gscn_result gscn_load(const struct gscn_device *device, const struct gscn_image *image,
                           void *memory, uint64_t base);

/* Runs a loaded image: caches, start, end. */
enum gscn_result gscn_run(struct gscn_device *device, const struct gscn_image *image,
                          uint64_t base, struct gscn_outcome *outcome);

/* Compares results in `memory` with the expected ones; returns how many bytes differ, and where
 * the first does in `first`, from the image's begin, if that is not NULL. */
uint64_t gscn_compare(const struct gscn_image *image, const void *memory, uint64_t *first);

const char *gscn_result_text(enum gscn_result result);

/* In gscn_passes.c: what ERROR.code means. */
const char *gscn_error_text(uint32_t code);

#endif
