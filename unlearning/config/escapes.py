"""Line ends and tabs in texts of the command line."""


def unescaped(text: str) -> str:
    r"""Return the text with a line end for each `\n` and a tab for each `\t` that is written out in it.

    A shell and Hydra hand `prompt.separator='\n'` on as these two characters.
    """
    return text.replace("\\n", "\n").replace("\\t", "\t")
