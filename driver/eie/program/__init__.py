"""From a model to DMA bytes: encoding, tiling, balancing, packing."""
