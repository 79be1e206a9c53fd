/* The processor's part of a token; see stories.h. Loops are such that compilers vectorise them: gcc with
 * -O3 -mcpu=cortex-a9 -mfpu=neon -ffast-math on a Zynq-7000. */
#include "stories.h"

#include <math.h>
#include <string.h>

#define HEADER_WORDS 7u
#define EPSILON 1e-5f

typedef union {
    float value;
    int32_t bits;
} stories_float;

/* Where in the memory what lies. */
typedef struct {
    float *x, *normal, *product, *hidden, *scores, *keys, *values;
} parts;

/* As many floats as the largest product has, or more. */
static size_t widest_of(const stories *model)
{
    return 4u * (size_t)model->width + 2u * (size_t)model->hidden + model->vocabulary;
}

/* Floats of the past's keys; its values are as many. */
static size_t past_of(const stories *model)
{
    return (size_t)model->layers * model->key_heads * model->length * (model->width / model->heads);
}

static parts parts_of(const stories *model)
{
    parts at;

    at.x = model->memory;
    at.normal = at.x + model->width;
    at.hidden = at.normal + model->width;
    at.product = at.hidden + model->hidden;
    at.scores = at.product + widest_of(model);
    at.keys = at.scores + model->length;
    at.values = at.keys + past_of(model);
    return at;
}

size_t stories_floats(const stories *model)
{
    return 2u * (size_t)model->width + model->hidden + widest_of(model) + model->length + 2u * past_of(model);
}

bool stories_open(stories *model, const void *file, size_t bytes)
{
    int32_t header[HEADER_WORDS];
    const float *at = (const float *)file + HEADER_WORDS;
    uint64_t keys, matrices, floats;
    uint32_t i;

    if (bytes < sizeof header)
        return false;
    (void)memcpy(header, file, sizeof header);
    for (i = 0; i < HEADER_WORDS; i++)
        if (header[i] <= 0 || header[i] > 1 << 16) /* a classifier of its own has a negative vocabulary */
            return false;
    model->width = (uint32_t)header[0];
    model->hidden = (uint32_t)header[1];
    model->layers = (uint32_t)header[2];
    model->heads = (uint32_t)header[3];
    model->key_heads = (uint32_t)header[4];
    model->vocabulary = (uint32_t)header[5];
    model->length = (uint32_t)header[6];
    if (model->width % (2u * model->heads) != 0u || model->heads % model->key_heads != 0u || model->layers > 256u)
        return false;
    keys = (uint64_t)model->width / model->heads * model->key_heads;
    matrices = (uint64_t)model->layers * model->width * (2u * (uint64_t)model->width + 2u * keys);
    floats = (uint64_t)model->width * ((uint64_t)model->vocabulary + 2u * model->layers + 1u) + matrices +
             3u * (uint64_t)model->layers * model->width * model->hidden +
             (uint64_t)model->length * (model->width / model->heads);
    if (bytes / sizeof *at < HEADER_WORDS + floats)
        return false;
    model->embedding = at;
    model->attention_norms = model->embedding + (size_t)model->vocabulary * model->width;
    model->feed_forward_norms = model->attention_norms + (size_t)model->layers * model->width + (size_t)matrices;
    model->final_norm = model->feed_forward_norms + (size_t)model->layers * model->width +
                        3u * (size_t)model->layers * model->width * model->hidden;
    model->cosines = model->final_norm + model->width;
    model->sines = model->cosines + (size_t)model->length * (model->width / model->heads / 2u);
    return true;
}

/* e**x within 3 millionths, for x from -87 to 87. */
static float exponential(float x)
{
    const float power = x * 1.44269504f;
    stories_float whole, result;
    float rest;

    whole.value = power + 12582912.0f; /* floats are 1 apart there */
    whole.bits -= 0x4B400000;
    rest = power - (float)whole.bits;
    result.value = 1.0f + rest * (0.69314718f + rest * (0.24022651f + rest * (0.05550411f +
                   rest * (0.00961813f + rest * 0.00133336f))));
    result.bits += whole.bits * (1 << 23);
    return result.value;
}

static void normalise(const float *x, const float *restrict scale, uint32_t count, float *restrict y)
{
    float sum = 0.0f, factor;
    uint32_t i;

    for (i = 0; i < count; i++)
        sum += x[i] * x[i];
    factor = 1.0f / sqrtf(sum / (float)count + EPSILON);
    for (i = 0; i < count; i++)
        y[i] = x[i] * factor * scale[i];
}

/* Turn pairs of neighbours in each head. */
static void rotate(float *x, uint32_t count, const float *cosines, const float *sines, uint32_t pairs)
{
    uint32_t i, j;

    for (i = 0; i < count; i += 2u * pairs) {
        for (j = 0; j < pairs; j++) {
            const float first = x[i + 2u * j], second = x[i + 2u * j + 1u];

            x[i + 2u * j] = first * cosines[j] - second * sines[j];
            x[i + 2u * j + 1u] = first * sines[j] + second * cosines[j];
        }
    }
}

/* Softmax but for its division; gives the sum. */
static float soften(float *restrict scores, uint32_t count)
{
    float most = scores[0], sum = 0.0f;
    uint32_t i;

    for (i = 1; i < count; i++)
        most = scores[i] > most ? scores[i] : most;
    for (i = 0; i < count; i++) {
        const float below = scores[i] - most;

        scores[i] = exponential(below > -80.0f ? below : -80.0f);
        sum += scores[i];
    }
    return sum;
}

/* One head. Keys and values are (size, length), so that neighbours are positions: those are many, the size is small. */
static void attend(const float *restrict query, const float *restrict keys, const float *restrict values, uint32_t size,
                   uint32_t length, uint32_t count, float *restrict scores, float *restrict y)
{
    const float scale = 1.0f / sqrtf((float)size);
    float factor;
    uint32_t i, j;

    for (i = 0; i < count; i++)
        scores[i] = 0.0f;
    for (j = 0; j < size; j += 2u) { /* the size is even, for the rotation */
        const float part = query[j] * scale, next = query[j + 1u] * scale;
        const float *restrict key = keys + (size_t)j * length, *restrict beside = key + length;

        for (i = 0; i < count; i++)
            scores[i] += part * key[i] + next * beside[i];
    }
    factor = 1.0f / soften(scores, count);
    for (j = 0; j < size; j += 2u) {
        const float *restrict value = values + (size_t)j * length, *restrict beside = value + length;
        float sum = 0.0f, next = 0.0f;

        for (i = 0; i < count; i++) {
            sum += scores[i] * value[i];
            next += scores[i] * beside[i];
        }
        y[j] = sum * factor;
        y[j + 1u] = next * factor;
    }
}

/* All heads of a layer, from queries, keys and values of this position; y may not be they. */
static void attend_all(const stories *model, const parts *at, uint32_t layer, uint32_t position, float *y)
{
    const uint32_t size = model->width / model->heads, keys = size * model->key_heads, length = model->length;
    const size_t first = (size_t)layer * model->key_heads * length * size;
    const float *cosines = model->cosines + (size_t)position * (size / 2u);
    const float *sines = model->sines + (size_t)position * (size / 2u);
    float *query = at->product, *key = query + model->width, *value = key + keys;
    uint32_t head, i;

    rotate(query, model->width + keys, cosines, sines, size / 2u);
    for (head = 0; head < model->key_heads; head++) {
        const size_t begin = first + (size_t)head * length * size;

        for (i = 0; i < size; i++) {
            at->keys[begin + (size_t)i * length + position] = key[head * size + i];
            at->values[begin + (size_t)i * length + position] = value[head * size + i];
        }
    }
    for (head = 0; head < model->heads; head++) {
        const size_t begin = first + (size_t)(head * model->key_heads / model->heads) * length * size;

        attend(query + head * size, at->keys + begin, at->values + begin, size, length, position + 1u, at->scores,
               y + head * size);
    }
}

/* SwiGLU: gate * sigmoid(gate) * up. */
static void open_gates(const float *restrict gate, const float *restrict up, uint32_t count, float *restrict y)
{
    uint32_t i;

    for (i = 0; i < count; i++) {
        float below = -gate[i];

        below = below < 80.0f ? below : 80.0f;
        below = below > -80.0f ? below : -80.0f;
        y[i] = gate[i] / (1.0f + exponential(below)) * up[i];
    }
}

static void add(float *restrict x, const float *restrict y, uint32_t count)
{
    uint32_t i;

    for (i = 0; i < count; i++)
        x[i] += y[i];
}

static uint32_t likeliest(const float *logits, uint32_t count)
{
    float most = logits[0];
    uint32_t i;

    for (i = 1; i < count; i++)
        most = logits[i] > most ? logits[i] : most;
    for (i = 0; i + 1u < count && logits[i] < most; i++)
        ;
    return i;
}

const float *stories_logits(const stories *model)
{
    return parts_of(model).product;
}

static bool apply_layer(const stories *model, const parts *at, uint32_t layer, uint32_t position)
{
    const uint32_t first = layer * STORIES_PRODUCTS, width = model->width;

    normalise(at->x, model->attention_norms + (size_t)layer * width, width, at->normal);
    if (!model->multiply(model->context, first + STORIES_QKV, at->normal, at->product))
        return false;
    attend_all(model, at, layer, position, at->normal);
    if (!model->multiply(model->context, first + STORIES_OUT, at->normal, at->product))
        return false;
    add(at->x, at->product, width);
    normalise(at->x, model->feed_forward_norms + (size_t)layer * width, width, at->normal);
    if (!model->multiply(model->context, first + STORIES_UP, at->normal, at->product))
        return false;
    open_gates(at->product, at->product + model->hidden, model->hidden, at->hidden);
    if (!model->multiply(model->context, first + STORIES_DOWN, at->hidden, at->product))
        return false;
    add(at->x, at->product, width);
    return true;
}

uint32_t stories_next(const stories *model, uint32_t token, uint32_t position)
{
    const parts at = parts_of(model);
    uint32_t layer;

    if (token >= model->vocabulary || position >= model->length)
        return UINT32_MAX;
    (void)memcpy(at.x, model->embedding + (size_t)token * model->width, model->width * sizeof *at.x);
    for (layer = 0; layer < model->layers; layer++)
        if (!apply_layer(model, &at, layer, position))
            return UINT32_MAX;
    normalise(at.x, model->final_norm, model->width, at.normal);
    if (!model->multiply(model->context, model->layers * STORIES_PRODUCTS, at.normal, at.product))
        return UINT32_MAX;
    return likeliest(at.product, model->vocabulary);
}
