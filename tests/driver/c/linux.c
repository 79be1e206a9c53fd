/* Opens a device by files that stand for /dev/mem: arguments are the file, and where array, DMA and memory lie in it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform_linux.h"

int main(int count, char **arguments)
{
    static eie_linux board;
    static eie_device device;
    eie_platform platform;
    eie_linux_range ranges[3];
    eie_status status;
    int i;

    if (count != 5)
        return 2;
    for (i = 0; i < 3; i++) {
        ranges[i].device = arguments[1];
        ranges[i].offset = strtoull(arguments[2 + i], NULL, 0);
        ranges[i].bytes = 0x10000;
    }
    if (eie_linux_open(&board, &platform, &ranges[0], &ranges[1], &ranges[2], ranges[2].offset, 0x3FFFFFFu) != 0) {
        (void)fprintf(stderr, "%s\n", strerror(errno));
        return 1;
    }
    (void)printf("0x%08lx\n", (unsigned long)platform.read(platform.context, EIE_PORT_ARRAY, EIE_REGISTER_HASH));
    (void)memcpy(platform.memory, "here", 4);
    platform.flush(platform.context, 0, 4);
    /* Nothing resets the DMA here: its bit stays. */
    status = eie_open(&device, &platform, 20000);
    (void)printf("%d: %s\n", (int)status, eie_message(&device));
    eie_linux_close(&board);
    return 0;
}
