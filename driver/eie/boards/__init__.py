"""Boards, their FPGAs, overlay files, and what an array takes of a device."""
