"""What is known of training: runtimes, and the runs of a model."""
