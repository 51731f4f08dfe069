"""Rules of how versions share traffic."""
