"""Resources and clock rates of the converted array."""
