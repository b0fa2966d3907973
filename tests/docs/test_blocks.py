"""The pages for users hold: each block of code compiles and runs, each name exists, and each link leads somewhere.

A block stands in a page as one would write it in the middle of a program; `PRELUDE` is what such a program did before.
"""

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.objects import Names, object_path

import shmkit

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "python/README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
#: What pages call a region.
REGIONS = ("hits", "frames")
#: For what may have to build the library first.
BUILD_LIMIT_S = 600

PRELUDE = {
    "python": """\
        import asyncio, struct, shmkit
        open("samples.bin", "wb").write(bytes(4096))
        """,
    "python/README.md": """\
        region = shmkit.Region.open_or_create("frames", 1 << 20)
        def repair(region): pass
        """,
    "c": """\
        shmkit_error_t error = SHMKIT_ERROR_INIT;
        int number = 1, us = 2;
        """,
}
GO_MAIN = """
func main() {
    ctx, cancel := context.WithTimeout(context.Background(), time.Second)
    defer cancel()
    if err := run(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
        panic(err)
    }
}
"""
GO_PACKAGES = ("context", "encoding/binary", "errors", "fmt", "time")


@dataclass
class Block:
    page: str
    line: int
    language: str
    text: str

    @property
    def id(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(language: str) -> list[Block]:
    found = []
    for page in PAGES:
        content = page.read_text()
        for match in FENCE.finditer(content):
            if match[2] == language:
                line = content.count("\n", 0, match.start()) + 2
                found.append(Block(str(page.relative_to(ROOT)), line, language, textwrap.dedent(match[3])))
    assert found, f"no page shows {language}"
    return found


def each(language: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", [pytest.param(block, id=block.id) for block in blocks(language)])


def with_fresh_region(text: str, name: str) -> str:
    for region in REGIONS:
        text = text.replace(f'"{region}"', f'"{name}"')
    return text


def run(*command: str | Path, cwd: Path, limit_s: float = 60, **environment: str) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=limit_s)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"


@pytest.fixture
def region_name(names: Names) -> Iterator[str]:
    """The name of the region of a block, which need not have unlinked it."""
    name = names.fresh()
    yield name
    object_path(name).unlink(missing_ok=True)


@each("python")
def test_python(block: Block, region_name: str, tmp_path: Path) -> None:
    text = block.text
    if "await " in text:
        text = "async def main():\n" + textwrap.indent(text, "    ") + "\nasyncio.run(main())\n"
    preludes = (PRELUDE["python"], PRELUDE.get(block.page, ""))
    program = tmp_path / "block.py"
    program.write_text(with_fresh_region("".join(map(textwrap.dedent, preludes)) + text, region_name))
    run(sys.executable, "-W", "error", program, cwd=tmp_path)


@each("c")
def test_c(block: Block, region_name: str, tmp_path: Path) -> None:
    program = tmp_path / "block.c"
    body = textwrap.dedent(PRELUDE["c"]) + "{\n" + block.text + "}\n(void)error, (void)number, (void)us;\nreturn 0;"
    text = f"#include <shmkit.h>\n#include <stdio.h>\nint main(void) {{\n{body}\n}}\n"
    program.write_text(with_fresh_region(text, region_name))
    strict = ("-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror")
    library = (ROOT / "build/c/libshmkit.a", "-lpthread", "-ldl", "-lm")
    run("cc", *strict, f"-I{ROOT / 'include'}", program, *library, "-o", tmp_path / "block", cwd=tmp_path)
    run(tmp_path / "block", cwd=tmp_path)


@pytest.mark.timeout(BUILD_LIMIT_S)
@each("go")
def test_go(block: Block, region_name: str, tmp_path: Path) -> None:
    """Blocks are the body of a function that has a context and returns an error."""
    text = f"func run(ctx context.Context) error {{\n{block.text}\nreturn nil\n}}\n{GO_MAIN}"
    imports = [package for package in GO_PACKAGES if f"{package.split('/')[-1]}." in text]
    quoted = "".join(f'"{package}"\n' for package in imports)
    module = "github.com/shmkit/shmkit/go"
    program = f'package main\nimport (\n{quoted}\nshmkit "{module}"\n)\n{text}'
    (tmp_path / "main.go").write_text(with_fresh_region(program, region_name))
    version = re.search(r"^go .*$", (ROOT / "go/go.mod").read_text(), re.MULTILINE)
    requires = f"require {module} v0.0.0\nreplace {module} => {ROOT / 'go'}\n"
    (tmp_path / "go.mod").write_text(f"module block\n{version[0]}\n{requires}")
    run("go", "build", "-o", "block", ".", cwd=tmp_path, limit_s=BUILD_LIMIT_S, GOFLAGS="-mod=mod", GOPROXY="off")
    run(tmp_path / "block", cwd=tmp_path)


@pytest.mark.timeout(BUILD_LIMIT_S)
def test_rust(names: Names, tmp_path: Path) -> None:
    """All in one package, which is built once. A block without a `main` is the body of one that returns our errors."""
    manifest = f"""
        [package]
        name = "blocks"
        edition = "2024"
        [dependencies]
        shmkit = {{ path = "{ROOT / "core"}" }}
        [workspace]
        """
    (tmp_path / "Cargo.toml").write_text(textwrap.dedent(manifest))
    (tmp_path / "Cargo.lock").write_bytes((ROOT / "Cargo.lock").read_bytes())
    programs = tmp_path / "src/bin"
    programs.mkdir(parents=True)
    regions = []
    for index, block in enumerate(blocks("rust")):
        regions.append(names.fresh())
        whole = "fn main()" in block.text
        text = block.text if whole else f"fn main() -> shmkit::Result<()> {{\n{block.text}\nOk(())\n}}\n"
        (programs / f"block{index}.rs").write_text(with_fresh_region(text, regions[index]))
    # What the tests of the core have built is there already.
    target = {"CARGO_TARGET_DIR": str(ROOT / "target")}
    for index, name in enumerate(regions):
        command = ("cargo", "run", "--quiet", "--offline", "--bin", f"block{index}")
        try:
            run(*command, cwd=tmp_path, limit_s=BUILD_LIMIT_S, **target)
        finally:
            object_path(name).unlink(missing_ok=True)


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_names_and_links(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert "://" in target or (page.parent / target).exists(), f"no {target}"
    header = (ROOT / "include/shmkit.h").read_text()
    # A name that ends with an underscore is a part of one; so is one before an ellipsis.
    for name in re.findall(r"\bshmkit_[a-z0-9_]*[a-z0-9]\b(?!…|\*|_)", text):
        assert re.search(rf"\b{name}\b", header), f"C has no {name}"
    of_go = "".join(file.read_text() for file in (ROOT / "go").glob("*.go"))
    for name in re.findall(r"\bshmkit\.([A-Z]\w*)", text):
        in_go = re.search(rf"^(func|type) {name}\b|^\t{name}\b", of_go, re.MULTILINE)
        assert in_go or hasattr(shmkit, name), f"neither Go nor Python has {name}"
