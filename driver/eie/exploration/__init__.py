"""Design-space exploration: what a network costs on every array of a range, in cycles and in resources."""
