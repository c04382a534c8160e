"""The order of the rooms of unlearning/: a file imports only from rooms below its own, and never in a circle.

Everything is read from the source without running it.
"""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "unlearning"
ORDER = (
    {"errors", "artefacts", "identity", "context", "bootstrap"},
    {"locks", "progress"},
    {"config"},
    {"schedules", "objectives"},
    {"data"},
    {"models"},
    {"scopes", "sandbox"},
    {"mediation", "evaluation"},
    {"training"},
    {"plan"},
    {"probes"},
    {"runs"},
    {"report"},
    {"commands"},
    {"cli", "submission", "api"},
)
"""The rooms, and the files that lie loose, from the bottom to the top."""
HEAVY = ("torch", "transformers", "pytorch_lightning", "peft", "wandb", "datasets", "sklearn", "matplotlib", "pandas")


def imports(path: Path, top_level_only: bool = False) -> set[str]:
    """Return the modules that a file imports; at the top level, imports for type checking alone are left out."""
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if source(inner).exists() else node.module)
    return found


def source(name: str) -> Path:
    """Return the file of a module or of a package of this project."""
    place = PACKAGE.parent / name.replace(".", "/")
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def module(path: Path) -> str:
    """Return the name under which a file is imported."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor(name: str) -> int:
    """Return the place in `ORDER` of a module's room."""
    room = name.split(".")[1]
    return next(number for number, rooms in enumerate(ORDER) if room in rooms)


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def test_imports_run_one_way() -> None:
    """No room imports one beside or above it, and no files import each other, not even for types."""
    graph = {module(path): {name for name in imports(path) if name.startswith("unlearning.")} for path in FILES}
    upward = [
        f"{name} imports {other}"
        for name, others in graph.items()
        for other in others
        if other.split(".")[1] != name.split(".")[1] and floor(other) >= floor(name)
    ]
    assert not upward
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def reachable(name: str, seen: set[str]) -> set[str]:
    """Return every module that importing a module of this project imports."""
    for found in imports(source(name), top_level_only=True):
        if found in seen:
            continue
        seen.add(found)
        if found.startswith("unlearning.") and source(found).exists():
            reachable(found, seen)
    return seen


def test_few_files_lie_loose() -> None:
    """A new file belongs into a room."""
    assert len(list(PACKAGE.glob("[!_]*.py"))) <= 7


def test_the_command_line_starts_without_anything_heavy() -> None:
    """--help and --cfg answer at once, though Hydra loads the callback too."""
    found = reachable("unlearning.cli", set()) | reachable("unlearning.commands.sweep_callback", set())
    assert "unlearning.config.settings" in found
    assert not [name for name in found if name.split(".")[0] in HEAVY]


def test_objectives_know_torch_and_the_configuration_only() -> None:
    """The mathematics of losses needs nothing else."""
    for path in (PACKAGE / "objectives").glob("*.py"):
        outside = {name.split(".")[0] for name in imports(path)} - {"torch", "unlearning"}
        assert outside <= {"dataclasses", "abc", "enum", "math"}, path.name
