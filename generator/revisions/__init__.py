"""What Git knows: trees of a commit, its log, and what was live when."""
