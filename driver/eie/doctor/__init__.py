"""`eie doctor`: checks an installation from Python to an inference."""
