"""Who owns the number of replicas, what wakes it, and how fast it moves."""
