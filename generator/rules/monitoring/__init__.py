"""Rules of what is measured and who is told."""
