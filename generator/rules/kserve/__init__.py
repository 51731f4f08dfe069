"""Rules of KServe's objects."""
