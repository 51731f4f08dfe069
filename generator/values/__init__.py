"""Texts that mean an amount, a time or a version."""
