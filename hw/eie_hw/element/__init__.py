"""One processing element."""
