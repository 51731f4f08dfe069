"""Rules of KEDA's objects."""
