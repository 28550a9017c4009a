"""Says how to get a library that the base install leaves out."""

import sys

# The newest Python for which the extras name libraries; the markers in pyproject.toml say the same.
ROLES_PYTHON = (3, 11)


def how_to_install(extra: str) -> str:
    """Return the end of an error text, without a full stop, about a library of an extra that is missing."""
    requirement = f"'millrace-recommender[{extra}]'"
    here, wanted = sys.version_info[:2], ".".join(map(str, ROLES_PYTHON))
    if here > ROLES_PYTHON:
        return (
            f"it is available on Python {wanted} only, and this is Python {'.'.join(map(str, here))}: "
            f"run the command from an environment of Python {wanted} with {requirement} installed"
        )
    return f"install it with: pip install {requirement}"
