"""A text as Hydra's grammar reads it back."""

import re


def quoted(text: str) -> str:
    r"""Quote a text; a backslash counts as one of two only before a quote.

    >>> print(quoted("it's"), quoted("a\\b"), quoted("end\\"))
    'it\'s' 'a\b' 'end\\'
    """
    doubled = re.sub(r"(\\+)(?='|\Z)", r"\1\1", text)
    return "'" + doubled.replace("'", "\\'") + "'"
