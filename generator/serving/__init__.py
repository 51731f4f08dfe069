"""What is known of runtimes, and what stands beside and behind a predictor."""
