"""OpenVINO, one inference request with its tensors set beforehand."""

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
    return optional_import("openvino", extra="bench", purpose="the comparison with OpenVINO")


@dataclass(frozen=True, slots=True)
class OpenVinoPeer:
    """OpenVINO on the CPU, with so many threads, in full precision."""

    threads: int
    name: str = "openvino"
    openvino: ModuleType = field(default_factory=_load, repr=False)

    @property
    def version(self) -> str:
        """The version that is installed."""
        return str(self.openvino.__version__).partition("-")[0]

    def prepare(
        self, case: Case, inputs: tuple[Array, ...], constants: frozenset[str]
    ) -> Prepared | None:
        """Return the fastest of the layouts, with weights as inputs or as constants."""
        variants = []
        for model in onnx_models(case, inputs, constants):
            try:
                variants.append(self._ready(model))
            except RuntimeError:
                continue  # it takes no convolutions of more than two axes whose weight is an input
        return quickest(variants) if variants else None

    def _ready(self, model: OnnxModel) -> Prepared:
        core = self.openvino.Core()
        options = {
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,
        }
        compiled = core.compile_model(core.read_model(model.data), "CPU", options)
        request = compiled.create_infer_request()
        for name, array in model.inputs.items():
            request.set_tensor(name, self.openvino.Tensor(array, shared_memory=True))

        def run() -> object:
            # Without this the result is copied after each inference.
            return request.infer(share_outputs=True)

        def result() -> Array:
            run()
            return np.ascontiguousarray(model.restore(request.get_output_tensor(0).data))

        return Prepared(run, result, model.variant)
