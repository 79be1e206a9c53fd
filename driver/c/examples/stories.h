/* A language model of the Llama family whose matrices are on the array: what is left to the processor. A model's file is
 * one of llama2.c (Karpathy, 2023), version 0; examples/stories.py packs its matrices and is the same in Python. */
#ifndef EIE_STORIES_H
#define EIE_STORIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The products of a layer, in order; that of the classifier follows those of the last layer. Queries, keys and values
 * are one product, so are the gate and what it opens. */
enum { STORIES_QKV, STORIES_OUT, STORIES_UP, STORIES_DOWN, STORIES_PRODUCTS };

typedef struct {
    /* y = matrix * x, on the array: `eie_run` of the model of this number. False ends the token. */
    bool (*multiply)(void *context, uint32_t product, const float *x, float *y);
    void *context;
    float *memory; /* stories_floats() of them */

    uint32_t width, hidden, layers, heads, key_heads, vocabulary, length;
    const float *embedding, *attention_norms, *feed_forward_norms, *final_norm, *cosines, *sines;
} stories;

/* Read the file's header; false if it is no such file. The file, at a multiple of 4 bytes, must stay. */
bool stories_open(stories *model, const void *file, size_t bytes);

/* Floats of the memory that a token's activations and the past's keys and values take. */
size_t stories_floats(const stories *model);

/* The likeliest token after the one at a position, those before it having been given; UINT32_MAX if a product failed. */
uint32_t stories_next(const stories *model, uint32_t token, uint32_t position);

/* Its logits, which the call before has left. */
const float *stories_logits(const stories *model);

#endif
