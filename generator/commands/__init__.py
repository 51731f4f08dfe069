"""The commands of `gen`: one module for each, or for a few that share what they do."""
