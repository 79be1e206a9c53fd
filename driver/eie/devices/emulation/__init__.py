"""The array in numpy: executes the very bytes that the board gets."""
