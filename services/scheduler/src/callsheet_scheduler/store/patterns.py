"""Builds what the database compares text with from what a person typed."""

from typing import Final

#: Characters that mean something in a regular expression of PostgreSQL.
_SPECIAL: Final = frozenset(r"""\.*+?^$|()[]{}""")


def any_case(text: str) -> str:
    """Return a regular expression of PostgreSQL that finds *text* as it stands, in any case.

    The case of each letter is unfolded here, so that it does not depend on the database's locale.
    """
    return "".join(_any_case(char) for char in text)


def _any_case(char: str) -> str:
    if char in _SPECIAL:
        return f"\\{char}"
    forms = {form for form in (char, char.lower(), char.upper()) if len(form) == 1}
    return char if len(forms) == 1 else f"[{''.join(sorted(forms))}]"


def below(folder: str) -> tuple[str, str]:
    """Return the first path below *folder* and the first that sorts behind all of them, by bytes."""
    return f"{folder}/", f"{folder}0"
