/* Registers that are variables, and caches that are remembered. */
#include "platform_bare.h"

static uint32_t array[16], dma[16];
static uint8_t memory[256];
static uintptr_t cleaned, invalidated;

static void clean(uintptr_t address, size_t bytes)
{
    cleaned = address + bytes;
}

static void invalidate(uintptr_t address, size_t bytes)
{
    invalidated = address + bytes;
}

static uint64_t microseconds(void)
{
    return 7;
}

int main(void)
{
    static eie_bare bare;
    eie_platform platform;

    bare.array = (uintptr_t)array;
    bare.dma = (uintptr_t)dma;
    bare.memory = memory;
    bare.clean = clean;
    bare.invalidate = invalidate;
    bare.microseconds = microseconds;
    platform = eie_bare_platform(&bare, sizeof memory, 1u << 20);
    array[2] = 5;
    platform.write(platform.context, EIE_PORT_DMA, 12, 9);
    platform.flush(platform.context, 8, 16);
    platform.invalidate(platform.context, 32, 8);
    return !(platform.read(platform.context, EIE_PORT_ARRAY, 8) == 5 && dma[3] == 9 &&
             cleaned == (uintptr_t)memory + 24 && invalidated == (uintptr_t)memory + 40 &&
             platform.microseconds(platform.context) == 7 && platform.memory == memory &&
             platform.address == (uintptr_t)memory);
}
