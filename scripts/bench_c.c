/* The C runtime in the process of scripts/bench_c.py: its platform's functions are Python's, and the time spent in them
 * is taken off. */
#define _POSIX_C_SOURCE 200809L

#include <time.h>

#include "eie.h"

typedef uint32_t (*reader)(uint32_t port, uint32_t offset);
typedef void (*writer)(uint32_t port, uint32_t offset, uint32_t value);
typedef void (*copier)(size_t offset, size_t bytes);

static struct {
    reader read;
    writer write;
    copier flush, invalidate;
} python;
static eie_device device;
static uint64_t outside, clock_cost;

static uint64_t nanoseconds(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void leave(uint64_t began)
{
    outside += nanoseconds() - began + clock_cost;
}

static uint32_t read_register(void *context, eie_port port, uint32_t offset)
{
    const uint64_t began = nanoseconds();
    const uint32_t value = python.read((uint32_t)port, offset);

    (void)context;
    leave(began);
    return value;
}

static void write_register(void *context, eie_port port, uint32_t offset, uint32_t value)
{
    const uint64_t began = nanoseconds();

    (void)context;
    python.write((uint32_t)port, offset, value);
    leave(began);
}

static void flush_memory(void *context, size_t offset, size_t bytes)
{
    const uint64_t began = nanoseconds();

    (void)context;
    python.flush(offset, bytes);
    leave(began);
}

static void invalidate_memory(void *context, size_t offset, size_t bytes)
{
    const uint64_t began = nanoseconds();

    (void)context;
    python.invalidate(offset, bytes);
    leave(began);
}

static uint64_t microseconds(void *context)
{
    (void)context;
    return nanoseconds() / 1000u;
}

static uint32_t random_number(void *context)
{
    (void)context;
    return (uint32_t)nanoseconds();
}

const char *bench_message(void)
{
    return eie_message(&device);
}

int bench_open(reader read, writer write, copier flush, copier invalidate, uint8_t *memory, uint64_t address,
               size_t bytes, uint32_t limit, const void *file, size_t file_bytes)
{
    const eie_platform platform = {NULL,          read_register, write_register, flush_memory, invalidate_memory,
                                   microseconds,  random_number, memory,         address,      bytes,
                                   limit};
    int i;

    clock_cost = UINT64_MAX;
    for (i = 0; i < 1000; i++) {
        const uint64_t began = nanoseconds(), spent = nanoseconds() - began;

        clock_cost = spent < clock_cost ? spent : clock_cost;
    }
    python.read = read;
    python.write = write;
    python.flush = flush;
    python.invalidate = invalidate;
    if (eie_open(&device, &platform, 60000000u) != EIE_OK)
        return 1;
    return eie_load(&device, file, file_bytes) != EIE_OK;
}

/* Nanoseconds of so many runs; 0 after an error. */
uint64_t bench_run(const float *x, uint32_t batch, float *y, uint32_t repeats)
{
    const uint64_t began = nanoseconds();
    uint32_t i;

    outside = 0;
    for (i = 0; i < repeats; i++)
        if (eie_run(&device, 0, x, batch, y) != EIE_OK)
            return 0;
    return nanoseconds() - began - outside;
}
