"""What a program can be: sketches of its loops, populations of their decisions, features of both.

`task.py` says what is compiled for which machine, `sketch.py` turns it into sketches by the rules
of `rules/`, `population.py` adds the choices that do not change the loop structure, and `space.py`
joins them into the `Space` that the search works on: rows of integers, a column for each decision.
"""
