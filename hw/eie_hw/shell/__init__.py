"""From AXI to the array."""
