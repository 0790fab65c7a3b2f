"""The brain: evolutionary search over populations, guided by a cost model trained on measurements.

Decision: the search sees matrices and numbers only. A space answers with rows, features and
concrete steps; a measurer answers with seconds. Why: everything here can be tested with a fake
measurer, and the same seed with the same measurements gives the same candidates.
"""
