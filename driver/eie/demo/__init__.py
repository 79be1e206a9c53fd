"""The demonstrations: LeNet-300-100 from float weights to verified answers, and faults of a board."""
