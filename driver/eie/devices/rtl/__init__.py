"""The array simulated from its converted Verilog."""
