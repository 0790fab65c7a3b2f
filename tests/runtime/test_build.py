from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tensorc import te
from tensorc.codegen.llvm import emit_llvm
from tensorc.ir.func import PrimFunc
from tensorc.ir.parser import parse_func
from tensorc.lower import lower
from tensorc.runtime import llvm
from tensorc.runtime.build import build
from tensorc.runtime.compiler import compile_text
from tensorc.runtime.function import CompiledFunction
from tensorc.runtime.library import load
from tensorc.schedule.replay import initial_state
from tensorc.support.errors import BuildError, CodegenError, MissingDependencyError
from tensorc.target import Target
from tests.runtime.handmade import ADD, add_artifact, c_artifact, object_artifact

SCALE = """
@prim_func(outputs=('C',))
def scale(A: buffer((64,), 'float32'), C: buffer((64,), 'float32')):
    for i in parallel(0, 8):
        C[ramp(8*i, 8)] = A[ramp(8*i, 8)] * broadcast(2.0, 8)
"""
ADD_WIDE = """
define void @add(ptr %a, ptr %b) {
  %x = load <16 x float>, ptr %a, align 4
  %y = load <16 x float>, ptr %b, align 4
  %z = fadd <16 x float> %x, %y
  store <16 x float> %z, ptr %a, align 4
  ret void
}
"""
# The index of the register tile depends on a loop that is not unrolled.
SPILLED = """
@prim_func(outputs=('C',))
def spilled(A: buffer((8,), 'float32'), C: buffer((8,), 'float32')):
    T = allocate((8,), 'float32', 'local')
    for i in serial(0, 8):
        T[i] = A[i]
    for i in serial(0, 8):
        C[i] = T[7 - i]
"""


@pytest.mark.parametrize("kind", ["llvm", "c", "python"])
def test_what_is_built_runs(kind: str) -> None:
    artifact = build(parse_func(SCALE), Target(kind))
    a = np.arange(64, dtype=np.float32)
    function = CompiledFunction(artifact)
    assert function(a).tolist() == (2 * a).tolist()
    assert "scale" in function.source()


@pytest.mark.parametrize(("level", "words"), [(0, 0), (1, 1), (2, 2), (3, 3)])
def test_what_is_built_is_shown_on_demand(
    level: int, words: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TENSORC_DEBUG", str(level))
    build(parse_func(SCALE), Target("llvm"))
    shown = capsys.readouterr().err
    found = [word in shown for word in ("Built 'scale' for 'llvm'", "@prim_func", "define i32")]
    assert found == [number < words for number in range(3)]


# The vectoriser of GCC 12.2 makes masked loads of C of it that read zeros.
CHOSEN = """
@prim_func(outputs=('C', 'D'))
def chosen(A: buffer((2, 16), 'float32'), B: buffer((2, 16), 'float32'),
           C: buffer((2, 16), 'float32'), D: buffer((2, 16), 'float32')):
    for i in serial(0, 2):
        for j in unrolled(0, 4):
            C[ramp(16*i + 4*j, 4)] = floor(A[ramp(16*i + 4*j, 4)])
    for i in serial(0, 2):
        for j in unrolled(0, 16):
            D[16*i + j] = where(min(A[16*i + j], B[16*i + j]) > 0.0, C[16*i + j], B[16*i + j])
"""


@pytest.mark.parametrize("features", [("avx2", "fma"), ("native",)])
def test_values_just_written_are_chosen_right(features: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.choice([-2.0, 0.5, 1.0, 2.0], (2, 16)).astype(np.float32) for _ in range(2))
    artifact = build(
        parse_func(" ".join(CHOSEN.split("\n           "))), Target("c", features=features)
    )
    c, d = CompiledFunction(artifact)(a, b)
    np.testing.assert_array_equal(c, np.floor(a))
    np.testing.assert_array_equal(d, np.where(np.minimum(a, b) > 0, c, b))


def test_an_artifact_survives_being_sent() -> None:
    artifact = add_artifact()
    again = type(artifact).from_header(artifact.header(), artifact.data)
    assert (again.params, again.entry, again.kind) == (artifact.params, "add", "object")
    ones = np.ones(8, np.float32)
    assert CompiledFunction(again)(ones, ones).tolist() == [2.0] * 8


def test_a_register_tile_left_in_memory_is_refused_by_name() -> None:
    with pytest.raises(CodegenError, match="'T' of 'spilled' in registers"):
        build(parse_func(SPILLED), Target("llvm"))


def test_a_gpu_target_is_refused() -> None:
    with pytest.raises(CodegenError, match="target 'cuda': expected 'llvm'"):
        build(parse_func(SCALE), Target("cuda"))


def column_sums() -> PrimFunc:
    """A kernel of other code with strength reduction than without."""
    x = te.placeholder((64, 64), name="x")
    k = te.reduce_axis((0, 64), name="k")
    sums = te.compute((64,), lambda j: te.sum(x[k, j], axis=k), name="sums")
    return lower(initial_state(te.ComputeDAG.from_tensors([x, sums])), Target("llvm"))


def test_strength_reduction_is_a_choice_for_each_kernel() -> None:
    func = column_sums()
    codes = [build(func, Target("llvm"), strength_reduction=on).data for on in (True, False, True)]
    assert codes[0] == codes[2] != codes[1]


def test_threads_that_compile_leave_one_another_their_choice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    func, binding = column_sums(), llvm._binding()
    set_option = binding.set_option

    def set_slowly(name: str, option: str) -> None:
        set_option(name, option)
        time.sleep(0.02)  # the other thread sets its own

    def code(on: bool) -> bytes:
        return build(func, Target("llvm"), strength_reduction=on).data

    alone = {on: code(on) for on in (True, False)}
    monkeypatch.setattr(binding, "set_option", set_slowly)
    choices = [True, False] * 8
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(code, choices)) == [alone[on] for on in choices]


def test_others_who_use_llvm_do_not_get_the_choice_of_the_last_kernel() -> None:
    text, target, promoted = emit_llvm(column_sums(), Target("llvm")), Target("llvm"), list[str]()
    kept = llvm.compile_object(text, target, check=promoted.append)
    machine = llvm.target_machine(*llvm.processor(target))

    def code_of_others() -> bytes:
        return bytes(machine.emit_object(llvm._binding().parse_assembly(promoted[0])))

    before = code_of_others()
    assert llvm.compile_object(text, target, strength_reduction=False) != kept
    assert code_of_others() == before


def test_llvm_says_what_is_wrong_with_a_text() -> None:
    with pytest.raises(BuildError, match=r"(?s)LLVM refused the text.*%nothing"):
        llvm.compile_object(ADD.replace("ret i32 0", "ret i32 %nothing"), Target("llvm"))


def test_the_c_compiler_says_what_is_wrong_with_a_text() -> None:
    with pytest.raises(BuildError, match=r"(?s)refused the code.*undeclared"):
        compile_text("int f(void) { return nothing; }")


def test_a_missing_symbol_is_a_build_error() -> None:
    text = (
        "declare i32 @nowhere()\n"
        "define i32 @f(ptr %b, ptr %w) {\n %r = call i32 @nowhere()\n ret i32 %r\n}"
    )
    with pytest.raises(BuildError, match=r"Cannot link the kernel 'f'"):
        load(object_artifact(text, "f", []))
    with pytest.raises(BuildError, match=r"Cannot load the kernel 'g'.*nowhere"):
        load(
            c_artifact(
                "int nowhere(void); int g(void *const *b, void *w) { return nowhere(); }", "g", []
            )
        )


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(
        MissingDependencyError, match=r"C compiler is needed.*'cc', 'gcc' or 'clang'"
    ):
        compile_text("int f(void) { return 0; }")


def test_instruction_sets_left_out_of_the_target_are_not_used() -> None:
    plain = Target("llvm", features=("sse4.1", "sse4.2"))
    assert "ymm" not in llvm.emit_assembly(ADD, plain)
    assert "-avx2" in llvm.processor(plain)[1]


@pytest.mark.isa("avx512f")
@pytest.mark.parametrize(
    ("features", "used", "unused"),
    [
        (("avx512f",), "zmm", "xyz"),
        (("avx2", "fma"), "ymm", "zmm"),
        (("avx",), "ymm", "zmm"),
        (("sse4.2",), "xmm", "ymm"),
        ((), "xmm", "ymm"),
    ],
)
def test_a_target_gets_the_registers_of_its_instruction_sets(
    features: tuple[str, ...], used: str, unused: str
) -> None:
    text = llvm.emit_assembly(ADD_WIDE, Target("llvm", features=features))
    assert used in text
    assert unused not in text


def test_the_c_compiler_keeps_to_the_instruction_sets_of_the_target() -> None:
    plain = Target("c", features=("sse4.1", "sse4.2"))
    a = np.arange(64, dtype=np.float32)
    artifact = build(parse_func(SCALE), plain)
    assert CompiledFunction(artifact)(a).tolist() == (2 * a).tolist()
    assert artifact.data != build(parse_func(SCALE), Target("c")).data


def test_another_processor_is_taken_at_its_word() -> None:
    target = Target("llvm", cpu="znver3", features=("avx2", "fma"))
    assert llvm.processor(target) == ("znver3", "+avx,+avx2,+fma,+sse4.1,+sse4.2")


def test_kernels_are_unloaded_without_disturbing_others() -> None:
    add = CompiledFunction(add_artifact())
    ones = np.ones(8, np.float32)
    for _ in range(50):
        CompiledFunction(add_artifact())(ones, ones)
    assert add(ones, ones).tolist() == [2.0] * 8


PACK = """\
@prim_func(outputs=('P',))
def pack(B: buffer((8,), 'float32'), P: buffer((8,), 'float32')):
    for i in serial(0, 8):
        P[i] = B[7 - i] * 3.0
"""
PACKED = """\
@prim_func(outputs=('C',))
def kernel(A: buffer((8,), 'float32'), C: buffer((8,), 'float32'), P: buffer((8,), 'float32')):
    for i in serial(0, 8):
        C[i] = A[i] * P[i] + 2.0
"""


@pytest.mark.parametrize("kind", ["llvm", "c", "python"])
def test_a_prologue_runs_once_and_travels_with_its_kernel(kind: str) -> None:
    artifact = build(parse_func(PACKED), Target(kind), prologue=parse_func(PACK))
    assert [p.name for p in artifact.results] == ["P"]
    again = type(artifact).from_header(artifact.header(), artifact.data)
    a, b = np.arange(8, dtype=np.float32), np.arange(8, dtype=np.float32) ** 2
    for found in (artifact, again.renamed({"B": "weights"})):
        name = "B" if found is artifact else "weights"
        f = CompiledFunction(found, constants={name: b})
        assert np.allclose(f(a), a * b[::-1] * 3 + 2)


def test_fast_code_is_made_otherwise_and_computes_the_same() -> None:
    # In a process of its own: the options of fast code stay.
    code = """
import numpy as np
from tensorc import te
from tensorc.lower import lower
from tensorc.runtime.build import build
from tensorc.runtime.function import CompiledFunction
from tensorc.schedule.replay import initial_state
from tensorc.target import Target
A, B = (te.placeholder((24, 24), name=name) for name in "AB")
k = te.reduce_axis((0, 24), name="k")
C = te.compute((24, 24), lambda i, j: te.sum(A[i, k] * B[k, j], axis=k), name="C")
func = lower(initial_state(te.ComputeDAG.from_tensors([A, B, C])), Target("llvm"))
usual, fast = (build(func, Target("llvm"), fast=fast) for fast in (False, True))
assert usual.source == fast.source, "the text differs"
assert usual.data != fast.data, "the code is the same"
a, b = (np.random.default_rng(n).standard_normal((24, 24), np.float32) for n in (0, 1))
for artifact in (usual, fast):
    np.testing.assert_allclose(CompiledFunction(artifact)(a, b), a @ b, rtol=1e-4, atol=1e-4)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_compiler_that_breaks_down_is_asked_for_less(tmp_path, monkeypatch):
    compiler = tmp_path / "cc"
    compiler.write_text(
        "#!/bin/sh\n"
        'case "$*" in *-fno-tree-ch*) exec cc "$@";; esac\n'
        'case "$*" in *" -E "*) exit 0;; esac\n'
        "echo 'kernel.c:1:1: internal compiler error: in loopinit' >&2; exit 4\n"
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    assert compile_text("int kernel(void) { return 0; }").startswith(b"\x7fELF")
    with pytest.raises(BuildError, match="refused the code"):
        compile_text("int kernel(")
