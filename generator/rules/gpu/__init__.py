"""Rules of accelerators."""
