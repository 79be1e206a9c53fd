"""Runs models on any device, and verifies what it answers."""
