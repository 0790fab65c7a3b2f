"""Text of a target-ready function for each backend, and the Python oracle.

Decision: every backend writes text; nothing is built through an API. Why: text is 15 times faster
to produce, can be read and kept, and needs no library. What is costly to get right, the vector
mathematics, is described once (`recipes`) and spelled by each backend.
"""
