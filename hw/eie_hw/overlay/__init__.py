"""From a board's description to its overlay: block design, Vivado script, build."""
