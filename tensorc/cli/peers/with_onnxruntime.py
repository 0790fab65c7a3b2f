"""ONNX Runtime, with inputs and output bound beforehand."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType

import numpy as np

from kernels_ref.array import Array
from kernels_ref.suite import Case
from tensorc.cli.peers.onnx_models import OnnxModel, onnx_models
from tensorc.cli.peers.peer import Prepared, quickest
from tensorc.support.optional import optional_import


def _load() -> ModuleType:
    return optional_import("onnxruntime", extra="bench", purpose="the comparison with ONNX Runtime")


@dataclass(frozen=True, slots=True)
class OnnxRuntimePeer:
    """ONNX Runtime on the CPU, with so many threads."""

    threads: int
    name: str = "onnxruntime"
    runtime: ModuleType = field(default_factory=_load, repr=False)

    @property
    def version(self) -> str:
        """The version that is installed."""
        return str(self.runtime.__version__)

    def prepare(
        self, case: Case, inputs: tuple[Array, ...], constants: frozenset[str]
    ) -> Prepared | None:
        """Return the fastest of the layouts, with weights as inputs or as constants."""
        return quickest([self._ready(model) for model in onnx_models(case, inputs, constants)])

    def _ready(self, model: OnnxModel) -> Prepared:
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = self.runtime.InferenceSession(
            model.data, options, providers=["CPUExecutionProvider"]
        )
        binding = session.io_binding()
        value = self.runtime.OrtValue.ortvalue_from_numpy
        # The binding does not own what is bound.
        bound = {name: value(array) for name, array in model.inputs.items()}
        output = value(np.empty(model.output_shape, np.float32))
        for name, array in bound.items():
            binding.bind_ortvalue_input(name, array)
        binding.bind_ortvalue_output("result", output)

        def run() -> object:
            return session.run_with_iobinding(binding)

        def result() -> Array:
            run()
            assert bound is not None
            return np.ascontiguousarray(model.restore(output.numpy()))

        return Prepared(run, result, model.variant)
