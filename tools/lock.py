"""Write the lock files: every dependency pinned with hashes, no registry host named.

    python tools/lock.py [--cpu-wheel torch-2.13.0+cpu-....whl ...]

requirements.lock holds what every machine needs, requirements-torch.lock holds PyTorch, and requirements-cuda.lock
holds what CUDA builds of PyTorch also need; it is installed only beside such a build. A CPU build of PyTorch has the
same version and may come from a local file, whose hash --cpu-wheel adds. PyTorch has its own file, because pip prefers
what an index offers if it is given both.
"""

import argparse
import hashlib
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TORCH = "2.13.0"
CUDA = re.compile(r"(nvidia-|cuda-|triton)")


def main() -> None:
    """Resolve the dependencies for Python 3.11 to 3.13 and write the three lock files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu-wheel", type=Path, action="append", default=[])
    wheels: list[Path] = parser.parse_args().cpu_wheel
    packages = re.split(r"\n(?=[A-Za-z0-9])", resolve().strip())
    common = [package for package in packages if not CUDA.match(package)]
    cuda = [package for package in packages if CUDA.match(package)]
    hashes = [f"--hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}" for wheel in wheels]
    torch = [with_hashes(package, hashes) for package in common if package.startswith("torch==")]
    common = [package for package in common if not package.startswith("torch==")]
    (ROOT / "requirements-torch.lock").write_text("\n".join(torch) + "\n")
    (ROOT / "requirements.lock").write_text("\n".join(common) + "\n")
    (ROOT / "requirements-cuda.lock").write_text("\n".join(cuda) + "\n")
    print(f"{len(common)} packages, {len(cuda)} for CUDA")


def resolve() -> str:
    """Return the resolution for all platforms as the text of a requirements file with hashes."""
    command = ["uv", "pip", "compile", str(ROOT / "pyproject.toml"), "--extra", "dev", "--extra", "docs", "--universal"]
    command += [
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--no-emit-index-url",
        "--no-header",
        "--no-annotate",
    ]
    command += ["--quiet", "--constraint", "-"]
    done = subprocess.run(command, input=f"torch=={TORCH}\n", capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def with_hashes(package: str, hashes: list[str]) -> str:
    """Return the entry of a package with more allowed hashes."""
    return " \\\n    ".join([package, *hashes])


if __name__ == "__main__":
    main()
