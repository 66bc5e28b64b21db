"""`trainyard init [DIR]`: a small program, and a manifest that runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainyard.cli.options import Output

_MANIFEST = """\
# What to train, on which data, on how much machine. Every field is in docs/manifest.md.
model_definition:
  name: {name}
  framework:
    name: {framework}          # `trainyard list frameworks` shows those there are
    version: "{version}"
  execution:
    command: python3 train.py --data ${{DATA_DIR}} --lr ${{lr}}
    resource: small             # a size; `trainyard quota` shows what your account has
    # What a run may be started with in the place of these: `trainyard train --set lr=0.1,0.01`.
    hyperparameters: {{lr: 0.05, epochs: 40}}

# Every object of this bucket is in $DATA_DIR before the program starts.
training_data_reference:
  # The store of the stack that `trainyard up` starts. For another one: `trainyard store add NAME --endpoint URL`.
  connection: {{name: local}}
  source: {{bucket: data-default, type: s3}}

# What the program writes to $RESULT_DIR, and its log, are here afterwards, below the run's id.
training_results_reference:
  connection: {{name: local}}
  target: {{bucket: results-default, type: s3}}

# env: {{WANDB_PROJECT: {name}}}
# secrets: [WANDB_API_KEY]      # after `trainyard secret set WANDB_API_KEY`
"""
_IGNORED = """\
# What `trainyard train` leaves out of the program, by the rules of .gitignore.
data/
*.ckpt
"""
_HEAD = '''\
"""Fit a line through points; a start for a program of your own."""

import argparse
import csv
import json
import os
import pathlib
{imports}

def points(folder):
    """Read x,y pairs from the data, or make some where it has none."""
    rows = [row for file in sorted(pathlib.Path(folder).rglob("*.csv")) for row in csv.reader(file.open())]
    pairs = [(float(row[0]), float(row[1])) for row in rows if len(row) == 2 and row[0][:1] in "-.0123456789"]
    return pairs or [(x / 10, 2 * x / 10 + 1) for x in range(20)]


parser = argparse.ArgumentParser()
parser.add_argument("--data", default=os.environ.get("DATA_DIR", "."))
parser.add_argument("--lr", type=float, default=0.05)
given = parser.parse_args()
pairs, epochs = points(given.data), int(os.environ.get("epochs", "40"))
results = pathlib.Path(os.environ.get("RESULT_DIR", "."))
# A line of JSON in this file is a point of a curve: `trainyard metrics ID`.
curves = pathlib.Path(os.environ.get("LOG_DIR", "."), "metrics.jsonl").open("a", buffering=1)
'''
_PLAIN = """
slope, offset = 0.0, 0.0
for step in range(epochs):
    errors = [slope * x + offset - y for x, y in pairs]
    slope -= given.lr * sum(2 * error * x for error, (x, _) in zip(errors, pairs)) / len(pairs)
    offset -= given.lr * sum(2 * error for error in errors) / len(pairs)
    loss = sum(error * error for error in errors) / len(pairs)
    print(json.dumps({"step": step, "loss": loss}), file=curves)
print("loss", loss)
(results / "model.json").write_text(json.dumps({"slope": slope, "offset": offset}))
"""
_TORCH = """
device = "cuda" if torch.cuda.is_available() else "cpu"
x, y = (torch.tensor(column, device=device).unsqueeze(1) for column in zip(*pairs))
model = torch.nn.Linear(1, 1).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=given.lr)
for step in range(epochs):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
    print(json.dumps({"step": step, "loss": loss.item()}), file=curves)
print("loss", loss.item())
torch.save(model.state_dict(), results / "model.pt")
"""
# With a program of its own; all others get one that needs Python alone.
_PROGRAMS = {"pytorch": ("\nimport torch\n", _TORCH)}


def init(
    folder: Annotated[
        str, typer.Argument(metavar="DIR", help="Where they are written; made if it is not there.")
    ] = ".",
    framework: Annotated[
        str, typer.Option("--framework", metavar="NAME", help="The framework, such as pytorch.")
    ] = "scikit-learn",
    output: Output = "text",
) -> None:
    """Write a manifest that runs, with comments, and a small program. Nothing that is there is written over."""
    from trainyard.cli.output import Screen
    from trainyard.client.errors import WrongUsageError

    screen = Screen(output)
    place = Path(folder)
    files = _files(place.resolve().name or "first", *_build(framework))
    if there := [name for name in files if (place / name).exists()]:
        raise WrongUsageError(f"{place / there[0]} is there already", "Name another folder.")
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (place / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise WrongUsageError(f"{place} cannot be written: {error.strerror}", "Name another folder.") from None
    screen.say(*(f"{place / name}" for name in files), "OK")
    screen.say("Next:", f"  trainyard train {folder} {place / 'manifest.yml'} --follow")
    screen.data({"folder": folder, "files": list(files)})


def _build(framework: str) -> tuple[str, str]:
    """Return name and newest version of a framework. Raise WrongUsageError where there is none of this name."""
    from trainyard.client.errors import WrongUsageError
    from trainyard.manifest.limits import load_limits

    limits = load_limits(None, None, None)
    name = limits.name_of(framework)
    if name is None:
        hint = f"Use one of {', '.join(limits.framework_names())}."
        raise WrongUsageError(f"there is no framework {framework}", hint)
    return name, limits.versions_of(name)[0]


def _files(name: str, framework: str, version: str) -> dict[str, str]:
    bare = "".join(each if each.isascii() and (each.isalnum() or each in "-_") else "-" for each in name).strip("-")
    imports, program = _PROGRAMS.get(framework, ("", _PLAIN))
    return {
        "manifest.yml": _MANIFEST.format(name=bare or "first", framework=framework, version=version),
        "train.py": _HEAD.replace("{imports}", imports) + program,
        ".trainyardignore": _IGNORED,
    }
