"""What a change does to a cluster: composed objects of two trees, compared."""
