/* MLPerf Tiny's interface between EEMBC's harness and a device (the th_ functions that a submitter implements), on the
 * C runtime: one packed model, float inputs, float outputs.
 *
 * The harness (mlcommons/tiny, benchmark/api) has the rest, with the functions ee_: put this file in the place of
 * its submitter_implemented.cpp and link eie.c and a platform. The host sends an input by `db`, `ee_get_buffer` hands it
 * over, `infer` calls th_infer, and th_results answers in the harness's words. */
#include "mlperf_tiny.h"

#include <stdarg.h>
#include <stdio.h>

static eie_device *device;
static const eie_file_model *model;
static float *input, *output;
static void (*send)(const char *text);

enum { LINE_BYTES = 512 };

void eie_th_use(eie_device *opened, float *input_memory, float *output_memory, void (*write)(const char *text))
{
    send = write;
    device = opened;
    model = eie_model(opened, 0);
    input = input_memory;
    output = output_memory;
}

void th_final_initialize(void) {}
void th_pre(void) {}
void th_post(void) {}

/* The harness's buffer holds little-endian float32. */
void th_load_tensor(void)
{
    const size_t wanted = (size_t)model->columns * sizeof *input;
    const size_t got = ee_get_buffer((uint8_t *)input, wanted);

    if (got != wanted)
        th_printf("e-[Expected %lu bytes, received %lu]\r\n", (unsigned long)wanted, (unsigned long)got);
}

void th_infer(void)
{
    if (eie_run(device, 0, input, 1, output) != EIE_OK)
        th_printf("e-[%s]\r\n", eie_message(device));
}

void th_results(void)
{
    uint32_t i;

    th_printf("m-results-[");
    for (i = 0; i < model->rows; i++)
        th_printf(i + 1u < model->rows ? "%0.3f," : "%0.3f", (double)output[i]);
    th_printf("]\r\n");
}

void th_timestamp_initialize(void)
{
    th_printf("m-timestamp-mode-[performance]\r\n");
    th_timestamp();
}

void th_timestamp(void)
{
    const eie_platform *platform = &device->platform;

    th_printf("m-lap-us-%llu\r\n", (unsigned long long)platform->microseconds(platform->context));
}

void th_printf(const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    send(line);
}
