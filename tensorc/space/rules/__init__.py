"""Sketch rules, one in each file, and the sets of them.

A rule is any object with the two methods of `draft.SketchRule`. CPUs and GPUs have different
tuples of the same rules.
"""
