/* What EEMBC's harness for MLPerf Tiny calls (th_), what it gives (ee_), and how a program says which device. */
#ifndef EIE_MLPERF_TINY_H
#define EIE_MLPERF_TINY_H

#include "eie.h"

/* Before the harness starts: an open device with a loaded file, memory for an input and an output of its first model, and
 * what writes text to the host (a serial port). */
void eie_th_use(eie_device *opened, float *input_memory, float *output_memory, void (*write)(const char *text));

void th_load_tensor(void);
void th_infer(void);
void th_results(void);
void th_final_initialize(void);
void th_pre(void);
void th_post(void);
void th_timestamp_initialize(void);
void th_timestamp(void);
#ifdef __GNUC__
__attribute__((format(printf, 1, 2)))
#endif
void th_printf(const char *format, ...);

size_t ee_get_buffer(uint8_t *buffer, size_t max_len);

#endif
