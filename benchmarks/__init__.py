"""How fast gen is, measured against what else makes or checks the same objects."""
