"""What a spec may ask for beside being served: each a block of the spec with objects of its own."""
