"""Kueue's queues and the nodes below them: what is asked for, and what could ever be held."""
