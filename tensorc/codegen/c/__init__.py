"""C text of a function, for compilers with GCC's vector extensions."""

from tensorc.codegen.c.emit import emit_c

__all__ = ["emit_c"]
