"""Notebooks for board users; `pynq get-notebooks` delivers them, and docs/board.md says what they show."""
