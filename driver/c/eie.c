/* EIE from C; see eie.h. From the top: public functions, runs, transfers, the DMA, packed file, fixed point, text. */
#include "eie.h"

#include <float.h>
#include <string.h>

#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
#error "eie.c rounds by float additions: compile it for an FPU whose floats are floats (x86: -msse2 -mfpmath=sse)"
#endif
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "packed files and the array's words are little-endian, and this processor is not"
#endif

#define NONE UINT32_MAX
#define UNTOUCHED UINT64_C(0x9E3779B97F4A7C15) /* in a reply that has not come */
#define LOOKS 10                               /* at the count of instructions before a difference is believed */
#define LAST_WORDS_POLLS 100                   /* for words that are still in the DMA when the array has stopped */
#define ALIGNMENT ((size_t)64)
#define MOST_WORDS (UINT32_C(1) << 24)

/* Where a run's activations come from and go to: floats or, where those are NULL, int16. */
typedef struct {
    const float *x;
    const int16_t *a;
    float *y;
    int16_t *b;
    float scale, unscale; /* 2**input fraction bits, 2**-output fraction bits */
} eie_data;

static eie_status reset(eie_device *device);
static eie_status load_weights(eie_device *device);
static eie_status send_program(eie_device *device, const eie_file_model *model);
static eie_status make_ready(eie_device *device, uint32_t model);
static eie_status run(eie_device *device, uint32_t model, const eie_data *data, uint32_t batch);
static eie_status run_segments(eie_device *device, const eie_file_model *model, const eie_data *data, uint32_t batch);
static eie_status run_segment(eie_device *device, const eie_file_segment *segment, const eie_data *data,
                              uint32_t batch);
static eie_status fill(eie_device *device, const eie_file_segment *segment, const eie_data *data, uint32_t batch,
                       uint32_t index);
static eie_status collect(eie_device *device, const eie_file_segment *segment, const eie_data *data, uint32_t batch);
static void start(eie_device *device, size_t offset, size_t bytes, size_t reply_bytes);
static eie_status finish(eie_device *device);
static eie_status settle(eie_device *device);
static eie_status account(eie_device *device, uint32_t instructions);
static eie_status diagnose(eie_device *device, const char *what);
static eie_status check_file(eie_device *device, const uint8_t *file, size_t bytes);
static eie_status lay_out(eie_device *device);
static size_t kept_at(const eie_device *device, const eie_file_model *model);
static bool quantise(const float *x, uint32_t count, float scale, int16_t *out, uint32_t *saturated);
static bool saturate(const float *x, uint32_t count, float scale, int16_t *out, uint32_t *saturated);
static uint32_t dequantise(const int16_t *a, const uint32_t *places, uint32_t count, float scale, float *out);
static uint32_t at_the_ends(const int16_t *values, uint32_t count);
static float power_of_two(int32_t exponent);
static void say(eie_device *device, const char *text);
static void say_number(eie_device *device, uint64_t value);
static void say_hex(eie_device *device, uint32_t value);

static void begin_message(eie_device *device)
{
    device->message_bytes = 0;
    device->message[0] = '\0';
}

static eie_status fail(eie_device *device, eie_status status)
{
    device->failed = device->failed || status == EIE_DEVICE_ERROR;
    if (status == EIE_OK)
        begin_message(device);
    return status;
}

static eie_status error(eie_device *device, eie_status status, const char *text)
{
    begin_message(device);
    say(device, text);
    return fail(device, status);
}

static uint32_t read_array(const eie_device *device, uint32_t offset)
{
    return device->platform.read(device->platform.context, EIE_PORT_ARRAY, offset);
}

static void write_array(const eie_device *device, uint32_t offset, uint32_t value)
{
    device->platform.write(device->platform.context, EIE_PORT_ARRAY, offset, value);
}

static uint32_t read_dma(const eie_device *device, uint32_t offset)
{
    return device->platform.read(device->platform.context, EIE_PORT_DMA, offset);
}

static void write_dma(const eie_device *device, uint32_t offset, uint32_t value)
{
    device->platform.write(device->platform.context, EIE_PORT_DMA, offset, value);
}

static uint64_t now(const eie_device *device)
{
    return device->platform.microseconds(device->platform.context);
}

static size_t words_for(uint32_t activations)
{
    return ((size_t)activations + EIE_ACTIVATIONS_PER_WORD - 1u) / EIE_ACTIVATIONS_PER_WORD;
}

static uint32_t error_code(uint32_t status)
{
    return status >> EIE_STATUS_ERROR_SHIFT & 0xFFu;
}

/* Public functions. */

eie_status eie_open(eie_device *device, const eie_platform *platform, uint32_t deadline_microseconds)
{
    uint32_t identity, version;

    (void)memset(device, 0, sizeof *device);
    device->platform = *platform;
    device->deadline = deadline_microseconds;
    device->loaded = NONE;
    if (deadline_microseconds == 0u)
        return error(device, EIE_DEVICE_ERROR, "deadline is 0; it must be a number of microseconds above 0");
    if (platform->memory == NULL || (uintptr_t)platform->memory % ALIGNMENT != 0u ||
        platform->address % EIE_WORD_BYTES != 0u)
        return error(device, EIE_DEVICE_ERROR,
                     "the platform's memory must lie at a multiple of 64 bytes, for the DMA at a multiple of 8");
    identity = read_array(device, EIE_REGISTER_IDENTITY);
    if (identity != EIE_IDENTITY) {
        begin_message(device);
        say(device, "identity register reads ");
        say_hex(device, identity);
        say(device, ", not ");
        say_hex(device, EIE_IDENTITY);
        say(device, ": this is not an EIE array");
        return fail(device, EIE_DEVICE_ERROR);
    }
    version = read_array(device, EIE_REGISTER_VERSION);
    if (version != EIE_ARRAY_VERSION) {
        begin_message(device);
        say(device, "the array has version ");
        say_hex(device, version);
        say(device, " (instruction set, registers), this runtime speaks ");
        say_hex(device, EIE_ARRAY_VERSION);
        say(device, ": rebuild the overlay, or use the runtime of the version that it was built with");
        return fail(device, EIE_DEVICE_ERROR);
    }
    device->open = true;
    return fail(device, reset(device));
}

eie_status eie_load(eie_device *device, const void *file, size_t bytes)
{
    eie_status status;

    if (!device->open)
        return error(device, EIE_DEVICE_ERROR, "the device is not open; call eie_open");
    device->header = NULL;
    status = check_file(device, file, bytes);
    if (status == EIE_OK)
        status = lay_out(device);
    if (status != EIE_OK) {
        device->header = NULL;
        return fail(device, status);
    }
    return eie_recover(device);
}

eie_status eie_run(eie_device *device, uint32_t model, const float *x, uint32_t batch, float *y)
{
    const eie_file_model *record = eie_model(device, model);
    eie_data data = {x, NULL, y, NULL, 1.0f, 1.0f};

    if (record != NULL) {
        data.scale = power_of_two((int32_t)record->input_fraction_bits);
        data.unscale = power_of_two(-(int32_t)record->output_fraction_bits);
    }
    return run(device, model, &data, batch);
}

eie_status eie_run_raw(eie_device *device, uint32_t model, const int16_t *a, uint32_t batch, int16_t *y)
{
    const eie_data data = {NULL, a, NULL, y, 1.0f, 1.0f};

    return run(device, model, &data, batch);
}

const eie_file_model *eie_model(const eie_device *device, uint32_t model)
{
    return device->header != NULL && model < device->header->models ? &device->models[model] : NULL;
}

uint32_t eie_find_model(const eie_device *device, const char *name)
{
    const size_t bytes = strlen(name);
    uint32_t i;

    for (i = 0; eie_model(device, i) != NULL; i++)
        if (device->models[i].name_bytes == bytes && memcmp(device->file + device->models[i].name_at, name, bytes) == 0)
            return i;
    return NONE;
}

eie_status eie_recover(eie_device *device)
{
    eie_status status;

    if (!device->open)
        return error(device, EIE_DEVICE_ERROR, "the device is not open; call eie_open");
    if (read_array(device, EIE_REGISTER_IDENTITY) != EIE_IDENTITY ||
        (device->header != NULL && read_array(device, EIE_REGISTER_HASH) != device->header->build_hash))
        return error(device, EIE_DEVICE_ERROR,
                     "the array is no longer the one that was opened: another overlay was loaded; open it again");
    status = reset(device);
    if (status == EIE_OK)
        status = load_weights(device);
    return fail(device, status);
}

eie_status eie_close(eie_device *device)
{
    if (!device->open)
        return EIE_OK;
    device->open = false;
    device->header = NULL;
    write_dma(device, EIE_DMA_SEND + EIE_DMA_CONTROL, EIE_DMA_RESET);
    return EIE_OK;
}

static uint64_t read_wide(const eie_device *device, uint32_t low_offset, uint32_t high_offset)
{
    uint32_t high = read_array(device, high_offset), low, again;

    for (;;) {
        low = read_array(device, low_offset);
        again = read_array(device, high_offset);
        if (again == high)
            return (uint64_t)high << 32 | low;
        high = again; /* it has counted over meanwhile */
    }
}

eie_status eie_read_counters(eie_device *device, eie_counters *counters)
{
    if (!device->open)
        return error(device, EIE_DEVICE_ERROR, "the device is not open; call eie_open");
    counters->cycles = read_wide(device, EIE_REGISTER_CYCLES_LOW, EIE_REGISTER_CYCLES_HIGH);
    counters->broadcasts = read_wide(device, EIE_REGISTER_BROADCASTS_LOW, EIE_REGISTER_BROADCASTS_HIGH);
    counters->busy = read_wide(device, EIE_REGISTER_BUSY_LOW, EIE_REGISTER_BUSY_HIGH);
    counters->stalled = read_wide(device, EIE_REGISTER_STALLED_LOW, EIE_REGISTER_STALLED_HIGH);
    return EIE_OK;
}

eie_status eie_read_pe_counters(eie_device *device, uint32_t pe, eie_pe_counters *counters)
{
    const uint32_t base = EIE_COUNTERS_BASE + pe * EIE_COUNTERS_STRIDE;

    if (!device->open)
        return error(device, EIE_DEVICE_ERROR, "the device is not open; call eie_open");
    if (pe >= read_array(device, EIE_REGISTER_NUM_PES))
        return error(device, EIE_PACK_ERROR, "there is no such PE; the register num_pes tells how many there are");
    counters->work = read_array(device, base + EIE_COUNTER_WORK);
    counters->padding = read_array(device, base + EIE_COUNTER_PADDING);
    counters->starved = read_array(device, base + EIE_COUNTER_STARVED);
    counters->blocked = read_array(device, base + EIE_COUNTER_BLOCKED);
    return EIE_OK;
}

eie_status eie_clear_counters(eie_device *device)
{
    if (!device->open)
        return error(device, EIE_DEVICE_ERROR, "the device is not open; call eie_open");
    write_array(device, EIE_REGISTER_CONTROL, EIE_CONTROL_CLEAR_COUNTERS);
    return EIE_OK;
}

const char *eie_message(const eie_device *device)
{
    return device->message;
}

/* Whose array it is: the register "owner" tells one that has loaded it from another. */

static void take_ownership(eie_device *device)
{
    device->mark = EIE_OWNER_MARK | device->platform.random(device->platform.context);
    write_array(device, EIE_REGISTER_OWNER, device->mark);
}

static void note_load(eie_device *device)
{
    device->mark = (device->mark & ~EIE_OWNER_GENERATIONS) | ((device->mark + 1u) & EIE_OWNER_GENERATIONS);
    write_array(device, EIE_REGISTER_OWNER, device->mark);
}

static bool owns(const eie_device *device)
{
    return read_array(device, EIE_REGISTER_OWNER) == device->mark;
}

/* Runs. */

static const eie_file_segment *segments_of(const eie_device *device, const eie_file_model *model)
{
    return (const eie_file_segment *)(const void *)(device->file + model->segments_at);
}

static uint32_t step_of(const eie_device *device, const eie_file_segment *segment, uint32_t batch)
{
    const uint32_t most = segment->most_units < device->most_units ? segment->most_units : device->most_units;
    const uint32_t units = (batch - 1u) / segment->inferences + 1u;
    const uint32_t transfers = (units - 1u) / most + 1u;

    /* All transfers alike, where that is possible: a buffer keeps its program for the next one of the same size. */
    return ((units - 1u) / transfers + 1u) * segment->inferences;
}

static eie_status run(eie_device *device, uint32_t model, const eie_data *data, uint32_t batch)
{
    const eie_file_model *record = eie_model(device, model);
    eie_status status;

    device->array_error = 0;
    device->saturated_inputs = device->saturated_outputs = 0;
    if (record == NULL) {
        begin_message(device);
        say(device, "there is no model ");
        say_number(device, model);
        say(device, "; the loaded file has ");
        say_number(device, device->header != NULL ? device->header->models : 0u);
        say(device, ": load one with eie_load");
        return EIE_PACK_ERROR;
    }
    if (batch == 0u)
        return EIE_OK;
    if ((data->x == NULL && data->a == NULL) || (data->y == NULL && data->b == NULL))
        return error(device, EIE_PACK_ERROR, "inputs or outputs are NULL; give memory for a batch of them");
    status = make_ready(device, model);
    if (status == EIE_OK)
        status = record->segments == 1u ? run_segment(device, segments_of(device, record), data, batch)
                                        : run_segments(device, record, data, batch);
    if (status == EIE_OK && !owns(device))
        status = error(device, EIE_DEVICE_ERROR,
                       "somebody else has taken the array in mid-run; run again to take it back");
    return fail(device, status);
}

/* See to it that the model is on the array. */
static eie_status make_ready(eie_device *device, uint32_t model)
{
    eie_status status = EIE_OK;

    if (device->failed || !owns(device))
        status = eie_recover(device);
    if (status == EIE_OK && device->models[model].stays == 0u && device->loaded != model) {
        device->loaded = NONE;
        status = send_program(device, &device->models[model]);
        if (status == EIE_OK)
            device->loaded = model;
    }
    return status;
}

static void advance(eie_data *data, size_t columns, size_t rows)
{
    if (data->x != NULL)
        data->x += columns;
    else
        data->a += columns;
    if (data->y != NULL)
        data->y += rows;
    else
        data->b += rows;
}

/* Run several segments; activations between them lie in the work area, as many inferences as it holds at a time. */
static eie_status run_segments(eie_device *device, const eie_file_model *model, const eie_data *data, uint32_t batch)
{
    const eie_file_segment *segments = segments_of(device, model);
    uint8_t *work = device->platform.memory + device->work_at;
    eie_data rest = *data;
    eie_status status = EIE_OK;
    uint32_t left = batch, i;

    while (status == EIE_OK && left > 0u) {
        const uint32_t step = left < device->most_units ? left : device->most_units;

        for (i = 0; status == EIE_OK && i < model->segments; i++) {
            const uint32_t inputs = device->saturated_inputs, outputs = device->saturated_outputs;
            eie_data part = rest;

            if (i > 0u) {
                part.x = NULL;
                part.a = (const int16_t *)(const void *)(work + (i % 2u) * device->work_bytes);
            }
            if (i + 1u < model->segments) {
                part.y = NULL;
                part.b = (int16_t *)(void *)(work + ((i + 1u) % 2u) * device->work_bytes);
            }
            status = run_segment(device, &segments[i], &part, step);
            /* Of a run, what comes in first and goes out last is counted. */
            device->saturated_inputs = i > 0u ? inputs : device->saturated_inputs;
            device->saturated_outputs = i + 1u < model->segments ? outputs : device->saturated_outputs;
        }
        advance(&rest, (size_t)step * model->columns, (size_t)step * model->rows);
        left -= step;
    }
    return status;
}

/* The program of so many inferences, from 1 to those of the largest unit. */
static const eie_file_unit *unit_of(const eie_device *device, const eie_file_segment *segment, uint32_t inferences)
{
    return (const eie_file_unit *)(const void *)(device->file + segment->units_at) + (inferences - 1u);
}

static uint32_t largest_unit_words(const eie_device *device, const eie_file_segment *segment)
{
    return unit_of(device, segment, segment->inferences)->words;
}

static size_t words_of(const eie_device *device, const eie_file_segment *segment, uint32_t batch)
{
    const uint32_t units = batch / segment->inferences, rest = batch % segment->inferences;

    return (size_t)units * largest_unit_words(device, segment) +
           (rest != 0u ? unit_of(device, segment, rest)->words : 0u);
}

/* The buffer for a batch that is not `busy`: one that holds its program, or else the one longest unused. */
static uint32_t choose_slot(eie_device *device, const eie_file_segment *segment, uint32_t batch, uint32_t busy)
{
    uint32_t i, oldest = NONE;

    for (i = 0; i < device->slot_count; i++) {
        const eie_slot *slot = &device->slots[i];

        if (i == busy)
            continue;
        if (slot->segment == segment && slot->batch == batch)
            return i;
        if (oldest == NONE || device->uses - slot->used > device->uses - device->slots[oldest].used)
            oldest = i;
    }
    return oldest;
}

/* Run a batch in transfers; while the array works on one, the next is filled. */
static eie_status run_segment(eie_device *device, const eie_file_segment *segment, const eie_data *data,
                              uint32_t batch)
{
    const uint32_t step = step_of(device, segment, batch);
    eie_data filling = *data, collecting = *data;
    uint32_t left = batch, under_way = 0, busy = NONE;
    eie_status status = EIE_OK;

    while (status == EIE_OK && left > 0u) {
        const uint32_t size = left < step ? left : step;
        const uint32_t slot = choose_slot(device, segment, size, busy);

        status = fill(device, segment, &filling, size, slot);
        if (status != EIE_OK)
            device->failed = device->failed || under_way != 0u; /* what is under way is in nobody's hands */
        else if (under_way != 0u)
            status = collect(device, segment, &collecting, under_way);
        if (status == EIE_OK) {
            advance(&filling, (size_t)size * segment->columns, (size_t)size * segment->rows);
            advance(&collecting, (size_t)under_way * segment->columns, (size_t)under_way * segment->rows);
            start(device, device->slots_at + slot * device->slot_bytes,
                  words_of(device, segment, size) * EIE_WORD_BYTES,
                  (size_t)size * segment->output_words * EIE_WORD_BYTES);
            under_way = size;
            busy = slot;
        }
        left -= size;
    }
    return status == EIE_OK ? collect(device, segment, &collecting, under_way) : status;
}

/* Transfers. */

static void flush(const eie_device *device, size_t offset, size_t bytes)
{
    device->platform.flush(device->platform.context, offset, bytes);
}

static void invalidate_reply(const eie_device *device)
{
    device->platform.invalidate(device->platform.context, device->reply_at,
                                (size_t)device->words_expected * EIE_WORD_BYTES);
}

/* Write what is the same for every batch of this size: all but the activations. */
static void write_program(const eie_device *device, const eie_file_segment *segment, uint32_t batch, uint64_t *words)
{
    uint64_t *at = words;
    uint32_t left = batch;

    while (left > 0u) {
        const uint32_t together = left < segment->inferences ? left : segment->inferences;
        const eie_file_unit *unit = unit_of(device, segment, together);

        (void)memcpy(at, device->file + unit->words_at, (size_t)unit->words * EIE_WORD_BYTES);
        left -= together;
        /* The packet to the host ends with the last inference. */
        if (left == 0u)
            at[unit->last_read] |= UINT64_C(1) << EIE_READ_LAST_BIT;
        at += unit->words;
    }
}

/* Write the activations of a unit's inferences, of which the first has a number in the batch; flush them if asked. */
static bool write_activations(eie_device *device, const eie_file_segment *segment, const eie_data *data,
                              uint32_t first, const eie_file_unit *unit, size_t offset, bool flushing)
{
    const eie_file_input *inputs = (const eie_file_input *)(const void *)(device->file + unit->inputs_at);
    uint64_t *words = (uint64_t *)(void *)(device->platform.memory + offset);
    bool fits = true;
    uint32_t i;

    for (i = 0; fits && i < unit->inputs; i++) {
        const eie_file_input *input = &inputs[i];
        const size_t from = ((size_t)first + input->inference) * segment->columns + input->first;
        int16_t *to = (int16_t *)(void *)(words + input->word);

        if (data->x != NULL) {
            fits = quantise(data->x + from, input->count, data->scale, to, &device->saturated_inputs);
        } else {
            (void)memcpy(to, data->a + from, (size_t)input->count * sizeof *to);
            device->saturated_inputs += at_the_ends(to, input->count);
        }
        if (flushing)
            flush(device, offset + (size_t)input->word * EIE_WORD_BYTES, words_for(input->count) * EIE_WORD_BYTES);
    }
    return fits;
}

/* Fill a buffer. */
static eie_status fill(eie_device *device, const eie_file_segment *segment, const eie_data *data, uint32_t batch,
                       uint32_t index)
{
    const size_t offset = device->slots_at + index * device->slot_bytes;
    uint64_t *words = (uint64_t *)(void *)(device->platform.memory + offset);
    eie_slot *slot = &device->slots[index];
    const bool known = slot->segment == segment && slot->batch == batch;
    const bool whole = !known || largest_unit_words(device, segment) <= EIE_SHORT_UNIT_WORDS;
    size_t at = offset;
    uint32_t first, together;

    slot->segment = NULL;
    slot->used = ++device->uses;
    if (!known)
        write_program(device, segment, batch, words);
    for (first = 0; first < batch; first += together) {
        const eie_file_unit *unit;

        together = batch - first < segment->inferences ? batch - first : segment->inferences;
        unit = unit_of(device, segment, together);
        if (!write_activations(device, segment, data, first, unit, at, !whole))
            return error(device, EIE_PACK_ERROR, "activations hold NaN; an int16 has no value for it");
        at += (size_t)unit->words * EIE_WORD_BYTES;
    }
    if (whole)
        flush(device, offset, words_of(device, segment, batch) * EIE_WORD_BYTES);
    slot->segment = segment;
    slot->batch = batch;
    return EIE_OK;
}

static eie_status collect(eie_device *device, const eie_file_segment *segment, const eie_data *data, uint32_t batch)
{
    const uint32_t *places = (const uint32_t *)(const void *)(device->file + segment->places_at);
    const int16_t *reply = (const int16_t *)(const void *)(device->platform.memory + device->reply_at);
    const uint32_t units = batch / segment->inferences, rest = batch % segment->inferences;
    const uint32_t instructions = units * unit_of(device, segment, segment->inferences)->instructions +
                                  (rest != 0u ? unit_of(device, segment, rest)->instructions : 0u);
    eie_status status = finish(device);
    uint32_t i, j;

    if (status == EIE_OK)
        status = account(device, instructions);
    for (i = 0; status == EIE_OK && i < batch; i++) {
        const int16_t *from = reply + (size_t)i * segment->output_words * EIE_ACTIVATIONS_PER_WORD;

        if (data->y != NULL) {
            device->saturated_outputs +=
                dequantise(from, places, segment->rows, data->unscale, data->y + (size_t)i * segment->rows);
        } else {
            int16_t *to = data->b + (size_t)i * segment->rows;

            for (j = 0; j < segment->rows; j++)
                to[j] = from[places[j]];
            device->saturated_outputs += at_the_ends(to, segment->rows);
        }
    }
    return status;
}

static void forget_programs(eie_device *device)
{
    uint32_t i;

    for (i = 0; i < EIE_SLOTS; i++)
        device->slots[i].segment = NULL;
}

/* Send a program that gives nothing back, and wait for its end. */
static eie_status send_program(eie_device *device, const eie_file_model *model)
{
    const size_t bytes = (size_t)model->weights_words * EIE_WORD_BYTES;
    size_t at = 0;
    eie_status status;

    if (bytes == 0u)
        return EIE_OK;
    note_load(device); /* before its weights go: another that has the same idea of the array must see it */
    if (model->stays == 0u && device->kept_at != 0u) {
        at = kept_at(device, model);
    } else {
        forget_programs(device);
        (void)memcpy(device->platform.memory, device->file + model->weights_at, bytes);
        flush(device, 0, bytes);
    }
    start(device, at, bytes, 0);
    status = finish(device);
    if (status == EIE_OK && error_code(read_array(device, EIE_REGISTER_STATUS)) != 0u)
        status = diagnose(device, "the array has stopped");
    return status == EIE_OK ? account(device, model->weights_instructions) : status;
}

static eie_status load_weights(eie_device *device)
{
    eie_status status = EIE_OK;
    uint32_t i;

    device->loaded = NONE;
    if (device->header == NULL)
        return EIE_OK;
    for (i = 0; status == EIE_OK && i < device->header->models; i++)
        if (device->models[i].stays != 0u)
            status = send_program(device, &device->models[i]);
    return status;
}

/* Compare what the device has executed with what was sent: a lost tail, or another's program, is no answer. */
static eie_status account(eie_device *device, uint32_t instructions)
{
    uint32_t executed = 0, look;

    device->sent += instructions;
    for (look = 0; look < LOOKS; look++) { /* what has left the DMA may still be on its way */
        executed = read_array(device, EIE_REGISTER_INSTRUCTIONS);
        if (executed == device->sent)
            return EIE_OK;
    }
    begin_message(device);
    say(device, "the array has executed ");
    say_number(device, executed);
    say(device, " instructions since its reset, ");
    say_number(device, device->sent);
    say(device, " were sent: a part of a transfer was lost, or somebody else uses the array; what is on it is sent "
                "again with the next run");
    return EIE_DEVICE_ERROR;
}

/* The DMA. */

static eie_status wait_for(eie_device *device, uint32_t offset, uint32_t bit, const char *failure)
{
    const uint64_t end = now(device) + device->deadline;

    while ((read_dma(device, offset) & bit) != 0u) {
        if (now(device) > end) {
            begin_message(device);
            say(device, failure);
            say(device, " (waited ");
            say_number(device, device->deadline);
            say(device, " us)");
            return EIE_DEVICE_ERROR;
        }
    }
    return EIE_OK;
}

static eie_status reset(eie_device *device)
{
    eie_status status;

    forget_programs(device);
    device->loaded = NONE;
    /* The DMA first: nothing may still flow into the array when it begins anew. */
    write_dma(device, EIE_DMA_SEND + EIE_DMA_CONTROL, EIE_DMA_RESET);
    status = wait_for(device, EIE_DMA_SEND + EIE_DMA_CONTROL, EIE_DMA_RESET,
                      "the reset of the DMA does not end: load the overlay again, or restart the board");
    if (status != EIE_OK)
        return status;
    write_array(device, EIE_REGISTER_CONTROL, EIE_CONTROL_SOFT_RESET);
    write_dma(device, EIE_DMA_SEND + EIE_DMA_CONTROL, EIE_DMA_RUN);
    write_dma(device, EIE_DMA_RECEIVE + EIE_DMA_CONTROL, EIE_DMA_RUN);
    status = wait_for(device, EIE_DMA_SEND + EIE_DMA_STATUS, EIE_DMA_HALTED,
                      "the DMA does not start: load the overlay again");
    if (status == EIE_OK)
        status = wait_for(device, EIE_DMA_RECEIVE + EIE_DMA_STATUS, EIE_DMA_HALTED,
                          "the DMA does not start: load the overlay again");
    device->sent = 0;
    device->failed = status != EIE_OK;
    take_ownership(device);
    return status;
}

static void start_channel(eie_device *device, uint32_t channel, size_t offset, size_t bytes)
{
    const uint64_t address = device->platform.address + offset;

    write_dma(device, channel + EIE_DMA_ADDRESS, (uint32_t)(address & UINT32_MAX));
    write_dma(device, channel + EIE_DMA_ADDRESS_HIGH, (uint32_t)(address >> 32));
    write_dma(device, channel + EIE_DMA_LENGTH, (uint32_t)bytes);
}

/* Start sending what was flushed, after making the DMA ready for its reply. */
static void start(eie_device *device, size_t offset, size_t bytes, size_t reply_bytes)
{
    uint64_t *reply = (uint64_t *)(void *)(device->platform.memory + device->reply_at);
    size_t i;

    device->waits_until = 0;
    device->words_sent = (uint32_t)(bytes / EIE_WORD_BYTES);
    device->words_expected = (uint32_t)(reply_bytes / EIE_WORD_BYTES);
    if (reply_bytes != 0u) {
        for (i = 0; i < device->words_expected; i++)
            reply[i] = UNTOUCHED;
        /* Also so that no line of it is written back over what the DMA writes. */
        flush(device, device->reply_at, reply_bytes);
        start_channel(device, EIE_DMA_RECEIVE, device->reply_at, reply_bytes);
    }
    start_channel(device, EIE_DMA_SEND, offset, bytes);
}

static uint32_t dma_errors(void)
{
    uint32_t errors = EIE_DMA_HALTED;
#define ADD_BIT(bit, text) errors |= (bit);
    EIE_DMA_ERRORS(ADD_BIT)
#undef ADD_BIT
    return errors;
}

static bool is_idle(const eie_device *device, uint32_t channel)
{
    return (read_dma(device, channel + EIE_DMA_STATUS) & EIE_DMA_IDLE) != 0u;
}

static bool comes_yet(const eie_device *device)
{
    uint32_t poll;

    for (poll = 0; poll < LAST_WORDS_POLLS; poll++)
        if (is_idle(device, EIE_DMA_RECEIVE))
            return true;
    return false;
}

/* Look whether all is sent and received; an error if DMA or array have stopped. */
static eie_status look(eie_device *device, bool *finished)
{
    const uint32_t send = read_dma(device, EIE_DMA_SEND + EIE_DMA_STATUS);
    const bool expects = device->words_expected != 0u;
    const uint32_t receive = expects ? read_dma(device, EIE_DMA_RECEIVE + EIE_DMA_STATUS) : 0u;
    uint32_t status;

    *finished = false;
    if (((send | receive) & dma_errors()) != 0u)
        return diagnose(device, "the DMA has stopped");
    if ((send & EIE_DMA_IDLE) == 0u)
        return EIE_OK;
    if (expects && (receive & EIE_DMA_IDLE) != 0u) {
        *finished = true;
        return EIE_OK;
    }
    status = read_array(device, EIE_REGISTER_STATUS);
    if ((status & EIE_STATUS_IDLE) == 0u)
        return EIE_OK;
    if (!expects)
        *finished = true;
    else if (error_code(status) != 0u && !comes_yet(device))
        return diagnose(device, "the array has stopped");
    return EIE_OK;
}

static eie_status late(eie_device *device, const char *before)
{
    begin_message(device);
    say(device, before);
    say_number(device, device->deadline);
    say(device, " us");
    return diagnose(device, "");
}

/* Tell whether the deadline of what was sent is over; it begins when something is not there at the first look. */
static bool is_late(eie_device *device)
{
    const uint64_t time = now(device);

    if (device->waits_until == 0u)
        device->waits_until = time + device->deadline;
    return time > device->waits_until;
}

/* Wait for what was sent and for its reply. */
static eie_status finish(eie_device *device)
{
    uint32_t last_looks = LAST_WORDS_POLLS;
    bool finished = false;
    eie_status status = look(device, &finished);

    while (status == EIE_OK && !finished) {
        /* The process may have been stopped while all came: some last looks. */
        if (is_late(device) && last_looks-- == 0u)
            return late(device, "no end after ");
        status = look(device, &finished);
    }
    if (status != EIE_OK || device->words_expected == 0u)
        return status;
    invalidate_reply(device);
    if (read_dma(device, EIE_DMA_RECEIVE + EIE_DMA_LENGTH) != device->words_expected * EIE_WORD_BYTES)
        return diagnose(device, "the reply is too short");
    return settle(device);
}

/* Wait until the array is idle after its reply; what it still has would be taken for the next reply. */
static eie_status settle(eie_device *device)
{
    bool over = false;

    for (;;) {
        const uint32_t status = read_array(device, EIE_REGISTER_STATUS);

        if (error_code(status) != 0u)
            return diagnose(device, "the array has stopped");
        if ((status & EIE_STATUS_IDLE) != 0u)
            return EIE_OK;
        if (over)
            return late(device, "the array is not idle after ");
        over = is_late(device); /* one more look: the process may have been stopped */
    }
}

/* What happened. */

static void say_reason(eie_device *device, uint32_t status)
{
    bool any = false;
#define SAY(bit, text)                     \
    if ((status & (bit)) != 0u) {          \
        say(device, any ? " and " : "");   \
        say(device, text);                 \
        any = true;                        \
    }
    EIE_DMA_ERRORS(SAY)
#undef SAY
    if (!any)
        say(device, "halted without an error: something else has reset or stopped the DMA");
}

static void say_reply(eie_device *device)
{
    const uint32_t status = read_dma(device, EIE_DMA_RECEIVE + EIE_DMA_STATUS);
    const uint64_t *reply = (const uint64_t *)(const void *)(device->platform.memory + device->reply_at);
    uint32_t count = device->words_expected;

    invalidate_reply(device);
    while (count > 0u && reply[count - 1u] == UNTOUCHED)
        count--;
    say(device, "; received ");
    say_number(device, count);
    say(device, " of ");
    say_number(device, device->words_expected);
    say(device, " words");
    if ((status & dma_errors()) != 0u) {
        say(device, ", receive channel: ");
        say_reason(device, status);
    } else if ((status & EIE_DMA_IDLE) == 0u) {
        say(device, ", no TLAST");
    } else if (count != device->words_expected) {
        say(device, ", TLAST too early");
    }
}

static void say_array_error(eie_device *device, uint32_t code)
{
    const char *name = "unknown error code", *text = "";

    switch (code) {
#define CASE(error_name, error_code, error_text) \
    case error_code:                             \
        name = #error_name;                      \
        text = error_text;                       \
        break;
        EIE_ARRAY_ERRORS(CASE)
#undef CASE
    default:
        break;
    }
    device->array_error = code;
    device->array_error_index = read_array(device, EIE_REGISTER_ERROR_INDEX);
    say(device, "; IP error ");
    say(device, name);
    say(device, " at instruction ");
    say_number(device, device->array_error_index);
    say(device, ": ");
    say(device, text);
}

/* Say in one sentence what the state of both DMA channels and of the array is. */
static eie_status diagnose(eie_device *device, const char *what)
{
    const uint32_t send = read_dma(device, EIE_DMA_SEND + EIE_DMA_STATUS);
    uint32_t status;

    if (*what != '\0')
        begin_message(device); /* else it has begun */
    say(device, what);
    if ((send & dma_errors()) != 0u) {
        say(device, "; send channel: ");
        say_reason(device, send);
    } else {
        say(device, (send & EIE_DMA_IDLE) != 0u ? "; sent " : "; ");
        say_number(device, device->words_sent);
        say(device, (send & EIE_DMA_IDLE) != 0u ? " words" : " words not all sent");
    }
    if (device->words_expected != 0u)
        say_reply(device);
    status = read_array(device, EIE_REGISTER_STATUS);
    if (error_code(status) != 0u) {
        say_array_error(device, error_code(status));
    } else {
        say(device, (status & EIE_STATUS_IDLE) != 0u ? "; no IP error, idle after " : "; no IP error, busy after ");
        say_number(device, read_array(device, EIE_REGISTER_INSTRUCTIONS));
        say(device, " instructions");
    }
    return EIE_DEVICE_ERROR;
}

/* The packed file: nothing of it is used before it is checked. */

static uint32_t checksum(const uint8_t *data, size_t bytes)
{
    uint32_t table[16], crc = UINT32_MAX, i, bit;
    size_t at;

    for (i = 0; i < 16u; i++) {
        table[i] = i;
        for (bit = 0; bit < 4u; bit++)
            table[i] = (table[i] >> 1) ^ ((table[i] & 1u) != 0u ? UINT32_C(0xEDB88320) : 0u);
    }
    for (at = 0; at < bytes; at++) {
        crc = (crc >> 4) ^ table[(crc ^ data[at]) & 15u];
        crc = (crc >> 4) ^ table[(crc ^ ((uint32_t)data[at] >> 4)) & 15u];
    }
    return ~crc;
}

/* Tell whether `count` things of `size` bytes at an offset lie in the file, aligned. */
static bool holds(const eie_file_header *header, uint32_t at, uint32_t count, size_t size)
{
    return at % EIE_WORD_BYTES == 0u && at <= header->bytes && (uint64_t)count * size <= (uint64_t)(header->bytes - at);
}

/* Tell whether the unit of so many inferences lies in the file, and its inputs in it. */
static bool is_unit_sound(const uint8_t *file, const eie_file_header *header, const eie_file_segment *segment,
                          const eie_file_unit *unit, uint32_t inferences)
{
    const eie_file_input *inputs = (const eie_file_input *)(const void *)(file + unit->inputs_at);
    uint32_t i;

    if (!holds(header, unit->words_at, unit->words, EIE_WORD_BYTES) || unit->last_read >= unit->words ||
        !holds(header, unit->inputs_at, unit->inputs, sizeof *inputs))
        return false;
    for (i = 0; i < unit->inputs; i++)
        if (inputs[i].inference >= inferences ||
            (uint64_t)inputs[i].first + inputs[i].count > segment->columns ||
            inputs[i].word + (uint64_t)words_for(inputs[i].count) > unit->words)
            return false;
    return true;
}

static bool is_segment_sound(const uint8_t *file, const eie_file_header *header, const eie_file_segment *segment)
{
    const uint64_t outputs = (uint64_t)segment->output_words * EIE_ACTIVATIONS_PER_WORD;
    const eie_file_unit *units;
    const uint32_t *places;
    uint32_t i;

    /* The last three so that no size of a transfer exceeds 64 bits. */
    if (segment->rows == 0u || segment->columns == 0u || segment->rows > outputs ||
        !holds(header, segment->units_at, segment->inferences, sizeof *units) ||
        !holds(header, segment->places_at, segment->rows, sizeof *places) ||
        segment->inferences - 1u > UINT8_MAX || segment->output_words > MOST_WORDS ||
        segment->most_units - 1u > MOST_WORDS)
        return false;
    units = (const eie_file_unit *)(const void *)(file + segment->units_at);
    places = (const uint32_t *)(const void *)(file + segment->places_at);
    for (i = 0; i < segment->rows; i++)
        if (places[i] >= outputs)
            return false;
    /* The memory is laid out for the last unit: no other may be longer. */
    for (i = 0; i < segment->inferences; i++)
        if (!is_unit_sound(file, header, segment, &units[i], i + 1u) ||
            units[i].words > units[segment->inferences - 1u].words)
            return false;
    return true;
}

static bool is_model_sound(const uint8_t *file, const eie_file_header *header, const eie_file_model *model)
{
    const int64_t in = (int32_t)model->input_fraction_bits, out = (int32_t)model->output_fraction_bits;
    const eie_file_segment *segments;
    uint32_t i, columns = model->columns;

    if (!holds(header, model->name_at, model->name_bytes, 1) || model->segments == 0u ||
        !holds(header, model->weights_at, model->weights_words, EIE_WORD_BYTES) ||
        !holds(header, model->segments_at, model->segments, sizeof *segments) || in < EIE_FRACTION_BITS_MIN ||
        in > EIE_FRACTION_BITS_MAX || out < EIE_FRACTION_BITS_MIN || out > EIE_FRACTION_BITS_MAX)
        return false;
    segments = (const eie_file_segment *)(const void *)(file + model->segments_at);
    for (i = 0; i < model->segments; i++) {
        if (segments[i].columns != columns || !is_segment_sound(file, header, &segments[i]))
            return false;
        columns = segments[i].rows;
    }
    return columns == model->rows;
}

static eie_status file_error(eie_device *device, const char *what, uint32_t value, const char *limit, uint32_t allowed,
                             const char *remedy)
{
    begin_message(device);
    say(device, what);
    say_hex(device, value);
    say(device, limit);
    say_hex(device, allowed);
    say(device, remedy);
    return EIE_MODEL_FILE_ERROR;
}

static eie_status check_file(eie_device *device, const uint8_t *file, size_t bytes)
{
    const eie_file_header *header = (const eie_file_header *)(const void *)file;
    const eie_file_model *models;
    size_t after;
    uint32_t i, found;

    if (file == NULL || (uintptr_t)file % EIE_WORD_BYTES != 0u)
        return error(device, EIE_MODEL_FILE_ERROR, "the packed file must lie in memory at a multiple of 8 bytes");
    if (bytes < sizeof *header || header->magic != EIE_FILE_MAGIC)
        return error(device, EIE_MODEL_FILE_ERROR, "not a packed file: write one with `eie pack`");
    if (header->version != EIE_FILE_VERSION)
        return file_error(device, "the packed file has version ", header->version, ", this runtime reads ",
                          EIE_FILE_VERSION, ": pack the model again");
    if (header->bytes != bytes)
        return file_error(device, "the packed file says that it has ", header->bytes, " bytes, it has ",
                          (uint32_t)bytes, ": it is cut off; copy it again");
    after = offsetof(eie_file_header, checksum) + sizeof header->checksum;
    found = checksum(file + after, bytes - after);
    if (found != header->checksum)
        return file_error(device, "the packed file's checksum is ", found, ", it says ", header->checksum,
                          ": it is damaged; copy it again");
    if (header->array_version != EIE_ARRAY_VERSION)
        return file_error(device, "the packed file is for version ", header->array_version,
                          " of the array, this runtime for ", EIE_ARRAY_VERSION, ": pack the model again");
    found = read_array(device, EIE_REGISTER_HASH);
    if (header->build_hash != found)
        return file_error(device, "the packed file is for build ", header->build_hash, ", the array is build ", found,
                          ": pack the model for this board's array");
    if (header->models == 0u || !holds(header, header->models_at, header->models, sizeof *models))
        return error(device, EIE_MODEL_FILE_ERROR,
                     "the packed file's list of models lies outside of it: pack it again");
    models = (const eie_file_model *)(const void *)(file + header->models_at);
    for (i = 0; i < header->models; i++) {
        if (!is_model_sound(file, header, &models[i])) {
            begin_message(device);
            say(device, "model ");
            say_number(device, i);
            say(device, " of the packed file is not sound: it names what lies outside of it; pack it again");
            return EIE_MODEL_FILE_ERROR;
        }
    }
    device->file = file;
    device->header = header;
    device->models = models;
    return EIE_OK;
}

/* Divide the memory into the reply, what lies between segments, and buffers to send from: as large transfers as fit. */

static uint64_t round_up(uint64_t bytes)
{
    return (bytes + ALIGNMENT - 1u) / ALIGNMENT * ALIGNMENT;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Where the weights of a model that does not stay are kept in the memory; of the end of the list, where all end. */
static size_t kept_at(const eie_device *device, const eie_file_model *model)
{
    const eie_file_model *other;
    uint64_t at = device->kept_at;

    for (other = device->models; other != model; other++)
        if (other->stays == 0u)
            at += round_up((uint64_t)other->weights_words * EIE_WORD_BYTES);
    return (size_t)at;
}

/* Write the weights that are sent again and again to the memory, once. */
static void keep_weights(eie_device *device)
{
    uint32_t i;

    for (i = 0; i < device->header->models; i++) {
        const eie_file_model *model = &device->models[i];
        const size_t bytes = (size_t)model->weights_words * EIE_WORD_BYTES;

        if (model->stays == 0u && bytes != 0u) {
            (void)memcpy(device->platform.memory + kept_at(device, model), device->file + model->weights_at, bytes);
            flush(device, kept_at(device, model), bytes);
        }
    }
}

/* Sizes where no transfer has more than `most` units; true if they fit `room`. */
static bool try_layout(eie_device *device, uint32_t most, uint64_t room, uint64_t *needed)
{
    uint64_t send = 0, reply = 0, work = 0, weights = 0, longest, slots;
    uint32_t i, j;

    for (i = 0; i < device->header->models; i++) {
        const eie_file_model *model = &device->models[i];
        const eie_file_segment *segments = segments_of(device, model);

        weights = larger(weights, (uint64_t)model->weights_words * EIE_WORD_BYTES);
        for (j = 0; j < model->segments; j++) {
            const uint64_t units = segments[j].most_units < most ? segments[j].most_units : most;

            send = larger(send, units * largest_unit_words(device, &segments[j]) * EIE_WORD_BYTES);
            reply = larger(reply, units * segments[j].inferences * segments[j].output_words * EIE_WORD_BYTES);
            if (j + 1u < model->segments)
                work = larger(work, (uint64_t)most * segments[j].rows * sizeof(int16_t));
        }
    }
    longest = larger(larger(send, reply), weights);
    send = round_up(send);
    reply = round_up(reply);
    work = round_up(work);
    *needed = larger(reply + 2u * work + 2u * send, weights);
    if (longest > device->platform.dma_limit || *needed > room)
        return false;
    slots = (room - (reply + 2u * work)) / send;
    device->most_units = most;
    device->reply_at = 0;
    device->work_at = (size_t)reply;
    device->work_bytes = (size_t)work;
    device->slots_at = (size_t)(reply + 2u * work);
    device->slot_bytes = (size_t)send;
    device->slot_count = slots < EIE_SLOTS ? (uint32_t)slots : (uint32_t)EIE_SLOTS;
    return true;
}

static eie_status lay_out(eie_device *device)
{
    const uint64_t room = device->platform.memory_bytes;
    uint64_t needed = 0, kept;
    uint32_t most = 1, i, j;

    for (i = 0; i < device->header->models; i++)
        for (j = 0; j < device->models[i].segments; j++)
            most = (uint32_t)larger(most, segments_of(device, &device->models[i])[j].most_units);
    device->kept_at = 0;
    kept = kept_at(device, device->models + device->header->models);
    if (kept != 0u && kept < room / ALIGNMENT * ALIGNMENT &&
        try_layout(device, most, room / ALIGNMENT * ALIGNMENT - kept, &needed)) {
        device->kept_at = (size_t)(room / ALIGNMENT * ALIGNMENT - kept);
        keep_weights(device);
        return EIE_OK;
    }
    for (; most > 0u; most /= 2u)
        if (try_layout(device, most, room, &needed))
            return EIE_OK;
    begin_message(device);
    say(device, "the models of the packed file need ");
    say_number(device, needed);
    say(device, " bytes of DMA memory; the platform gives ");
    say_number(device, device->platform.memory_bytes);
    say(device, ", and transfers of ");
    say_number(device, device->platform.dma_limit);
    say(device, " at most: give it more, or build the overlay with a larger dma_length_bits (26 is the most)");
    return EIE_DEVICE_ERROR;
}

/* Fixed point. */

/* A float and its bits; C99 defines what is read is what was written. */
typedef union {
    float value;
    int32_t bits;
} eie_float;

static float power_of_two(int32_t exponent)
{
    eie_float power;

    power.bits = (exponent + 127) * (INT32_C(1) << 23);
    return power.value;
}

/* Floats to int16: rounded half to even, saturated. False if one is NaN. */
static bool quantise(const float *x, uint32_t count, float scale, int16_t *out, uint32_t *saturated)
{
    uint16_t *values = (uint16_t *)out;
    uint32_t i, beyond = 0;

    for (i = 0; i < count; i++) {
        eie_float sum;
        uint32_t value;

        /* From 2**23 on, floats are 1 apart: the sum is rounded, and its last bits are the value. */
        sum.value = x[i] * scale + 12582912.0f;
        value = (uint32_t)sum.bits - UINT32_C(0x4B400000);
        values[i] = (uint16_t)value;
        /* Of values between the ends, no sum has a bit above the sixteenth. */
        beyond |= (value - (uint32_t)(EIE_ACTIVATION_MIN + 1)) | (value - (uint32_t)(EIE_ACTIVATION_MIN - 1));
    }
    return beyond <= UINT16_MAX || saturate(x, count, scale, out, saturated);
}

/* As `quantise`, of any floats. */
static bool saturate(const float *x, uint32_t count, float scale, int16_t *out, uint32_t *saturated)
{
    const float lowest = (float)EIE_ACTIVATION_MIN, highest = (float)EIE_ACTIVATION_MAX;
    uint32_t i, nans = 0;

    for (i = 0; i < count; i++) {
        float scaled = x[i] * scale;

        nans |= (uint32_t)(!(scaled <= highest) && !(scaled >= lowest));
        scaled = scaled < highest ? scaled : highest;
        scaled = scaled > lowest ? scaled : lowest;
        out[i] = (int16_t)((scaled + 12582912.0f) - 12582912.0f);
    }
    *saturated += at_the_ends(out, count);
    return nans == 0u;
}

/* Give the number of values at the ends of int16. */
static uint32_t dequantise(const int16_t *a, const uint32_t *places, uint32_t count, float scale, float *out)
{
    uint32_t i, beyond = 0, ends = 0;

    for (i = 0; i < count; i++) {
        const int32_t value = a[places[i]];

        out[i] = (float)value * scale;
        /* As in `quantise`. */
        beyond |= (uint32_t)(value - (EIE_ACTIVATION_MIN + 1)) | (uint32_t)(value - (EIE_ACTIVATION_MIN - 1));
    }
    for (i = 0; beyond > UINT16_MAX && i < count; i++)
        ends += at_the_ends(&a[places[i]], 1);
    return ends;
}

static uint32_t at_the_ends(const int16_t *values, uint32_t count)
{
    uint32_t i, ends = 0;

    for (i = 0; i < count; i++)
        ends += (uint32_t)(values[i] == EIE_ACTIVATION_MAX) + (uint32_t)(values[i] == EIE_ACTIVATION_MIN);
    return ends;
}

/* Text. What does not fit is left out. */

static void say(eie_device *device, const char *text)
{
    while (*text != '\0' && device->message_bytes + 1u < sizeof device->message)
        device->message[device->message_bytes++] = *text++;
    device->message[device->message_bytes] = '\0';
}

static void say_number(eie_device *device, uint64_t value)
{
    char digits[24];
    size_t at = sizeof digits - 1u;

    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0u);
    say(device, digits + at);
}

static void say_hex(eie_device *device, uint32_t value)
{
    char digits[11] = "0x00000000";
    size_t at;

    for (at = 9; at >= 2u; at--) {
        digits[at] = "0123456789abcdef"[value & 15u];
        value >>= 4;
    }
    say(device, digits);
}
