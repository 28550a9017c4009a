"""The generated part of docs/: JSON Schemas of the records, the pages of all settings and of all commands."""

import json
from typing import Any

from pydantic import BaseModel

from millrace.apps.command_page import command_page
from millrace.apps.settings_page import settings_page
from millrace.kernel.contracts.dead_letter import DeadLetterHeaders
from millrace.kernel.contracts.event import ActivityEvent
from millrace.kernel.contracts.item import CatalogueItem
from millrace.kernel.contracts.recommendation import Recommendation

SCHEMAS: dict[str, type[BaseModel]] = {
    "event": ActivityEvent,
    "item": CatalogueItem,
    "recommendation": Recommendation,
    "dead-letter-headers": DeadLetterHeaders,
}


def json_schema(name: str) -> str:
    """Return one record's JSON Schema (2020-12) as indented text."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **SCHEMAS[name].model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


def generated_docs(command_line: Any) -> dict[str, str]:
    """Return the text of every generated file by its path under docs/.

    Args:
        command_line: The commands as typer makes them, see `command_page`.
    """
    files = {f"reference/schemas/{name}.json": json_schema(name) for name in SCHEMAS}
    return {**files, "reference/configuration.md": settings_page(), "reference/cli.md": command_page(command_line)}
