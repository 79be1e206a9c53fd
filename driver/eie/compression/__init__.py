"""From a float network to 4-bit codes: prune, share, scale, measure."""
