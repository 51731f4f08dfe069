"""Comparisons of what this package says about an API with that API's own definitions."""
