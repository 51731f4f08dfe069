"""Rules of what a namespace grants, forbids and reaches."""
