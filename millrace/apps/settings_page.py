"""Writes docs/reference/configuration.md from the settings themselves, so that the page cannot be out of date."""

import json

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from millrace.kernel.settings import Settings

_HEAD = """# Configuration

This page is written by `millrace schemas --write` from `millrace/kernel/settings.py`; a test checks that it is current.

Every setting is an environment variable with the prefix `MILLRACE_`. It is read once, when a process starts. A running
stack keeps its configuration (addresses and every setting that its roles share, but no password) in `stack.json` in its
home folder: a command started with the same `MILLRACE_HOME` finds it there. A variable that is set wins over that file,
and the file wins over the defaults below.

<!-- not run: names servers that do not exist here -->

```bash
MILLRACE_KAFKA_BOOTSTRAP=kafka-1:9092,kafka-2:9092 MILLRACE_REDIS_URL=redis://redis:6379/0 millrace worker
```

An unusable value stops the command with one sentence that names the variable. So does a variable with this prefix that
is no setting: the sentence names the setting with the nearest name. Variables that Kubernetes makes for Services
(`MILLRACE_..._SERVICE_HOST`, `MILLRACE_..._PORT_..._TCP`) are ignored.

A JSON map adds to its default: `MILLRACE_IMPLIED_VALUES='{"add_to_cart": 4.2, "dislike": null}'` adds a type, removes
another and keeps the rest.

| variable | type | default | meaning |
|---|---|---|---|
"""


def settings_page() -> str:
    """Return the page as Markdown, one row per setting."""
    return _HEAD + "".join(_row(name, info) for name, info in Settings.model_fields.items())


def _row(name: str, info: FieldInfo) -> str:
    return f"| `MILLRACE_{name.upper()}` | {_type(info)} | {_default(info)} | {info.description} |\n"


def _type(info: FieldInfo) -> str:
    annotation = info.annotation
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    plain = name.replace("pathlib.", "").replace("typing.", "").replace(" | None", "")
    if plain.startswith("Literal"):
        return "one of " + ", ".join(f"`{choice}`" for choice in getattr(annotation, "__args__", ()))
    return "JSON map" if plain.startswith("dict") else {"str": "text", "Path": "path"}.get(plain, plain)


def _default(info: FieldInfo) -> str:
    value = info.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined or value == "":
        return "-"
    return f"`{json.dumps(value)}`" if isinstance(value, dict) else f"`{value}`"
