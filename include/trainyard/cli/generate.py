"""`trainyard generate-manifest`: a template of each document, to be filled in."""

from __future__ import annotations

from typing import Annotated

import typer

from trainyard.cli.options import DEFINITIONS, EXPERIMENTS, NOUNS, Output

_STORE = """\
  connection:
    endpoint_url: <the endpoint of your object store>
    access_key_id: <the id of an access key>
    secret_access_key: <its secret>
"""
_DATA = f"""\
training_data_reference:
  name: training_data
{_STORE}\
  source:
    bucket: <the bucket with the data>
  type: s3
"""
_RESULTS = f"""\
training_results_reference:
  name: training_results
{_STORE}\
  target:
    bucket: <the bucket for the results>
  type: s3
"""
_DEFINITION = f"""\
name: <a name>
description: <noun it is>
author:
  name: <your name>
  email: <your mail address>
framework:
  name: tensorflow
  version: "2.20"
command: python3 train.py --data ${{DATA_DIR}}
{_DATA}"""
_EXPERIMENT = f"""\
settings:
  name: <a name>
  description: <noun it is>
  author:
    name: <your name>
    email: <your mail address>
training_references:
- name: <a name for this training>
  training_definition_url: <the ID that `trainyard store training-definitions` printed>
  compute_configuration:
    name: k80
# Without noun follows the training runs once.
  hyper_parameters_optimization:
    method:
      name: random  # or rbfopt, hyperband, bandit
      parameters:
      - name: objective
        string_value: accuracy
      - name: maximize_or_minimize
        string_value: maximize
      - name: num_optimizer_steps
        int_value: 4
    hyper_parameters:
    - name: learning_rate
      double_range:
        min_value: 0.005
        max_value: 0.01
        step: 0.001
    - name: units
      int_range:
        min_value: 5
        max_value: 10
        power: 2
    - name: optimizer
      string_values: [sgd, adam]
{_RESULTS}"""
_TRAINING = f"""\
model_definition:
  name: <a name>
  description: <noun it is>
  author:
    name: <your name>
    email: <your mail address>
  framework:
    name: tensorflow
    version: "2.20"
  execution:
    command: python3 train.py --data ${{DATA_DIR}}
    compute_configuration:
      name: k80
{_DATA}{_RESULTS}"""
TEMPLATES = {DEFINITIONS: _DEFINITION, EXPERIMENTS: _EXPERIMENT, NOUNS[1]: _TRAINING}


def generate_manifest(
    noun: Annotated[str, typer.Argument(metavar="|".join(TEMPLATES), help="The document that is wanted.")],
    output: Output = "text",
) -> None:
    """Print a template of a document, to be written to a file and filled in."""
    from trainyard.cli.output import Screen
    from trainyard.client.errors import WrongUsageError

    screen = Screen(output)
    if noun not in TEMPLATES:
        raise WrongUsageError(f"there is no template of {noun!r}", f"Use one of {', '.join(TEMPLATES)}.")
    screen.say(TEMPLATES[noun].rstrip("\n"))
    screen.data({"manifest": TEMPLATES[noun]})
