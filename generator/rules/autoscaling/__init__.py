"""Rules of the number of replicas."""
