/* What the firmware uses of the system: UART, clock, caches, and the machine behind hooks. */
#ifndef PLATFORM_H
#define PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

#include "gscn_driver.h"

void put_text(const char *text);
void put_decimal(uint64_t value);
void put_hexadecimal(uint64_t value, unsigned digits);

/* Ends the simulation. */
void put_end(void);

/* Clock cycles since reset. */
uint64_t cycles_now(void);

/* Drops all that the data cache holds. It writes through, so that nothing is lost. */
void drop_data_cache(void);

/* Interrupts that came since the last call. */
uint32_t interrupts_taken(void);

/* The machine's hooks: `wait` by interrupt, or by looking again at once. */
struct gscn_hooks platform_hooks(bool by_interrupt);

#endif
