"""The same objects by other tools: the smallest honest project of each."""
