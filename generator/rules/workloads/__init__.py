"""Rules of Pods and of what makes them."""
