"""Networks before and after compression, their readers, and their exact arithmetic."""
