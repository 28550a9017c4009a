import json
import re
from pathlib import Path

import jsonschema
import pytest
import typer

from millrace.apps.cli.app import build_app
from millrace.apps.schemas import SCHEMAS, generated_docs
from millrace.kernel.contracts import DeadLetterHeaders, EventPolicy, decode_event, decode_item
from millrace.kernel.contracts.event import ActivityEvent
from millrace.kernel.errors import Reason

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "reference/event-schema.md").read_text()
EXAMPLES = re.findall(r"```json ([a-z-]+)\n(.*?)```", PAGE, re.DOTALL)
GENERATED = generated_docs(typer.main.get_command(build_app()))
FAR_MS = 4_000_000_000_000


@pytest.mark.parametrize("name", sorted(GENERATED))
def test_generated_files_are_current(name: str) -> None:
    assert (DOCS / name).read_text() == GENERATED[name], "run `millrace schemas --write`"


def test_every_record_has_an_example() -> None:
    assert {name for name, _ in EXAMPLES} == set(SCHEMAS)


@pytest.mark.parametrize(("name", "text"), EXAMPLES)
def test_examples_are_valid(name: str, text: str) -> None:
    if name == "dead-letter-headers":
        headers = DeadLetterHeaders.from_kafka({key: value.encode() for key, value in json.loads(text).items()})
        assert {key: value.decode() for key, value in headers.to_kafka()} == json.loads(text)
        return
    jsonschema.validate(json.loads(text), SCHEMAS[name].model_json_schema())
    SCHEMAS[name].model_validate_json(text)
    if name == "event":
        decode_event(text.encode(), FAR_MS, EventPolicy())
    if name == "item":
        decode_item(text.encode(), EventPolicy())


@pytest.mark.parametrize("change", [{"user_id": 7}, {"user_id": ""}, {"ts_ms": "now"}, {"context": {"a": 1}}])
def test_the_published_schema_refuses_what_the_model_refuses(change: dict[str, object]) -> None:
    good = json.loads(EXAMPLES[0][1])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**good, **change}, SCHEMAS["event"].model_json_schema())
    with pytest.raises(ValueError, match="validation error"):
        ActivityEvent.model_validate_json(json.dumps({**good, **change}))


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_explained(reason: Reason) -> None:
    assert f"| `{reason}` |" in PAGE


def test_headers_survive_the_trip() -> None:
    headers = DeadLetterHeaders(
        reason=Reason.WRONG_TYPE, error="Schön ist es nicht.", topic="t", partition=1, offset=2, failed_at_ms=3
    )
    assert DeadLetterHeaders.from_kafka([("other", b"x"), *headers.to_kafka()]) == headers


def test_other_peoples_headers_are_refused() -> None:
    with pytest.raises(ValueError, match="reason"):
        DeadLetterHeaders.from_kafka(None)
