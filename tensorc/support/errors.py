"""Every exception that tensorc raises on purpose.

A message is one sentence with a capital and a full stop; it quotes names with single quotes and
says what was expected and what came: "Cannot split 'i' of stage 'C': expected positive lengths,
got 0." An `AssertionError` out of tensorc is a bug of tensorc.
"""


class TensorcError(Exception):
    """Root of all errors that tensorc raises on purpose."""


class TEError(TensorcError, ValueError):
    """A tensor expression is malformed: shapes, dtypes, axes, names or bounds do not fit."""


class TargetError(TensorcError, ValueError):
    """A target is unknown, or a field of it has an impossible value."""


class OptionError(TensorcError, ValueError):
    """An environment variable or option of tensorc has a value that cannot be used."""


class ScheduleError(TensorcError):
    """A schedule step is illegal: it would break a dependence, an extent or an attachment."""


class LoweringError(TensorcError):
    """A legal schedule cannot be turned into loop IR for this target."""


class VerifyError(TensorcError):
    """Loop IR breaks the rules of the IR: untyped, badly scoped, shadowed or malformed text."""


class CodegenError(TensorcError):
    """A backend cannot express a program: an unsupported dtype, operation or loop kind."""


class BuildError(TensorcError):
    """Generated code did not compile or load; carries what the compiler said."""


class RuntimeCallError(TensorcError, ValueError):
    """A kernel was called with arrays that do not fit its parameters in number, shape or dtype."""


class MeasureError(TensorcError):
    """The measuring itself failed, not the candidate: no worker starts, no clock, no reference."""


class RecordError(TensorcError):
    """A record or its database is damaged, foreign, of another version, or cannot be written."""


class FrontendError(TensorcError):
    """A model cannot be imported; names the node and its operator."""


class MissingDependencyError(TensorcError, ImportError):
    """An optional library is needed and not installed; says how to install it."""
