"""Breaks the core once in each listed way, in a copy of what is committed, and sees whether a test fails.

With `--check`, only sees whether each mutation still finds its place. core.txt lists them and describes its own form.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WORK = ROOT / "target" / "mutants"
TREE = WORK / "tree"

# Seconds that a suite may take; a mutation that makes it hang was noticed too.
LIMIT = 300

# The models that have to do with a file.
MODELS = {
    "word.rs": ["mutex", "used_up_goes", "writer"],
    "rwlock.rs": ["reader", "writer"],
    "semaphore.rs": ["permit"],
    "signal.rs": ["notification", "atomic", "barrier"],
    "condvar.rs": ["notification"],
    "event.rs": ["event"],
    "barrier.rs": ["barrier"],
    "tracked.rs": ["tracked"],
    "pool.rs": ["models::pool"],
    "value.rs": ["models::pool"],
}


@dataclass
class Mutation:
    name: str
    file: str = ""
    suites: list[str] = field(default_factory=list)
    equivalent: str = ""
    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


def read_list() -> list[Mutation]:
    mutations: list[Mutation] = []
    for line in (HERE / "core.txt").read_text().splitlines():
        key, _, rest = line.partition(" ")
        match key:
            case "" | "#":
                continue
            case "==":
                mutations.append(Mutation(rest))
            case "file":
                mutations[-1].file = rest
            case "suites":
                mutations[-1].suites = rest.split()
            case "equivalent":
                mutations[-1].equivalent = rest
            case "-":
                mutations[-1].old.append(rest)
            case "+":
                mutations[-1].new.append(rest)
            case _:
                sys.exit(f"mutants: not understood: {line}")
    return mutations


def copy_tree() -> None:
    """What is committed. A file that is as it was in the last run keeps its date, so that little is built anew."""
    listing = subprocess.check_output(["git", "ls-tree", "-rz", "--name-only", "HEAD"], cwd=ROOT)
    for name in listing.decode().split("\0"):
        if name:
            content = subprocess.check_output(["git", "show", f"HEAD:{name}"], cwd=ROOT)
            to = TREE / name
            if not to.exists() or to.read_bytes() != content:
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(content)
            if name.endswith(".sh"):
                to.chmod(0o755)


def command(suite: str, file: str) -> list[str]:
    test = ["cargo", "test", "--quiet", "--package"]
    match suite:
        case "unit":
            return [*test, "shmkit", "--lib"]
        case "it":
            return [*test, "shmkit", "--test", "it", "--", "objects::", "processes::"]
        case "memory":
            return [*test, "shmkit", "--test", "it", "--", "pool::", "value::"]
        case "log":
            return [*test, "shmkit", "--test", "it", "--", "log::"]
        case "storm":
            return [*test, "shmkit", "--test", "it", "--", "storm::"]
        case "crash":
            return [*test, "shmkit-crash", "--lib"]
        case "loom":
            return ["tools/loom.sh", "--", *MODELS.get(Path(file).name, [])]
    sys.exit(f"mutants: no suite {suite}")


def passes(suite: str, file: str) -> bool:
    """Whether the suite passes; ends this program when it does not even compile."""
    environment = os.environ | {
        "CARGO_TARGET_DIR": str(WORK / "build"),
        "CARGO_PROFILE_RELEASE_LTO": "off",
        "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
        "RUST_BACKTRACE": "0",
    }
    words = command(suite, file)
    cut = words.index("--") if "--" in words else len(words)
    build = subprocess.run([*words[:cut], "--no-run"], cwd=TREE, env=environment, capture_output=True, text=True)
    if build.returncode:
        sys.exit(f"mutants: it does not compile:\n{build.stderr}")
    # A process group of its own, so that what hangs can be ended with all its children.
    with subprocess.Popen(
        words,
        cwd=TREE,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as test:
        try:
            return test.wait(LIMIT) == 0
        except subprocess.TimeoutExpired:
            os.killpg(test.pid, 9)
            return False


def misplaced(mutation: Mutation, tree: Path) -> str:
    """Why the mutation cannot be made there; empty when it can."""
    path, old = tree / mutation.file, "\n".join(mutation.old)
    count = path.read_text().count(old) if path.exists() else 0
    return "" if count == 1 else f"mutants: '{mutation.name}': found {count} times in {mutation.file}:\n{old}"


def apply(mutation: Mutation) -> tuple[Path, str]:
    """Changes the file in the copy; returns it with what it was."""
    if problem := misplaced(mutation, TREE):
        sys.exit(problem)
    path = TREE / mutation.file
    content = path.read_text()
    path.write_text(content.replace("\n".join(mutation.old), "\n".join(mutation.new)))
    return path, content


def check() -> None:
    problems = [problem for mutation in read_list() if (problem := misplaced(mutation, ROOT))]
    sys.exit("\n\n".join(problems) or 0)


def main(pattern: str) -> None:
    copy_tree()
    mutations = [mutation for mutation in read_list() if re.search(pattern, mutation.name)]
    for suite, file in sorted({(s, m.file if s == "loom" else "") for m in mutations for s in m.suites}):
        if not passes(suite, file):
            sys.exit(f"mutants: {suite} fails without a mutation")
    unexpected = 0
    for mutation in mutations:
        path, content = apply(mutation)
        try:
            failing = next((suite for suite in mutation.suites if not passes(suite, mutation.file)), None)
        finally:
            path.write_text(content)
        if failing:
            result = f"killed by {failing}"
        elif mutation.equivalent:
            result = f"survives, as it should: {mutation.equivalent}"
        else:
            result = f"SURVIVES {' '.join(mutation.suites)}"
        unexpected += bool(failing) == bool(mutation.equivalent)
        print(f"{mutation.name}: {result}", flush=True)
    print(f"{len(mutations)} mutations, {unexpected} not as expected")
    sys.exit(unexpected > 0)


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        check()
    main(sys.argv[1] if len(sys.argv) > 1 else "")
