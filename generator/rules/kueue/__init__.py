"""Rules of queues, quota and what is admitted."""
