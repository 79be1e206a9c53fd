/* The platform of a board that runs Linux: registers by UIO or /dev/mem, DMA memory that Linux leaves alone.
 *
 * Memory is either a part of DRAM that the device tree reserves (device "/dev/mem", opened uncached), or a buffer of
 * the module u-dma-buf ("/dev/udmabuf0" with the address in /sys/class/u-dma-buf/udmabuf0/phys_addr). */
#ifndef EIE_PLATFORM_LINUX_H
#define EIE_PLATFORM_LINUX_H

#include "eie.h"

/* A range of a device file. Of /dev/mem, the offset is the physical address; of /dev/uioN and /dev/udmabufN it is 0. */
typedef struct {
    const char *device;
    uint64_t offset;
    size_t bytes;
} eie_linux_range;

typedef struct {
    volatile uint32_t *ports[2];
    size_t port_bytes[2];
    size_t memory_bytes;
    uint8_t *memory;
} eie_linux;

/* Map registers and memory, and describe them as a platform. `address` is where the DMA sees the memory. The mapping is
 * uncached (O_SYNC), so that flushing is a barrier. On failure -1, with errno as the system call left it. */
int eie_linux_open(eie_linux *self, eie_platform *platform, const eie_linux_range *array, const eie_linux_range *dma,
                   const eie_linux_range *memory, uint64_t address, uint32_t dma_limit);
void eie_linux_close(eie_linux *self);

#endif
