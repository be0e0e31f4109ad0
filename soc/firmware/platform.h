/* What the firmware uses of the system: UART, clock, caches, and the machine behind hooks. */
#ifndef PLATFORM_H
#define PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

#include "gscn_driver.h"

void put_text(const char *text);
void put_decimal(uint64_t value);
void put_hexadecimal(uint64_t value, unsigned digits);

void put_field(const char *name, uint64_t value);

/* Says what went wrong, if anything did. */
void put_outcome(enum gscn_result result, const struct gscn_outcome *outcome);

/* Ends a line with PASS or FAIL; returns whether it is PASS. */
bool put_verdict(bool right);

/* Ends the simulation. */
void put_end(void);

/* Clock cycles since reset. */
uint64_t cycles_now(void);

/* Cycles in which the array was busy since it was cleared; of a machine, the machine. */
uint64_t machine_cycles(struct gscn_device *device);

/* Drops all that the data cache holds. It writes through, so that nothing is lost. */
void drop_data_cache(void);

/* Interrupts that came since the last call. */
uint32_t interrupts_taken(void);

/* The machine's hooks: `wait` by interrupt, or by looking again at once. */
struct gscn_hooks platform_hooks(bool by_interrupt);

#endif
