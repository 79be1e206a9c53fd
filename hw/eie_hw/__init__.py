"""The EIE array in MyHDL: one module per unit of the paper; parameters come from `eie.ArrayConfig`."""
