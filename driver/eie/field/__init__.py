"""This project's figures on three boards, computed, beside what others have published, with sources."""
