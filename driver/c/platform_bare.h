/* The platform of a program without an operating system: registers at their addresses, and what the board's support
 * package gives for caches and time.
 *
 *     static uint8_t memory[1 << 20] __attribute__((aligned(64)));
 *     static eie_bare bare = {0x43C00000u, 0x40400000u, memory, clean, invalidate, microseconds};
 *     const eie_platform platform = eie_bare_platform(&bare, sizeof memory, (1u << 26) - 1u);
 *
 * With Xilinx' standalone library, `clean` is Xil_DCacheFlushRange and `invalidate` Xil_DCacheInvalidateRange. */
#ifndef EIE_PLATFORM_BARE_H
#define EIE_PLATFORM_BARE_H

#include "eie.h"

typedef struct {
    uintptr_t array, dma; /* addresses of the registers */
    uint8_t *memory;      /* whose address is the same for processor and DMA */
    void (*clean)(uintptr_t address, size_t bytes);
    void (*invalidate)(uintptr_t address, size_t bytes);
    uint64_t (*microseconds)(void);
} eie_bare;

/* `bare` must stay. */
eie_platform eie_bare_platform(eie_bare *bare, size_t memory_bytes, uint32_t dma_limit);

#endif
