"""A board through pynq; the only package that imports it."""
