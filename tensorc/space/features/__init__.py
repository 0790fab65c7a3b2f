"""Features of programs: numbers about each statement that the cost model learns from.

After Ansor (`src/auto_scheduler/feature.cc`), one row for each statement that stores, without its
dead columns and with what a register tile, a vector tail and a cache make of a program. A whole
population is computed at once: every quantity is an array over candidates, most have a further
dimension for the loops. What no decision changes is found out once for a sketch (`plan.py`).
"""
