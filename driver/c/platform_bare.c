/* See platform_bare.h. */
#include "platform_bare.h"

/* What a port's register is: an address of the processor's bus. */
static volatile uint32_t *place(const eie_bare *bare, eie_port port, uint32_t offset)
{
    return (volatile uint32_t *)((port == EIE_PORT_ARRAY ? bare->array : bare->dma) + offset);
}

static const eie_bare *of(void *context)
{
    return context;
}

static uint32_t read_register(void *context, eie_port port, uint32_t offset)
{
    return *place(of(context), port, offset);
}

static void write_register(void *context, eie_port port, uint32_t offset, uint32_t value)
{
    *place(of(context), port, offset) = value;
}

static void flush(void *context, size_t offset, size_t bytes)
{
    of(context)->clean((uintptr_t)(of(context)->memory + offset), bytes);
}

static void invalidate(void *context, size_t offset, size_t bytes)
{
    of(context)->invalidate((uintptr_t)(of(context)->memory + offset), bytes);
}

static uint64_t microseconds(void *context)
{
    return of(context)->microseconds();
}

/* Nobody else uses the array: any number will do. */
static uint32_t random_number(void *context)
{
    return (uint32_t)of(context)->microseconds();
}

eie_platform eie_bare_platform(eie_bare *bare, size_t memory_bytes, uint32_t dma_limit)
{
    eie_platform platform = {NULL, read_register, write_register, flush, invalidate, microseconds, random_number,
                             NULL, 0, 0, 0};

    platform.context = bare;
    platform.memory = bare->memory;
    platform.address = (uintptr_t)bare->memory;
    platform.memory_bytes = memory_bytes;
    platform.dma_limit = dma_limit;
    return platform;
}
