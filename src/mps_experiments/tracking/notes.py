"""The description of a sweep's run as MLflow shows it: Markdown, of limited length; pure."""

_MAX_NOTE = 8000  # characters of a tag; MLflow would cut the rest off in mid-word
_CUT = "\n\n(shortened: all of it is in the artifacts)"
_FENCE = "```"


def note_of(description: str, link: str) -> str:
    """The description and the way to the runs, cut at the end of a line where it is too long.

    Args:
        description: Markdown.
        link: Address of the sweep's runs, relative to the UI's.
    """
    tail = f"\n\n[The runs of this sweep, by ratio]({link})\n"
    if len(description) + len(tail) <= _MAX_NOTE:
        return description.rstrip() + tail
    room = _MAX_NOTE - len(tail) - len(_CUT) - len(f"\n{_FENCE}")
    kept = description[:room].rpartition("\n")[0] or description[:room]
    if kept.count(_FENCE) % 2:  # the line that would close it is gone
        kept += f"\n{_FENCE}"
    return kept.rstrip() + _CUT + tail
