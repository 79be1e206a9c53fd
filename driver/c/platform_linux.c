/* See platform_linux.h. */
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64

#include "platform_linux.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static uint32_t read_register(void *context, eie_port port, uint32_t offset)
{
    const eie_linux *self = context;

    return self->ports[port][offset / sizeof(uint32_t)];
}

static void write_register(void *context, eie_port port, uint32_t offset, uint32_t value)
{
    const eie_linux *self = context;

    self->ports[port][offset / sizeof(uint32_t)] = value;
}

/* The memory is not cached: what was written before is to be there before what is written next. */
static void order(void *context, size_t offset, size_t bytes)
{
    (void)context;
    (void)offset;
    (void)bytes;
    __sync_synchronize();
}

static uint64_t nanoseconds(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t microseconds(void *context)
{
    (void)context;
    return nanoseconds() / 1000u;
}

/* It tells processes apart that take turns on an array: the clock and the process do. */
static uint32_t random_number(void *context)
{
    (void)context;
    return (uint32_t)nanoseconds() ^ ((uint32_t)getpid() << 16);
}

static void *map(const eie_linux_range *range)
{
    const int file = open(range->device, O_RDWR | O_SYNC | O_CLOEXEC);
    void *place;

    if (file < 0)
        return MAP_FAILED;
    place = mmap(NULL, range->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, (off_t)range->offset);
    (void)close(file); /* the mapping stays */
    return place;
}

int eie_linux_open(eie_linux *self, eie_platform *platform, const eie_linux_range *array, const eie_linux_range *dma,
                   const eie_linux_range *memory, uint64_t address, uint32_t dma_limit)
{
    const eie_linux_range *ranges[3];
    void *places[3];
    size_t i;

    ranges[EIE_PORT_ARRAY] = array;
    ranges[EIE_PORT_DMA] = dma;
    ranges[2] = memory;
    (void)memset(self, 0, sizeof *self);
    for (i = 0; i < 3u; i++) {
        places[i] = map(ranges[i]);
        if (places[i] == MAP_FAILED) {
            while (i-- > 0u)
                (void)munmap(places[i], ranges[i]->bytes);
            return -1;
        }
    }
    for (i = 0; i < 2u; i++) {
        self->ports[i] = (volatile uint32_t *)places[i];
        self->port_bytes[i] = ranges[i]->bytes;
    }
    self->memory = (uint8_t *)places[2];
    self->memory_bytes = memory->bytes;
    platform->context = self;
    platform->read = read_register;
    platform->write = write_register;
    platform->flush = order;
    platform->invalidate = order;
    platform->microseconds = microseconds;
    platform->random = random_number;
    platform->memory = self->memory;
    platform->address = address;
    platform->memory_bytes = memory->bytes;
    platform->dma_limit = dma_limit;
    return 0;
}

void eie_linux_close(eie_linux *self)
{
    size_t i;

    for (i = 0; i < 2u; i++) {
        union {
            volatile uint32_t *port;
            void *place;
        } mapped;

        mapped.port = self->ports[i];
        if (mapped.place != NULL)
            (void)munmap(mapped.place, self->port_bytes[i]);
    }
    if (self->memory != NULL)
        (void)munmap(self->memory, self->memory_bytes);
    (void)memset(self, 0, sizeof *self);
}
