/* Tokens of a language model whose products cost nothing, at a position: what scripts/bench_c.py counts instructions of.
 * Arguments: a file of llama2.c, the position, how many tokens. */
#include <stdio.h>
#include <stdlib.h>

#include "stories.h"

static stories model;

static bool give(void *context, uint32_t product, const float *x, float *y)
{
    const uint32_t kind = product % STORIES_PRODUCTS;
    uint32_t count = kind == STORIES_UP ? 2u * model.hidden : 2u * model.width, i;

    (void)context;
    if (product == model.layers * STORIES_PRODUCTS)
        count = model.vocabulary;
    for (i = 0; i < count; i++)
        y[i] = x[i & 7u] * (float)(i & 15u);
    return true;
}

int main(int count, char **arguments)
{
    static uint32_t file[1 << 20];
    FILE *from = count == 4 ? fopen(arguments[1], "rb") : NULL;
    size_t bytes;
    int left;

    if (from == NULL)
        return 2;
    bytes = fread(file, 1, sizeof file, from);
    (void)fclose(from);
    if (!stories_open(&model, file, bytes))
        return 3;
    model.multiply = give;
    model.memory = calloc(stories_floats(&model), sizeof *model.memory);
    for (left = atoi(arguments[3]); left > 0; left--)
        if (model.memory == NULL || stories_next(&model, 1, (uint32_t)atoi(arguments[2])) == UINT32_MAX)
            return 4;
    return 0;
}
