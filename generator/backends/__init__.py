"""What runs a model: each backend's objects, the keys that it reads and the names it derives."""
