"""The hands: records of measurements, workers that build, an isolated process that runs.

A candidate takes this way: `Measurer` hands its steps to the `dispatcher` (a thread), a builder
process replays, lowers and compiles them, the runner process checks and times the object code
between guard pages, and a `MeasureResult` comes back. All processes are forked from the `template`.

Decision: a fresh interpreter loads everything once and is forked for each worker. Why: the user's
process, which may have threads, is never forked, no `__main__` guard is needed, and a worker that a
candidate has killed is replaced in milliseconds. Refused: multiprocessing (pickles, guards, a
resource tracker), a spare runner (one crash a second at most), fork per candidate (7 ms each).

Decision: every output of every candidate is compared with a reference. Why: a search finds whatever
the checks leave open. Refused: checking the winner only, which has then learnt from wrong programs.
"""
