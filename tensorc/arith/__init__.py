"""Arithmetic on sizes and affine indices: bounds, division, substitution, simplification."""
