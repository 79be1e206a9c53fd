/* The C runtime at the end of a pipe: a test, or a benchmark, gives commands, and is the processor's registers and the
 * DMA's memory meanwhile (tests/driver/c/bridge.py). So one program runs on any processor, simulated ones included,
 * against the same virtual board. Arguments: bytes of DMA memory, its address, the DMA's longest transfer. */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "eie.h"
#include "mlperf_tiny.h"

/* Nanoseconds spent in the platform's functions, and what looking at the clock adds to each outside of them. */
static uint64_t outside, clock_cost;

static uint64_t nanoseconds(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void measure_clock(void)
{
    int i;

    clock_cost = UINT64_MAX;
    for (i = 0; i < 1000; i++) {
        const uint64_t began = nanoseconds(), spent = nanoseconds() - began;

        clock_cost = spent < clock_cost ? spent : clock_cost;
    }
}

static void get(void *data, size_t bytes)
{
    if (bytes != 0u && fread(data, 1, bytes, stdin) != bytes)
        exit(3);
}

static uint32_t get_number(void)
{
    uint32_t value;

    get(&value, sizeof value);
    return value;
}

static void put(const void *data, size_t bytes)
{
    if (bytes != 0u && fwrite(data, 1, bytes, stdout) != bytes)
        exit(4);
}

static void request(char kind, uint32_t first, uint32_t second, uint32_t third)
{
    const uint32_t numbers[3] = {first, second, third};

    put(&kind, 1);
    put(numbers, sizeof numbers);
}

static uint32_t read_register(void *context, eie_port port, uint32_t offset)
{
    const uint64_t began = nanoseconds();
    uint32_t value;

    (void)context;
    request('R', (uint32_t)port, offset, 0);
    (void)fflush(stdout);
    value = get_number();
    outside += nanoseconds() - began + clock_cost;
    return value;
}

static void write_register(void *context, eie_port port, uint32_t offset, uint32_t value)
{
    const uint64_t began = nanoseconds();

    (void)context;
    request('W', (uint32_t)port, offset, value);
    outside += nanoseconds() - began + clock_cost;
}

static void flush_memory(void *context, size_t offset, size_t bytes)
{
    const uint64_t began = nanoseconds();
    const eie_platform *platform = context;

    request('F', (uint32_t)offset, (uint32_t)bytes, 0);
    put(platform->memory + offset, bytes);
    outside += nanoseconds() - began + clock_cost;
}

static void invalidate_memory(void *context, size_t offset, size_t bytes)
{
    const uint64_t began = nanoseconds();
    const eie_platform *platform = context;

    request('I', (uint32_t)offset, (uint32_t)bytes, 0);
    (void)fflush(stdout);
    get(platform->memory + offset, bytes);
    outside += nanoseconds() - began + clock_cost;
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

static void done(const eie_device *device, eie_status status, const void *data, size_t bytes)
{
    const char *message = eie_message(device);
    const uint32_t length = (uint32_t)strlen(message);

    request('D', (uint32_t)status, length, (uint32_t)bytes);
    put(message, length);
    put(data, bytes);
    (void)fflush(stdout);
}

/* Memory of exactly that size, so that a sanitizer sees what goes beyond. */
static void *allocate(size_t bytes)
{
    void *memory = malloc(bytes != 0u ? bytes : 1u);

    if (memory == NULL)
        exit(5);
    return memory;
}

static void run(eie_device *device, bool raw)
{
    const uint32_t model = get_number(), batch = get_number(), columns = get_number(), rows = get_number();
    const uint32_t repeats = get_number();
    const size_t size = raw ? sizeof(int16_t) : sizeof(float);
    void *x = allocate((size_t)batch * columns * size), *y = allocate((size_t)batch * rows * size);
    eie_status status = EIE_OK;
    uint64_t began, inside[2];
    uint32_t i;

    get(x, (size_t)batch * columns * size);
    outside = 0;
    began = nanoseconds();
    for (i = 0; status == EIE_OK && i < repeats; i++)
        status = raw ? eie_run_raw(device, model, x, batch, y) : eie_run(device, model, x, batch, y);
    inside[0] = nanoseconds() - began - outside;
    inside[1] = outside;
    if (repeats > 1u)
        done(device, status, inside, sizeof inside);
    else
        done(device, status, y, status == EIE_OK ? (size_t)batch * rows * size : 0u);
    free(x);
    free(y);
}

static void *load(eie_device *device, void *before)
{
    const uint32_t bytes = get_number();
    void *file = allocate(bytes);

    get(file, bytes);
    done(device, eie_load(device, file, bytes), NULL, 0);
    free(before); /* the device has forgotten it */
    return file;
}

static void state(const eie_device *device)
{
    const uint32_t numbers[4] = {device->array_error, device->array_error_index, device->saturated_inputs,
                                 device->saturated_outputs};

    done(device, EIE_OK, numbers, sizeof numbers);
}

static void model(const eie_device *device)
{
    char name[256] = "";
    uint32_t numbers[3] = {UINT32_MAX, 0, 0};
    const uint32_t length = get_number();

    get(name, length < sizeof name ? length : sizeof name - 1u);
    numbers[0] = eie_find_model(device, name);
    if (eie_model(device, numbers[0]) != NULL) {
        numbers[1] = eie_model(device, numbers[0])->columns;
        numbers[2] = eie_model(device, numbers[0])->rows;
    }
    done(device, EIE_OK, numbers, sizeof numbers);
}

static void counters(eie_device *device)
{
    eie_counters whole = {0, 0, 0, 0};

    done(device, eie_read_counters(device, &whole), &whole, sizeof whole);
}

static void pe_counters(eie_device *device)
{
    eie_pe_counters one = {0, 0, 0, 0};
    const uint32_t pe = get_number();

    done(device, eie_read_pe_counters(device, pe, &one), &one, sizeof one);
}

/* The part of EEMBC's harness: its buffer is what `db` has brought, and its serial port the message. */

static char serial[4096];

static void write_serial(const char *text)
{
    (void)strncat(serial, text, sizeof serial - strlen(serial) - 1u);
}

size_t ee_get_buffer(uint8_t *buffer, size_t max_len)
{
    get(buffer, max_len);
    return max_len;
}

static void tiny(eie_device *device)
{
    const eie_file_model *first = eie_model(device, 0);
    float *input = allocate(first->columns * sizeof *input), *output = allocate(first->rows * sizeof *output);

    serial[0] = '\0';
    eie_th_use(device, input, output, write_serial);
    th_final_initialize();
    th_timestamp_initialize();
    th_load_tensor();
    th_pre();
    th_infer();
    th_post();
    th_timestamp();
    th_results();
    done(device, EIE_OK, serial, strlen(serial));
    free(input);
    free(output);
}

int main(int count, char **arguments)
{
    static eie_device device;
    eie_platform platform = {NULL, read_register, write_register, flush_memory, invalidate_memory, microseconds,
                             random_number, NULL, 0, 0, 0};
    void *memory, *file = NULL;
    int command;

    if (count != 4)
        return 2;
    measure_clock();
    platform.memory_bytes = (size_t)strtoull(arguments[1], NULL, 0);
    platform.address = strtoull(arguments[2], NULL, 0);
    platform.dma_limit = (uint32_t)strtoull(arguments[3], NULL, 0);
    if (posix_memalign(&memory, 64, platform.memory_bytes) != 0)
        return 5;
    (void)memset(memory, 0x5A, platform.memory_bytes);
    platform.memory = memory;
    platform.context = &platform;
    while ((command = getchar()) != EOF) {
        switch (command) {
        case 'o': done(&device, eie_open(&device, &platform, get_number()), NULL, 0); break;
        case 'l': file = load(&device, file); break;
        case 'x': run(&device, false); break;
        case 'r': run(&device, true); break;
        case 't': tiny(&device); break;
        case 's': state(&device); break;
        case 'm': model(&device); break;
        case 'c': counters(&device); break;
        case 'p': pe_counters(&device); break;
        case 'k': done(&device, eie_clear_counters(&device), NULL, 0); break;
        case 'v': done(&device, eie_recover(&device), NULL, 0); break;
        case 'd': device.deadline = get_number(); done(&device, EIE_OK, NULL, 0); break;
        case 'q': done(&device, eie_close(&device), NULL, 0); break;
        default: return 6;
        }
    }
    free(file);
    free(memory);
    return 0;
}
