/* Driver of a GSCN array behind its registers; see gscn_driver.h. */
#include "gscn_driver.h"

enum { ALIGNMENT = 64, BASE_ALIGNMENT = 4096, VERSION_MAJOR = GSCN_VERSION_RESET >> GSCN_VERSION_MAJOR_SHIFT };

static uint32_t read32(const struct gscn_device *device, uint32_t offset)
{
    return device->hooks.read32(device->hooks.context, offset);
}

static void write32(const struct gscn_device *device, uint32_t offset, uint32_t value)
{
    device->hooks.write32(device->hooks.context, offset, value);
}

/* The lower half first: reading COUNTER_LO keeps the upper half of the same moment. */
static uint64_t read64(const struct gscn_device *device, uint32_t low, uint32_t high)
{
    const uint64_t value = read32(device, low);
    return value | (uint64_t)read32(device, high) << 32;
}

static void barrier(const struct gscn_device *device)
{
    if (device->hooks.barrier)
        device->hooks.barrier(device->hooks.context);
}

static void clean(const struct gscn_device *device, uint64_t address, uint64_t bytes)
{
    if (device->hooks.clean)
        device->hooks.clean(device->hooks.context, device->memory_base + address, bytes);
}

static void invalidate(const struct gscn_device *device, uint64_t address, uint64_t bytes)
{
    if (device->hooks.invalidate)
        device->hooks.invalidate(device->hooks.context, device->memory_base + address, bytes);
}

#define FIELD(value, name) (((value) & GSCN_##name##_MASK) >> GSCN_##name##_SHIFT)

static bool is_busy(const struct gscn_device *device)
{
    return read32(device, GSCN_STATUS_OFFSET) & GSCN_STATUS_BUSY_MASK;
}

#ifdef GSCN_STOP_OFFSET
/* Asks the host for what a stop wants, and lets the list go on. Without a stop, nothing. */
static enum gscn_result answer_stop(const struct gscn_device *device)
{
    const uint32_t number = read32(device, GSCN_STOP_OFFSET);
    uint64_t anew = 0;
    uint32_t command = GSCN_CONTROL_ANSWER_MASK;
    if (!number)
        return GSCN_OK;
    if (!device->hooks.stop)
        return GSCN_TIMEOUT;
    barrier(device);
    if (!device->hooks.stop(device->hooks.context, number, &anew))
        return GSCN_TIMEOUT;
    if (anew) {
        write32(device, GSCN_ANSWER_ADDR_LO_OFFSET, (uint32_t)anew);
        write32(device, GSCN_ANSWER_ADDR_HI_OFFSET, (uint32_t)(anew >> 32));
        command |= GSCN_CONTROL_ANEW_MASK;
    }
    barrier(device);
    write32(device, GSCN_CONTROL_OFFSET, command);
    return GSCN_OK;
}
#endif

/* The end is STATUS.busy = 0 and nothing else. Events are forgotten before STATUS is read, so that
 * one that comes in between is still there for `wait`. */
static enum gscn_result wait_until_idle(const struct gscn_device *device)
{
    for (;;) {
        const uint32_t events = read32(device, GSCN_INTERRUPT_STATUS_OFFSET);
        if (events)
            write32(device, GSCN_INTERRUPT_STATUS_OFFSET, events);
        const uint32_t status = read32(device, GSCN_STATUS_OFFSET);
        if (!(status & GSCN_STATUS_BUSY_MASK))
            break;
#ifdef GSCN_STOP_OFFSET
        if (status & GSCN_STATUS_STOPPED_MASK) {
            const enum gscn_result answered = answer_stop(device);
            if (answered != GSCN_OK)
                return answered;
            continue;
        }
#endif
        if (device->hooks.wait && !device->hooks.wait(device->hooks.context))
            return GSCN_TIMEOUT;
    }
    /* Of the end, if it came between the two reads. */
    const uint32_t late = read32(device, GSCN_INTERRUPT_STATUS_OFFSET);
    if (late)
        write32(device, GSCN_INTERRUPT_STATUS_OFFSET, late);
    return GSCN_OK;
}

static void read_sizes(struct gscn_device *device)
{
    const uint32_t array = read32(device, GSCN_ARRAY_OFFSET);
    const uint32_t window = read32(device, GSCN_ARRAY_WINDOW_OFFSET);
    const uint32_t tile = read32(device, GSCN_ARRAY_TILE_OFFSET);
    const uint32_t memory = read32(device, GSCN_ARRAY_MEMORY_OFFSET);
    const uint32_t formats = read32(device, GSCN_ARRAY_FORMATS_OFFSET);
    struct gscn_sizes *sizes = &device->sizes;
    sizes->digest = read64(device, GSCN_CONFIG_DIGEST_LO_OFFSET, GSCN_CONFIG_DIGEST_HI_OFFSET);
    sizes->clusters = FIELD(array, ARRAY_CLUSTERS);
    sizes->pes = FIELD(array, ARRAY_PES);
    sizes->ports = FIELD(array, ARRAY_PORTS);
    sizes->stationary_depth = FIELD(window, ARRAY_WINDOW_STATIONARY_DEPTH);
    sizes->directory_depth = FIELD(window, ARRAY_WINDOW_DIRECTORY_DEPTH);
    sizes->acc_depth = FIELD(tile, ARRAY_TILE_ACC_DEPTH);
    sizes->chunks_depth = FIELD(tile, ARRAY_TILE_CHUNKS_DEPTH);
    sizes->mem_bytes = FIELD(memory, ARRAY_MEMORY_MEM_BYTES);
    sizes->burst_beats = FIELD(memory, ARRAY_MEMORY_BURST_BEATS);
    sizes->addr_width = FIELD(memory, ARRAY_MEMORY_ADDR_WIDTH);
    sizes->bus_addr_width = FIELD(memory, ARRAY_MEMORY_BUS_ADDR_WIDTH);
    if (!sizes->bus_addr_width) /* before version 3.3 of the map there is no base */
        sizes->bus_addr_width = sizes->addr_width;
    sizes->number_formats = FIELD(formats, ARRAY_FORMATS_NUMBER_FORMATS);
}

/* Whether a range lies below the end of the array's addresses. */
static bool reaches(const struct gscn_device *device, uint64_t address, uint64_t bytes)
{
    const uint64_t last = UINT64_MAX >> (64 - device->sizes.addr_width);
    return address <= last && (bytes == 0 || bytes - 1 <= last - address);
}

enum gscn_result gscn_open(struct gscn_device *device, const struct gscn_hooks *hooks,
                           uint64_t digest)
{
    if (!device || !hooks || !hooks->read32 || !hooks->write32)
        return GSCN_ARGUMENT;
    device->hooks = *hooks;
    if (read32(device, GSCN_ID_OFFSET) != GSCN_ID_RESET)
        return GSCN_NO_DEVICE;
    if (FIELD(read32(device, GSCN_VERSION_OFFSET), VERSION_MAJOR) != VERSION_MAJOR)
        return GSCN_OTHER_VERSION;
    read_sizes(device);
    if (!device->sizes.addr_width || device->sizes.addr_width > device->sizes.bus_addr_width
        || device->sizes.bus_addr_width > 64)
        return GSCN_NO_DEVICE;
    if (digest && digest != device->sizes.digest)
        return GSCN_OTHER_CONFIGURATION;
#ifdef GSCN_STOP_OFFSET
    if (!FIELD(read32(device, GSCN_UNITS_OFFSET), UNITS_ENCODE_UNIT))
        return GSCN_OTHER_CONFIGURATION;
#endif
    gscn_interrupts(device, false);
    const enum gscn_result cleared = gscn_clear(device);
    return cleared == GSCN_OK ? gscn_set_memory_base(device, 0) : cleared;
}

enum gscn_result gscn_set_memory_base(struct gscn_device *device, uint64_t base)
{
    const struct gscn_sizes *sizes = &device->sizes;
    const uint64_t last = (UINT64_MAX >> (64 - sizes->bus_addr_width))
                          - (UINT64_MAX >> (64 - sizes->addr_width));
    if (base > last || base % BASE_ALIGNMENT)
        return GSCN_ARGUMENT;
    if (sizes->bus_addr_width > sizes->addr_width) {
        write32(device, GSCN_MEMORY_BASE_LO_OFFSET, (uint32_t)base);
        write32(device, GSCN_MEMORY_BASE_HI_OFFSET, (uint32_t)(base >> 32));
    }
    device->memory_base = base;
    return GSCN_OK;
}

enum gscn_result gscn_clear(struct gscn_device *device)
{
    write32(device, GSCN_CONTROL_OFFSET, GSCN_CONTROL_CLEAR_MASK);
    return wait_until_idle(device);
}

void gscn_interrupts(struct gscn_device *device, bool on)
{
    uint32_t all = GSCN_INTERRUPT_ENABLE_DONE_MASK | GSCN_INTERRUPT_ENABLE_ERROR_MASK;
#ifdef GSCN_STOP_OFFSET
    all |= GSCN_INTERRUPT_ENABLE_STOP_MASK;
#endif
    write32(device, GSCN_INTERRUPT_ENABLE_OFFSET, on ? all : 0);
}

enum gscn_result gscn_try_interrupt(struct gscn_device *device)
{
    const uint32_t enabled = read32(device, GSCN_INTERRUPT_ENABLE_OFFSET);
    if (!device->hooks.wait)
        return GSCN_ARGUMENT;
    if (is_busy(device))
        return GSCN_BUSY;
    gscn_interrupts(device, true);
    barrier(device);
    write32(device, GSCN_INTERRUPT_TEST_OFFSET, GSCN_INTERRUPT_TEST_DONE_MASK);
    const bool came = device->hooks.wait(device->hooks.context);
    write32(device, GSCN_INTERRUPT_STATUS_OFFSET, GSCN_INTERRUPT_STATUS_DONE_MASK);
    write32(device, GSCN_INTERRUPT_ENABLE_OFFSET, enabled);
    return came ? GSCN_OK : GSCN_TIMEOUT;
}

static enum gscn_result start(struct gscn_device *device, uint64_t address, uint32_t count,
                              uint64_t first, bool two_queues)
{
    const uint64_t bytes = (uint64_t)count * sizeof(struct gscn_pass_descriptor);
    if (!count || address % ALIGNMENT || !reaches(device, address, bytes))
        return GSCN_ARGUMENT;
    if (is_busy(device))
        return GSCN_BUSY;
    write32(device, GSCN_PASSES_ADDR_LO_OFFSET, (uint32_t)address);
    write32(device, GSCN_PASSES_ADDR_HI_OFFSET, (uint32_t)(address >> 32));
    write32(device, GSCN_PASS_COUNT_OFFSET, count);
#ifdef GSCN_STOP_OFFSET
    write32(device, GSCN_LIST_FIRST_LO_OFFSET, (uint32_t)first);
    write32(device, GSCN_LIST_FIRST_HI_OFFSET, (uint32_t)(first >> 32));
    write32(device, GSCN_LIST_ORDER_OFFSET, two_queues ? GSCN_LIST_ORDER_TWO_QUEUES_MASK : 0);
#else
    (void)first;
    (void)two_queues;
#endif
    barrier(device);
    write32(device, GSCN_CONTROL_OFFSET, GSCN_CONTROL_START_MASK);
    return GSCN_OK;
}

enum gscn_result gscn_start(struct gscn_device *device, uint64_t address, uint32_t count)
{
    return start(device, address, count, 0, false);
}

#ifdef GSCN_STOP_OFFSET
enum gscn_result gscn_start_list(struct gscn_device *device, uint64_t address, uint32_t places,
                                 uint64_t first, bool two_queues)
{
    if (first && (first % ALIGNMENT || !reaches(device, first, 1)))
        return GSCN_ARGUMENT;
    return start(device, address, places, first, two_queues);
}
#endif

void gscn_abort(struct gscn_device *device)
{
    write32(device, GSCN_CONTROL_OFFSET, GSCN_CONTROL_ABORT_MASK);
}

enum gscn_result gscn_finish(struct gscn_device *device, struct gscn_outcome *outcome)
{
    const enum gscn_result waited = wait_until_idle(device);
    if (waited != GSCN_OK)
        return waited;
    barrier(device);
    const uint32_t status = read32(device, GSCN_STATUS_OFFSET);
    const uint32_t bus = read32(device, GSCN_BUS_ERROR_OFFSET);
    outcome->error = FIELD(read32(device, GSCN_ERROR_OFFSET), ERROR_CODE);
    outcome->error_pass = read32(device, GSCN_ERROR_PASS_OFFSET);
    outcome->saturated = status & GSCN_STATUS_SATURATED_MASK;
    outcome->accumulator_overflow = status & GSCN_STATUS_ACCUMULATOR_OVERFLOW_MASK;
    outcome->nonfinite = status & GSCN_STATUS_NONFINITE_MASK;
    outcome->bus_write = bus & GSCN_BUS_ERROR_WRITE_MASK;
    outcome->bus_response = FIELD(bus, BUS_ERROR_RESPONSE);
    outcome->bus_port = FIELD(bus, BUS_ERROR_PORT);
    outcome->bus_address =
        read64(device, GSCN_BUS_ERROR_ADDR_LO_OFFSET, GSCN_BUS_ERROR_ADDR_HI_OFFSET);
    return outcome->error == GSCN_ERROR_CODE_NONE ? GSCN_OK : GSCN_FAILED;
}

uint64_t gscn_counter(struct gscn_device *device, uint16_t index)
{
    write32(device, GSCN_COUNTER_SELECT_OFFSET, index);
    return read64(device, GSCN_COUNTER_LO_OFFSET, GSCN_COUNTER_HI_OFFSET);
}

void gscn_relocate(struct gscn_pass_descriptor *passes, uint32_t count, uint64_t operands,
                   uint64_t results)
{
    for (uint32_t n = 0; n < count; n++) {
        passes[n].s_data += operands;
        passes[n].s_table += operands;
        passes[n].t_data += operands;
        passes[n].t_table += operands;
        passes[n].out_addr += results;
        passes[n].out_end += results;
    }
}

/* The language's library need not be there. */
static void copy(uint8_t *to, const uint8_t *from, uint64_t bytes)
{
    for (uint64_t n = 0; n < bytes; n++)
        to[n] = from[n];
}

enum gscn_result gscn_load(const struct gscn_device *device, const struct gscn_image *image,
                           void *memory, uint64_t base)
{
    struct gscn_pass_descriptor one;
    uint8_t *const place = memory;
    if (base % ALIGNMENT || !reaches(device, base, image->memory_bytes))
        return GSCN_ARGUMENT;
    if (image->digest != device->sizes.digest)
        return GSCN_OTHER_CONFIGURATION;
    copy(place, image->bytes, image->size);
    /* Bytes of results that no pass writes are expected to be 0. */
    for (uint64_t n = image->size; n < image->memory_bytes; n++)
        place[n] = 0;
    for (uint32_t n = 0; n < image->pass_count; n++) {
        uint8_t *const at = place + n * sizeof one;
        copy((uint8_t *)&one, at, sizeof one); /* memory may be aligned in no way */
        gscn_relocate(&one, 1, base - image->base, base - image->base);
        copy(at, (const uint8_t *)&one, sizeof one);
    }
    return GSCN_OK;
}

enum gscn_result gscn_run(struct gscn_device *device, const struct gscn_image *image,
                          uint64_t base, struct gscn_outcome *outcome)
{
    /* No line that is written back later may lie over results. */
    clean(device, base, image->memory_bytes);
    invalidate(device, base, image->memory_bytes);
    const enum gscn_result started = gscn_start(device, base, image->pass_count);
    if (started != GSCN_OK)
        return started;
    const enum gscn_result ended = gscn_finish(device, outcome);
    /* Again: a processor may have read ahead meanwhile. */
    if (ended != GSCN_TIMEOUT)
        invalidate(device, base, image->memory_bytes);
    return ended;
}

uint64_t gscn_compare(const struct gscn_image *image, const void *memory, uint64_t *first)
{
    const uint8_t *expected = image->expected;
    uint64_t different = 0;
    for (uint32_t n = 0; n < image->output_count; n++) {
        const struct gscn_range *range = &image->outputs[n];
        const uint8_t *found = (const uint8_t *)memory + range->offset;
        for (uint64_t at = 0; at < range->bytes; at++) {
            if (found[at] == *expected++)
                continue;
            if (!different++ && first)
                *first = range->offset + at;
        }
    }
    return different;
}

const char *gscn_result_text(enum gscn_result result)
{
    switch (result) {
    case GSCN_OK:
        return "no error";
    case GSCN_NO_DEVICE:
        return "there is no GSCN array at these registers";
    case GSCN_OTHER_VERSION:
        return "the register map has another major version than the driver";
    case GSCN_OTHER_CONFIGURATION:
        return "the array has another configuration";
    case GSCN_ARGUMENT:
        return "an address, a size or a hook is not what it must be";
    case GSCN_BUSY:
        return "the array is busy";
    case GSCN_TIMEOUT:
        return "the array did not end in time";
    case GSCN_FAILED:
        return "an error ended the list";
    }
    return "no result of this driver";
}
