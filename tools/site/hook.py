"""MkDocs' hook: it adds the pages that are made from code, and the tutorial from its notebook."""

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from tools.site import choices, keys, messages, notebook  # noqa: E402


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages and the pictures of the tutorial."""
    tutorial, pictures = notebook.page(ROOT / "docs" / "tutorial.ipynb")
    generated: dict[str, str | bytes] = {
        "tutorial.md": tutorial,
        "reference/methods.md": choices.methods_page(),
        "reference/choices.md": choices.choices_page(),
        "reference/keys.md": keys.page(),
        "reference/messages.md": messages.page(),
        **pictures,
    }
    for name, content in generated.items():
        files.append(File.generated(config, name, content=content))
    return files
