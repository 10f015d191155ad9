"""Make `.venv`: locked dependencies by hash, and this project as a built wheel (not editable).

    python3 scripts/bootstrap.py demo|test

Standard library only. What is done already (same Python, same locks, same sources) is not done
again. The user's own pip configuration says where packages come from. Exit status 3 when the
environment cannot be made.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import system_packages

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMPS = VENV / "stamps"
BACKEND = VENV / "backend"  # hatchling lives apart: it is not part of what is installed
WHEEL = VENV / "wheel"
PACKAGES = ("ceremony", "hsm", "transcripts", "tui")
LOCKS = {name: ROOT / "requirements" / f"{name}.lock" for name in ("runtime", "build", "dev")}
BUILD = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
PARTS = (
    "from tui.rehearsal.parts import default_cache, find_parts, running_architecture;"
    "print('set-up: the demo image is of', "
    "find_parts(default_cache(), running_architecture()).description)"
)


def main(arguments: list[str]) -> int:
    """Set up for `demo` or `test`; return the exit status."""
    if len(arguments) != 1 or arguments[0] not in system_packages.PURPOSES:
        print("usage: bootstrap.py demo|test", file=sys.stderr)
        return 2
    purpose = arguments[0]
    checkout = os.open(ROOT, os.O_RDONLY)
    wait_for_turn(checkout)
    provide_ensurepip(purpose)
    system_packages.provide(system_packages.PURPOSES[purpose])
    try:
        environment()
        if purpose == "test":
            development()
        project()
        image_parts()
    except subprocess.CalledProcessError as error:
        print(f"set-up: stopped, this failed: {' '.join(map(str, error.cmd))}", file=sys.stderr)
        return 3
    return 0


def wait_for_turn(checkout: int) -> None:
    """Lock the checkout: two set-ups at once would spoil each other's .venv."""
    try:
        fcntl.flock(checkout, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("set-up: waiting for another set-up in this folder to end", flush=True)
        fcntl.flock(checkout, fcntl.LOCK_EX)


def environment() -> None:
    """Make `.venv` with the runtime dependencies, unless this very one is there."""
    key = digest(
        LOCKS["runtime"],
        LOCKS["build"],
        text=f"{ROOT}\n{sys.base_prefix}\n{sys.implementation.cache_tag}",
    )
    if stamped("environment", key):
        return
    print("set-up: making .venv", flush=True)
    run([sys.executable, "-m", "venv", "--clear", VENV])
    pip("--require-hashes", "--requirement", LOCKS["runtime"])
    pip("--require-hashes", "--target", BACKEND, "--requirement", LOCKS["build"])
    stamp("environment", key)


def development() -> None:
    """Add the tools of `make test`."""
    key = digest(LOCKS["dev"])
    if stamped("development", key):
        return
    print("set-up: adding the tools for tests", flush=True)
    pip("--require-hashes", "--requirement", LOCKS["dev"])
    stamp("development", key)


def project() -> None:
    """Build the wheel from the sources and install it, unless these very sources are in."""
    sources = sorted(
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and not {"__pycache__", "golden"} & set(path.parts)
    )
    key = digest(ROOT / "pyproject.toml", ROOT / "LICENSE", *sources)
    if stamped("project", key):
        return
    print("set-up: building and installing the wheel", flush=True)
    shutil.rmtree(WHEEL, ignore_errors=True)
    WHEEL.mkdir()
    run([PYTHON, "-c", BUILD, WHEEL], PYTHONPATH=str(BACKEND))
    pip("--no-deps", "--no-index", "--force-reinstall", *WHEEL.glob("*.whl"))
    isolate(VENV / "bin/uki-ceremony")
    stamp("project", key)


def isolate(script: Path) -> None:
    """Start the console script with -I, so that no PYTHONPATH is looked at even once."""
    first, _, rest = script.read_text(encoding="utf-8").partition("\n")
    if first.startswith("#!/") and " " not in first:
        script.write_text(f"{first} -I\n{rest}", encoding="utf-8")


def image_parts() -> None:
    """Fetch what the demo image is made of, once; offline a rehearsal finds something else."""
    key = digest(text=str(PYTHON))
    if stamped("parts", key):
        return
    print("set-up: getting kernel, EFI stub and busybox for the demo image", flush=True)
    run([PYTHON, "-I", "-c", PARTS])
    stamp("parts", key)


def provide_ensurepip(purpose: str) -> None:
    """Have the part of Python that Debian keeps in a package of its own, or stop."""
    if importlib.util.find_spec("ensurepip") is not None:
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    prefix = system_packages.administrator()
    if prefix is not None:
        print(f"set-up: installing with apt-get: {package}", flush=True)
        system_packages.install(prefix, [package])
    importlib.invalidate_caches()
    if importlib.util.find_spec("ensurepip") is None:
        run = f"install what your system calls {package}"
        if shutil.which("apt-get"):
            wanted = (p.name for p in system_packages.PURPOSES[purpose] if not p.present())
            names = " ".join((package, *wanted))
            run = f"run: sudo apt-get install --no-install-recommends {names}"
        text = "set-up: stopped, this Python cannot make an environment (it has no ensurepip)"
        print(f"{text}; {run}", file=sys.stderr)
        raise SystemExit(3)


def pip(*arguments: str | Path) -> None:
    """Install into `.venv`; built distributions only, so nothing unhashed is run."""
    options = ("-qq", "--no-input", "--disable-pip-version-check", "--no-warn-script-location")
    run([PYTHON, "-m", "pip", "install", *options, "--only-binary", ":all:", *arguments])


def run(command: list[str | Path], **changed: str) -> None:
    """Run one command in the checkout, free of the caller's Python settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run(command, cwd=ROOT, env=kept | changed, stdin=subprocess.DEVNULL, check=True)


def digest(*files: Path, text: str = "") -> str:
    """Return a SHA-256 over names and contents: what decides whether work is done already."""
    total = hashlib.sha256(text.encode())
    for path in files:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(ROOT)} {content}\n".encode())
    return total.hexdigest()


def stamped(name: str, key: str) -> bool:
    """Say whether the work `name` was finished with this key."""
    path = STAMPS / name
    return path.is_file() and path.read_text(encoding="ascii") == key and PYTHON.exists()


def stamp(name: str, key: str) -> None:
    """Note that the work `name` is finished."""
    STAMPS.mkdir(exist_ok=True)
    (STAMPS / name).write_text(key, encoding="ascii")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
