"""Tries malformed input of all that aldente reads from outside, at length.

Usage: ``python benchmarks/fuzz_inputs.py [--quick]``. Tests try a part of it; this takes some
minutes. It measures nothing. What may come of an input is a valid value, or an error that names the
input and what to do. The exit status is 1 when anything else has come of one: another exception, no
end, more memory than 2 GB, a program that is started, a connection, a pickle that is read, a file
that is written elsewhere.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import measuring

_PROGRAM = """
import collections, faulthandler, os, pathlib, resource, sys, tempfile, time
from tests.outside_input import parsers, plugin_parsers

PART = int(sys.argv[1])
# How many inputs each gets; more where one takes less time.
COUNTS = {
    "tokens": 40_000, "replays of forged tokens": 600, "search states": 12_000,
    "stop files": 10_000, "commands": 3_000, "settings": 40_000, "configurations": 2_000,
    "baselines": 12_000, "kept failures": 12_000, "messages of workers": 20_000,
    "the variable of workers": 5_000,
}
REFUSED = {
    "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "pickle.find_class",
    "ctypes.dlopen", "socket.connect", "socket.bind", "socket.getaddrinfo", "os.symlink",
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
seen, folder = [], pathlib.Path(tempfile.mkdtemp())
# Where what is written belongs.
places = str(folder) + os.sep, os.devnull

def audit(event, arguments):
    if event in REFUSED:
        seen.append(f"{event} {arguments!r:.200}")
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
        given = os.devnull if isinstance(arguments[0], int) else os.fsdecode(arguments[0])
        path = os.path.abspath(given)
        # In the folder for temporary files pytest has files without a name.
        if path != tempfile.gettempdir() and not path.startswith(places):
            seen.append(f"writes {path!r}")

def tried(parser, count):
    began, kinds = time.perf_counter(), collections.Counter()
    samples = {}
    # One input takes milliseconds.
    faulthandler.dump_traceback_later(120, exit=True)
    for outcome in parsers.outcomes(parser, count):
        faulthandler.cancel_dump_traceback_later()
        faulthandler.dump_traceback_later(120, exit=True)
        kind, text = outcome.kind, outcome.text
        if kind == "valid":
            # The message of a worker that came as it was sent is the one pickle that is read.
            seen[:] = [each for each in seen if not each.startswith("pickle.")]
        if seen:
            kind, text = "anything else", f"it did more than read: {seen.pop()}"
            seen.clear()
        kinds[kind] += 1
        if kind == "anything else":
            samples.setdefault(text[:60], (text, outcome.given))
    faulthandler.cancel_dump_traceback_later()
    print(f"{parser.name:26}{count:8,}{kinds['valid']:9,}{kinds['clear error']:13,}"
          f"{kinds['anything else']:15,}{time.perf_counter() - began:8.0f} s", flush=True)
    for text, given in list(samples.values())[:10]:
        print(f"    {text[:500]!a}\\n    given {given!a:.300}", flush=True)
    return kinds

def main():
    print("input                        tried    valid  clear error  anything else      time")
    kinds = collections.Counter()
    with plugin_parsers.parsers(folder) as of_plugin:
        table = *parsers.parsers(folder), *of_plugin
        assert {each.name for each in table} == set(COUNTS)
        for parser in table:
            kinds += tried(parser, max(COUNTS[parser.name] // PART, len(parser.always)))
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    valid, errors = kinds["valid"], kinds["clear error"]
    print(f"{sum(kinds.values()):,} inputs: {valid:,} valid, {errors:,} clear errors, "
          f"{kinds['anything else']:,} anything else; {used / 1024:.0f} MB at most")
    return bool(kinds["anything else"])

most = 2 * 2**30
resource.setrlimit(resource.RLIMIT_AS, (most, most))
sys.addaudithook(audit)
sys.exit(main())
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Try it all, and say whether anything else has come of an input."""
    options = measuring.parse_arguments(__doc__, arguments)
    python = measuring.make_environment("simulation-proofs", options.python, ["pytest"])
    wheel = measuring.build_wheel(python)
    measuring.install(python, ["--force-reinstall", "--no-deps", str(wheel)])
    part = 10 if options.rounds == 3 else 1
    print(f"Python {measuring.python_version(options.python)}")
    child = subprocess.run(
        # Warnings are errors, as in a project that has them so; no bytecode is written.
        [str(python), "-B", "-W", "error", "-c", _PROGRAM, str(part)],
        cwd=measuring.ROOT,
        env=measuring.clean_environment(),
        check=False,
    )
    return min(child.returncode, 1) if child.returncode >= 0 else 1


if __name__ == "__main__":
    sys.exit(main())
