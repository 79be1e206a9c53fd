"""What carries out COMPUTE and STORE."""
