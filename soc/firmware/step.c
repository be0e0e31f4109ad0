/* See step.h. The host of a step computes scalars of channels, and the loss, in floating point. Here
 * it plays back what it did when the step was recorded: it demands at each stop that memory has what
 * was read then, and writes what was written then. */
#include "step.h"

#include "platform.h"

#ifdef GSCN_STOP_OFFSET

struct playback {
    const struct step_image *image;
    uint8_t *memory;
    uint32_t stops;
    bool right; /* all that was read is as recorded */
};

/* The driver's hooks have one context, and those of the platform need none. */
static struct playback playback;

static bool play(void *context, uint32_t number, uint64_t *anew)
{
    const struct step_image *const image = playback.image;
    const uint8_t *accessed = image->accessed;
    bool known = false;
    (void)context;
    (void)anew;
    drop_data_cache(); /* what is read, the machine has written */
    for (uint32_t n = 0; n < image->access_count; n++) {
        const struct step_access *const one = &image->accesses[n];
        uint8_t *const place = playback.memory + one->offset;
        for (uint32_t at = 0; one->stop == number && at < one->bytes; at++) {
            known = true;
            if (one->writes)
                place[at] = accessed[at];
            else if (place[at] != accessed[at])
                playback.right = false;
        }
        accessed += one->bytes;
    }
    playback.stops++;
    return known;
}

static void load(const struct step_image *image, uintptr_t place)
{
    uint32_t *const words = (uint32_t *)place;
    for (uint32_t n = 0; n < image->words; n++)
        words[n] = image->content[n];
    for (uint32_t n = 0; n < image->address_count; n++)
        words[image->addresses[n] / sizeof *words] += (uint32_t)place;
}

/* Returns how many words differ, and a checksum of memory as if it began at address 0. */
static uint32_t compare(const struct step_image *image, uintptr_t place, uint64_t *checksum)
{
    uint32_t *const words = (uint32_t *)place;
    uint32_t different = 0, sum = 0, sums = 0;
    for (uint32_t n = 0; n < image->address_count; n++)
        words[image->addresses[n] / sizeof *words] -= (uint32_t)place;
    for (uint32_t n = 0; n < image->words; n++) {
        different += words[n] != image->expected[n];
        sum += words[n];
        sums += sum;
    }
    *checksum = (uint64_t)sums << 32 | sum;
    return different;
}

bool run_step(const struct step_image *image, uintptr_t place, bool by_interrupt)
{
    struct gscn_device device;
    struct gscn_outcome outcome = {0};
    struct gscn_hooks hooks = platform_hooks(by_interrupt);
    uint64_t checksum;

    hooks.stop = play;
    playback = (struct playback){.image = image, .memory = (uint8_t *)place, .right = true};
    enum gscn_result result = gscn_open(&device, &hooks, image->digest);
    load(image, place);
    hooks.clean(NULL, place, 4ull * image->words);
    gscn_interrupts(&device, by_interrupt);
    interrupts_taken();
    const uint64_t begin = cycles_now();
    if (result == GSCN_OK)
        result = gscn_start_list(&device, place, image->places, 0, true);
    if (result == GSCN_OK)
        result = gscn_finish(&device, &outcome);
    const uint64_t end = cycles_now();
    const uint32_t interrupts = interrupts_taken();
    drop_data_cache();
    const uint32_t different = compare(image, place, &checksum);

    put_hexadecimal(place, 8);
    put_text(by_interrupt ? " step by interrupt" : " step by polling");
    put_field(": cycles ", end - begin);
    put_field(", machine busy ", machine_cycles(&device));
    put_field(", interrupts ", interrupts);
    put_field(", stops ", playback.stops);
    put_text(playback.right ? " as recorded" : " unlike those recorded");
    put_text(", memory ");
    put_hexadecimal(checksum, 16);
    put_field(", words that differ ", different);
    put_outcome(result, &outcome);
    return put_verdict(result == GSCN_OK && playback.right && playback.stops && !different &&
                       !interrupts == !by_interrupt);
}

#endif
