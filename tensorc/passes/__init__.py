"""Transformations of loop IR, one deed per file.

Each module has one public function of the file's name, `PrimFunc` and `Target` to `PrimFunc`.
`lower.pipeline` puts them in order.
"""
