"""One folder per board: its description, and the built overlay where a Vivado machine has made one."""
