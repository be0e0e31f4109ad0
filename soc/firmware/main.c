/* Runs an image of passes, and on a machine a whole training step, by polling and by interrupt, at
 * two addresses of memory, and the image once without dropping what the data cache holds. Prints
 * what it found; the last line says whether all of it is right. */
#include "gscn_image.h"
#include "mem.h"
#include "platform.h"
#include "step.h"

#ifdef GSCN_STOP_OFFSET
extern const struct step_image step_image;
#endif

/* The second place shares no multiple of more than 64 bytes with the first. */
#define PLACES 2
static const uintptr_t places[PLACES] = {
    MAIN_RAM_BASE,
    MAIN_RAM_BASE + MAIN_RAM_SIZE / 2 + 64,
};

enum { ADLER = 65521, LINE_BYTES = 32, CACHE_BYTES = 4096 };

/* Adler-32 of all results, in order. */
static uint32_t checksum(const struct gscn_image *image, const uint8_t *memory)
{
    uint32_t low = 1, high = 0;
    for (uint32_t n = 0; n < image->output_count; n++) {
        const uint8_t *from = memory + image->outputs[n].offset;
        for (uint64_t at = 0; at < image->outputs[n].bytes; at++) {
            low += from[at];
            low -= low >= ADLER ? ADLER : 0;
            high += low;
            high -= high >= ADLER ? ADLER : 0;
        }
    }
    return high << 16 | low;
}

/* Loads, runs and compares; returns whether everything is as it must be. */
static bool run(const struct gscn_image *image, uintptr_t place, bool by_interrupt)
{
    struct gscn_device device;
    struct gscn_outcome outcome = {0};
    const struct gscn_hooks hooks = platform_hooks(by_interrupt);
    uint8_t *const memory = (uint8_t *)place;

    enum gscn_result result = gscn_open(&device, &hooks, image->digest);
    if (result == GSCN_OK)
        result = gscn_load(&device, image, memory, place);
    if (result != GSCN_OK) {
        put_outcome(result, &outcome);
        return put_verdict(false);
    }
    gscn_interrupts(&device, by_interrupt);
    interrupts_taken();
    const uint64_t begin = cycles_now();
    result = gscn_run(&device, image, place, &outcome);
    const uint64_t end = cycles_now();
    const uint32_t interrupts = interrupts_taken();
    const uint64_t different = gscn_compare(image, memory, NULL);

    put_hexadecimal(place, 8);
    put_text(by_interrupt ? " by interrupt" : " by polling");
    put_field(": cycles ", end - begin);
    put_field(", machine busy ", machine_cycles(&device));
    put_field(", interrupts ", interrupts);
    put_text(", results ");
    put_hexadecimal(checksum(image, memory), 8);
    put_field(", bytes that differ ", different);
    put_outcome(result, &outcome);
    return put_verdict(result == GSCN_OK && !different && interrupts == (by_interrupt ? 1 : 0));
}

/* Shows that the cache must be dropped: results of which it holds old lines are wrong until then.
 */
static bool run_without_invalidate(const struct gscn_image *image, uintptr_t place)
{
    struct gscn_device device;
    struct gscn_outcome outcome = {0};
    struct gscn_hooks hooks = platform_hooks(false);
    uint8_t *const memory = (uint8_t *)place;
    const struct gscn_range *const first = &image->outputs[0];

    hooks.invalidate = NULL;
    enum gscn_result result = gscn_open(&device, &hooks, image->digest);
    if (result == GSCN_OK)
        result = gscn_load(&device, image, memory, place);
    for (uint64_t at = 0; at < first->bytes && at < CACHE_BYTES; at += LINE_BYTES)
        (void)*(volatile uint8_t *)(memory + first->offset + at);
    if (result == GSCN_OK)
        result = gscn_run(&device, image, place, &outcome);
    const uint64_t old = gscn_compare(image, memory, NULL);
    drop_data_cache();
    const uint64_t different = gscn_compare(image, memory, NULL);

    put_hexadecimal(place, 8);
    put_field(" without invalidate: bytes that differ ", old);
    put_field(", after it ", different);
    return put_verdict(result == GSCN_OK && old && !different);
}

int main(void)
{
    bool right = true;
    put_text("configuration ");
    put_hexadecimal(gscn_image.digest, 16);
    put_field(", passes ", gscn_image.pass_count);
    put_field(", bytes ", gscn_image.memory_bytes);
    put_text("\n");
    for (unsigned n = 0; n < PLACES; n++) {
        right &= run(&gscn_image, places[n], false);
        right &= run(&gscn_image, places[n], true);
    }
    right &= run_without_invalidate(&gscn_image, places[0]);
#ifdef GSCN_STOP_OFFSET
    for (unsigned n = 0; n < PLACES; n++) {
        right &= run_step(&step_image, places[n], false);
        right &= run_step(&step_image, places[n], true);
    }
#endif
    put_text("all");
    put_verdict(right);
    put_end();
    return right ? 0 : 1;
}
