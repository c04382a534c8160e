"""Where the folder conf/ is."""

from pathlib import Path


def conf_dir() -> Path:
    """Return the folder conf/: inside the package in an installed wheel, beside the package in a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"
