"""Other definitions of the same computation: algorithms that are chosen by search."""
