"""Edits of a spec in place, and the daily commands that are made of them."""
