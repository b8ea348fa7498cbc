"""What the rule ``race`` finds without an assertion, and what it says of programs that are right.

Usage: ``python benchmarks/races.py``. README.md beside this file says what the numbers mean. The
exit status is 1 when a limit is missed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence

import measuring

LEAST_FOUND = 10

# Searches for races in all programs, and prints what became of each, by its group.
_PROGRAM = """
import ast, functools, json, sys, types, warnings
sys.path.insert(0, sys.argv[1])
import aldente
from tests.conformance import correct
from tests.known_bugs import atomic, atomicity, harmless_races, races
from tests.known_bugs.table import BUGS
warnings.simplefilter("ignore")
# Nobody says what is meant to be atomic.
aldente.serializable = lambda thing, *others, **options: thing

class WithoutAsserts(ast.NodeTransformer):
    def visit_Assert(self, node):
        # What it asserts may await something.
        return ast.copy_location(ast.Expr(node.test), node)

@functools.cache
def without_asserts(name):
    file = sys.modules[name].__file__
    with open(file) as source:
        tree = ast.fix_missing_locations(WithoutAsserts().visit(ast.parse(source.read())))
    module = types.ModuleType(name)
    module.__file__ = file
    module.__package__ = name.rpartition(".")[0]
    exec(compile(tree, file, "exec"), vars(module))
    return module

def outcome(main):
    found = aldente.search(main, runs=200, seed=1, shrink=False)
    if found.failure is not None:
        return "fails"
    return "race" if any(each.startswith("race:") for each in found.findings) else ""

def of_kinds(programs):
    return (
        {program.__name__: outcome(functools.partial(program, False)) for program in programs},
        {program.__name__: outcome(functools.partial(program, True)) for program in programs},
    )

bugs = [
    getattr(without_asserts(bug.program.__module__), bug.name) for bug in BUGS if not bug.has_faults
]
found, twins = {}, {}
for group, programs in (
    ("known bugs without their assertions", bugs),
    ("objects meant to be atomic", atomicity.PROGRAMS),
    ("programs with a race", races.PROGRAMS),
):
    found[group], twins[group] = of_kinds(programs)
right = {
    "correct programs": {
        name: outcome(program) for name, program in correct.programs_for_this_python().items()
    },
    "atomic objects": {each.__name__: outcome(each) for each in atomic.PROGRAMS},
    "harmless overlaps": {each.__name__: outcome(each) for each in harmless_races.PROGRAMS},
}
print(json.dumps([found, twins, right]))
"""

Groups = Mapping[str, Mapping[str, str]]


def search(python: str) -> tuple[Groups, Groups, Groups]:
    """What becomes of programs with bugs, of their twins, and of other programs that are right."""
    environment = measuring.make_environment("races", python, ["pytest"])
    wheel = measuring.build_wheel(environment)
    measuring.install(environment, ["--force-reinstall", "--no-deps", str(wheel)])
    result = subprocess.run(
        [str(environment), "-c", _PROGRAM, str(measuring.ROOT)],
        capture_output=True,
        text=True,
        check=False,
        env=measuring.clean_environment(),
    )
    if result.returncode:
        raise measuring.ChildFailed(["python", "-c", "..."], result.returncode, result.stderr)
    found, twins, right = json.loads(result.stdout.splitlines()[-1])
    return found, twins, right


def main(arguments: Sequence[str] | None = None) -> int:
    """Search, print what was found where, and say whether the limits are kept."""
    options = measuring.parse_arguments(__doc__, arguments)
    found, twins, right = search(options.python)
    print(f"Python {measuring.python_version(options.python)}, 200 runs each")
    total = 0
    for group, outcomes in found.items():
        by_rule = [name for name, outcome in outcomes.items() if outcome == "race"]
        failing = sum(outcome == "fails" for outcome in outcomes.values())
        total += len(by_rule)
        print(f"  {group}: {len(outcomes)}; fail by themselves: {failing}; race: {len(by_rule)}")
        print(f"    {', '.join(by_rule)}")
    wrong = 0
    for group, outcomes in [
        *((f"twins of {name}", each) for name, each in twins.items()),
        *right.items(),
    ]:
        false = [name for name, outcome in outcomes.items() if outcome]
        wrong += len(false)
        print(f"  {group}: {len(outcomes)}; wrong: {', '.join(false) or 'none'}")
    is_kept = total >= LEAST_FOUND and not wrong
    print(f"limits: {'kept' if is_kept else 'MISSED'}")
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
