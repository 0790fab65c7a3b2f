"""What tuned kernels are compared with: libraries that compute the cases of the suite.

A peer gets its best chance: weights are laid out beforehand as it likes them, operators run in the
layout that is faster, and it has as many threads as our kernels. Only the call is timed, from
Python, as the library's users call it.
"""
