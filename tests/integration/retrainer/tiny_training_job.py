"""A training that takes no time: publishes a tiny but real ONNX file, after doing what `script.json` says.

Run in place of `millrace.consumers.retrainer.job`. The steps of the script are used up one by one, the last one
repeats: `kill`, `stuck`, `error` (a sentence, with `transient` if a server is away), `held` (train only once the file
`go` is there), `metrics` or `encoder_events` for the version's card. What each request asked to renew is appended to
`refreshes`.
"""

import argparse
import json
import os
import signal
import sys
import time
from typing import Any

import numpy as np
import onnx

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.settings import Settings, load_settings
from millrace.model.network.config import NetworkConfig
from millrace.model.registry import Registry, VersionCard
from millrace.stores.event_log import open_event_log
from millrace.stores.item_ids import write_item_ids
from millrace.streams.scoring.card import ServingCard


def tell(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def next_step(settings: Settings) -> dict[str, object]:
    script = settings.home / "script.json"
    steps = json.loads(script.read_text())
    step: dict[str, object] = steps.pop(0) if len(steps) > 1 else steps[0]
    script.write_text(json.dumps(steps))
    return step


def misbehave(settings: Settings, step: dict[str, object]) -> None:
    if step.get("stuck"):
        (settings.registry_dir / ".unfinished-stuck").mkdir(parents=True)
        (settings.home / "stuck").write_text(str(os.getpid()))
        time.sleep(600)
    if step.get("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    if step.get("error"):
        tell(error=step["error"], transient=bool(step.get("transient")))
        sys.exit(1)
    while step.get("held") and not (settings.home / "go").exists():
        time.sleep(0.01)


def publish(settings: Settings, parent: str | None, step: dict[str, Any]) -> str:
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [value("x", 1, [1])], [value("y", 1, [1])])
    network = settings.home / "tiny.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), network)
    serving = ServingCard(
        version="",
        triton_model="",
        items=1,
        vector_width=1,
        feature_names=("f",),
        context_names=("u",),
        weights=(1.0,),
        context_weights=((0.0,),),
    )
    config = NetworkConfig(items=1, genres=(), features=1, context=1)
    log = open_event_log(settings)
    learned = {"position": log.end(), "events": log.count(), "encoder_events": step.get("encoder_events", 0)}
    card = VersionCard(serving=serving, network=config, parent=parent, metrics=step.get("metrics", {}), **learned)
    log.close()
    version = Registry(settings.registry_dir).publish(card, network, {}, np.zeros((2, 1), np.float16))
    write_item_ids(version.path, {1: CatalogueItem(item_id="i1")})
    return version.name


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent")
    options = parser.parse_args()
    settings, parent = load_settings(), options.parent
    for line in sys.stdin:
        with (settings.home / "refreshes").open("a") as refreshes:
            refreshes.write(json.loads(line)["refresh"] + "\n")
        step = next_step(settings)
        tell(phase="encoder", fraction=0.5)
        sys.stdout.write("something a library prints\n")
        misbehave(settings, step)
        parent = publish(settings, parent, step)
        tell(version=parent)


if __name__ == "__main__":
    main()
