"""Rules of changes of what runs."""
