"""The command `tensorc`: bench, tune, show, log, doctor.

One module for each subcommand; `main` loads it when it is called, so that `tensorc --help` is
quick. Tables and progress are drawn with rich on a terminal and are plain lines anywhere else.

Decision: the suite's peers (NumPy, PyTorch, …) live here and not in `kernels_ref`. Why: a reference
has to be obviously right, a peer has to be fast; one formula cannot be both.
"""
