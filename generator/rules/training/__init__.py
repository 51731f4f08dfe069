"""Rules of training and retraining."""
