"""Transformations of loop IR, one deed per file.

Each pass is one public function of its file's name, `PrimFunc` and `Target` to `PrimFunc`;
`lower.pipeline` puts them in order. `split_prologue`, before all of them, makes two functions of
one. `widen`, `reduce_lanes`, `spare_lanes` and `vector_lanes` are parts of `vectorize_loops`; the
last two are used elsewhere, too.
"""
