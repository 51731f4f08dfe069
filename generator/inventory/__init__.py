"""What the document of an environment comes to."""
