"""Whether a canary may go on: what Prometheus says of it, and the answer to that."""
