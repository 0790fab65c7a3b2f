"""Random programs through the front end and plain loops: `python -m tests.fuzz 1000 --seed 7`.

Prints the number of each program that went wrong, with what is needed to see it again.
"""

from __future__ import annotations

import argparse
import traceback
from random import Random

import tensorc
from tensorc.te import ComputeDAG
from tests.fuzz.programs import Program, random_program
from tests.te.running import by_canonical_form, by_loops


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0, help="number of the first program")
    parser.add_argument("--target", action="append", default=[], help="compile for this one too")
    parser.add_argument("--show", action="store_true", help="print each program")
    arguments = parser.parse_args()
    failures = 0
    for number in range(arguments.seed, arguments.seed + arguments.count):
        program: Program | None = None
        try:
            program = random_program(Random(number))
            if arguments.show:
                print(f"---- {number}\n{ComputeDAG.from_tensors(program.tensors)}")
            for run in (by_canonical_form, by_loops):
                program.check(run(program.tensors, program.inputs))
            for target in arguments.target:
                outputs = tensorc.compile(list(program.tensors), target=target)(*program.inputs)
                program.check(outputs if isinstance(outputs, tuple) else (outputs,))
        except Exception:
            failures += 1
            print(f"---- program {number} failed")
            if program is not None:
                print(ComputeDAG.from_tensors(program.tensors))
            traceback.print_exc(limit=-6)
    print(f"{arguments.count} programs, {failures} failed")


if __name__ == "__main__":
    main()
