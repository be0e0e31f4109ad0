/* See platform.h. Registers are LiteX's, at the addresses in csr.h, mem.h and soc.h. */
#include "platform.h"

#include "csr.h"
#include "mem.h"
#include "soc.h"

enum {
    END_OF_TRANSMISSION = 4,
    INTERRUPT_BIT = 1u << GSCN_INTERRUPT,
    MACHINE_EXTERNAL = 1u << 11, /* in mie */
    MACHINE_ENABLE = 1u << 3     /* in mstatus */
};

/* Turns of a loop. No list here takes as long; a processor that waits for ever tells nobody. */
#define WAIT_TURNS 100000000u

static volatile uint32_t taken;

static uint32_t read_word(uintptr_t address)
{
    return *(volatile uint32_t *)address;
}

static void write_word(uintptr_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

static void put_byte(uint8_t byte)
{
    while (read_word(CSR_UART_TXFULL_ADDR))
        ;
    write_word(CSR_UART_RXTX_ADDR, byte);
}

void put_text(const char *text)
{
    for (; *text; text++)
        put_byte((uint8_t)*text);
}

void put_decimal(uint64_t value)
{
    char text[21];
    char *first = text + sizeof text - 1;
    *first = 0;
    do {
        *--first = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    put_text(first);
}

void put_hexadecimal(uint64_t value, unsigned digits)
{
    put_text("0x");
    while (digits--)
        put_byte((uint8_t)"0123456789abcdef"[value >> 4 * digits & 15]);
}

void put_field(const char *name, uint64_t value)
{
    put_text(name);
    put_decimal(value);
}

void put_outcome(enum gscn_result result, const struct gscn_outcome *outcome)
{
    if (result == GSCN_OK)
        return;
    put_text(", ");
    put_text(gscn_result_text(result));
    put_text(", ");
    put_text(gscn_error_text(outcome->error));
}

bool put_verdict(bool right)
{
    put_text(right ? ": PASS\n" : ": FAIL\n");
    return right;
}

void put_end(void)
{
    put_byte(END_OF_TRANSMISSION);
}

uint64_t cycles_now(void)
{
    write_word(CSR_TIMER0_UPTIME_LATCH_ADDR, 1);
    /* LiteX has the upper word first. */
    const uint64_t upper = read_word(CSR_TIMER0_UPTIME_CYCLES_ADDR);
    return upper << 32 | read_word(CSR_TIMER0_UPTIME_CYCLES_ADDR + 4);
}

uint64_t machine_cycles(struct gscn_device *device)
{
    uint32_t index = device->sizes.clusters * GSCN_COUNTERS_PER_CLUSTER;
#ifdef GSCN_STOP_OFFSET
    index++; /* that of the array comes before */
#endif
    return gscn_counter(device, (uint16_t)index);
}

void drop_data_cache(void)
{
    /* VexRiscv's own instruction. It takes effect also where it only stands behind a jump and is
     * fetched too much: no function before this one may have it so near behind its return. */
    __asm__ volatile("nop; nop; nop; nop; .word 0x500f" ::: "memory");
}

/* The mask of interrupts is a register of VexRiscv's, 0xbc0. */
static void set_mask(uint32_t mask)
{
    __asm__ volatile("csrw 0xbc0, %0" ::"r"(mask) : "memory");
}

/* The interrupt stays high until the driver has cleared its cause, which it does when `wait` has
 * returned: until then it is masked. */
__attribute__((interrupt("machine"), aligned(4))) void on_interrupt(void)
{
    set_mask(0);
    taken++;
}

uint32_t interrupts_taken(void)
{
    const uint32_t count = taken;
    taken = 0;
    return count;
}

static uint32_t hook_read32(void *context, uint32_t offset)
{
    (void)context;
    return read_word(GSCN_BASE + offset);
}

static void hook_write32(void *context, uint32_t offset, uint32_t value)
{
    (void)context;
    write_word(GSCN_BASE + offset, value);
}

/* One bus has both memory and registers, and the processor's accesses to it are in order; the
 * compiler's need not be. */
static void hook_barrier(void *context)
{
    (void)context;
    __asm__ volatile("fence" ::: "memory");
}

/* The cache writes through: only what is under way must arrive. */
static void hook_clean(void *context, uint64_t address, uint64_t bytes)
{
    (void)address;
    (void)bytes;
    hook_barrier(context);
}

/* The processor has no instruction for a range. */
static void hook_invalidate(void *context, uint64_t address, uint64_t bytes)
{
    (void)context;
    (void)address;
    (void)bytes;
    drop_data_cache();
}

static bool hook_wait(void *context)
{
    const uint32_t before = taken;
    (void)context;
    set_mask(INTERRUPT_BIT);
    /* Nothing is on the bus meanwhile: code and `taken` are in the caches. */
    for (uint32_t turns = 0; turns < WAIT_TURNS; turns++)
        if (taken != before)
            return true;
    return false;
}

struct gscn_hooks platform_hooks(bool by_interrupt)
{
    __asm__ volatile("csrs mie, %0" ::"r"(MACHINE_EXTERNAL));
    __asm__ volatile("csrs mstatus, %0" ::"r"(MACHINE_ENABLE));
    return (struct gscn_hooks){
        .read32 = hook_read32,
        .write32 = hook_write32,
        .barrier = hook_barrier,
        .clean = hook_clean,
        .invalidate = hook_invalidate,
        .wait = by_interrupt ? hook_wait : NULL,
    };
}

/* What a compiler makes of assignments of structures. */
void *memcpy(void *to, const void *from, size_t bytes)
{
    uint8_t *const target = to;
    const uint8_t *const source = from;
    for (size_t n = 0; n < bytes; n++)
        target[n] = source[n];
    return to;
}

void *memset(void *to, int value, size_t bytes)
{
    uint8_t *const target = to;
    for (size_t n = 0; n < bytes; n++)
        target[n] = (uint8_t)value;
    return to;
}
