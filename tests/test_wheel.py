"""An installed wheel has everything that the checkout has: configuration, models, the report's style."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "unlearning"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of installed packages that holds only the wheel, built from this checkout."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def shipped(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files below a folder, compiled ones left out."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_every_file_is_inside(site: Path) -> None:
    """The wheel has the package with its templates, styles and models, and conf/."""
    installed = shipped(site / "unlearning")
    configuration = {f"conf/{name}": content for name, content in shipped(ROOT / "conf").items()}
    assert installed == {**shipped(PACKAGE), **configuration}
    for name in ("sandbox/assets/target/model.safetensors", "report/style.css", "report/sort.js", "conf/unlearn.yaml"):
        assert installed[name]
    assert "py.typed" in installed  # which tells type checkers that the package has types
    assert any(name.endswith(".j2") for name in installed)


def test_commands_compose_away_from_the_checkout(site: Path, tmp_path: Path) -> None:
    """The commands use the conf/ inside the wheel."""
    code = (
        "from unlearning import cli; from unlearning.config.location import conf_dir; print(conf_dir()); cli.unlearn()"
    )
    ended = subprocess.run(
        # -P keeps the working folder off the path; what PYTHONPATH names comes before an editable install.
        [sys.executable, "-P", "-c", code, "method=chunked_lora", "--cfg", "job"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[0] == str(site / "unlearning" / "conf")
    assert "method: chunked_lora" in ended.stdout
    assert not any(tmp_path.iterdir())


def test_commands_are_declared(site: Path) -> None:
    """The wheel declares all eight commands."""
    (entry_points,) = site.glob("*.dist-info/entry_points.txt")
    names = [line.split(" = ")[0] for line in entry_points.read_text().splitlines() if " = " in line]
    others = ("evaluate", "memorise", "merge", "plan", "probe", "report", "trace")
    assert sorted(names) == ["unlearn", *(f"unlearn-{name}" for name in others)]
