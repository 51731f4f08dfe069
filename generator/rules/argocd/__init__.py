"""Rules of what Argo CD delivers, and how."""
