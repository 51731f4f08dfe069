"""Rules of what serves a model and of what it is made of."""
