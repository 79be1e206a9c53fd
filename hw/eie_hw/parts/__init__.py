"""Bundles of signals and reusable circuits."""
