"""From MyHDL to VHDL and Verilog."""
