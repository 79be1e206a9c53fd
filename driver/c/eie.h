/* EIE from C: runs packed models (`eie pack`) on an EIE array behind an AXI DMA.
 *
 *     static eie_device device;
 *     if (eie_open(&device, &platform, 2000000u) || eie_load(&device, file, bytes) ||
 *         eie_run(&device, 0, x, batch, y))
 *         puts(eie_message(&device));
 *
 * C99, one file (eie.c), no allocation, no stdio, no floating-point library. What a processor and its operating system
 * must give is in `eie_platform`; platform_linux.c and platform_bare.c are two. One thread at a time may use a device.
 * docs/c-runtime.md says the rest. */
#ifndef EIE_H
#define EIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eie_contract.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The kinds of error of the Python driver. `eie_message` names the thing, the value, the limit and the remedy. */
typedef enum {
    EIE_OK = 0,
    EIE_MODEL_FILE_ERROR, /* a packed file that is damaged, hostile, or of another version or array */
    EIE_PACK_ERROR,       /* an argument, or an input, that the model does not take */
    EIE_DEVICE_ERROR      /* the array or its DMA reported an error, is not what it should be, or gave no answer */
} eie_status;

typedef enum { EIE_PORT_ARRAY, EIE_PORT_DMA } eie_port;

/* What the runtime asks of a processor. All functions get `context`; none may fail. */
typedef struct {
    void *context;
    uint32_t (*read)(void *context, eie_port port, uint32_t offset);
    void (*write)(void *context, eie_port port, uint32_t offset, uint32_t value);
    /* Make what the processor wrote to a part of the memory visible to the DMA, and the other way round. */
    void (*flush)(void *context, size_t offset, size_t bytes);
    void (*invalidate)(void *context, size_t offset, size_t bytes);
    uint64_t (*microseconds)(void *context); /* a clock that never goes back */
    uint32_t (*random)(void *context);       /* tells owners of the array apart: of a clock or a chip's number */
    uint8_t *memory;      /* contiguous memory for the DMA, at a multiple of 64 bytes */
    uint64_t address;     /* where the DMA sees it, a multiple of 8 */
    size_t memory_bytes;
    uint32_t dma_limit;   /* bytes of the longest transfer that the DMA was built for: 2**c_sg_length_width - 1 */
} eie_platform;

/* 64-bit counters of the array, and those of all PEs (`eie_read_pe_counters`). */
typedef struct {
    uint64_t cycles, broadcasts, busy, stalled;
} eie_counters;

typedef struct {
    uint32_t work, padding, starved, blocked;
} eie_pe_counters;

/* Buffers to send from are as many as the memory has room for, two to this many: each keeps its program, so that models
 * that take turns write their activations only. */
enum { EIE_MESSAGE_BYTES = 384, EIE_SLOTS = 64 };

/* The program that a buffer holds, and when it was last used. */
typedef struct {
    const eie_file_segment *segment;
    uint32_t batch, used;
} eie_slot;

/* A device; its fields are the runtime's own but for those that are named public. */
typedef struct {
    eie_platform platform;
    uint32_t deadline; /* public: longest wait for a transfer in microseconds, above 0 */
    uint32_t array_error, array_error_index; /* public: the array's code of the last error (0: none), its instruction */
    uint32_t saturated_inputs, saturated_outputs; /* public: of the last run, values at the ends of int16 */

    const uint8_t *file;
    const eie_file_header *header;
    const eie_file_model *models;
    uint32_t loaded; /* which of the models that do not stay is on the array; UINT32_MAX: none */
    uint32_t mark, sent;
    bool open, failed;
    uint32_t slot_count, uses;
    uint32_t most_units;
    size_t reply_at, work_at, work_bytes, slots_at, slot_bytes;
    size_t kept_at; /* weights of the models that do not stay, where there is room for them; 0: nowhere */
    uint32_t words_sent, words_expected;
    uint64_t waits_until; /* the deadline of what was sent; 0: not waited for yet */
    eie_slot slots[EIE_SLOTS];
    char message[EIE_MESSAGE_BYTES];
    size_t message_bytes;
} eie_device;

/* Check that there is an EIE array of the instruction set and registers that this runtime speaks; reset it. */
eie_status eie_open(eie_device *device, const eie_platform *platform, uint32_t deadline_microseconds);

/* Check a packed file and send the weights of the models that stay. The file, at a multiple of 8 bytes, must stay as it is as
 * long as the device is used. A file takes the place of the one before. */
eie_status eie_load(eie_device *device, const void *file, size_t bytes);

/* Run a batch of inputs, shape (batch, columns), in row-major order, to outputs, shape (batch, rows). Floats are
 * quantised as by the Python driver: rounded half to even, saturated; NaN is refused.
 *
 * If the run before failed, or somebody else has used the array meanwhile, it is reset and loaded again first. */
eie_status eie_run(eie_device *device, uint32_t model, const float *x, uint32_t batch, float *y);
eie_status eie_run_raw(eie_device *device, uint32_t model, const int16_t *a, uint32_t batch, int16_t *y);

/* The record of a model of the loaded file, with its columns and rows; NULL if there is none of this number. */
const eie_file_model *eie_model(const eie_device *device, uint32_t model);
/* The number of the model of this name, or UINT32_MAX. */
uint32_t eie_find_model(const eie_device *device, const char *name);

/* Reset the array and its DMA and load again what was loaded. */
eie_status eie_recover(eie_device *device);
/* Stop the DMA. The device may be opened again. */
eie_status eie_close(eie_device *device);

eie_status eie_read_counters(eie_device *device, eie_counters *counters);
eie_status eie_read_pe_counters(eie_device *device, uint32_t pe, eie_pe_counters *counters);
eie_status eie_clear_counters(eie_device *device);

/* What the last error was; empty if there was none. */
const char *eie_message(const eie_device *device);

#ifdef __cplusplus
}
#endif

#endif
