"""What host and hardware agree on: array parameters, instruction set, registers, pipeline, fixed point."""
