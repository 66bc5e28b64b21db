"""The use case of commands in a running program's container: who may run one, where, and what is recorded of it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainyard.cluster.labels import LEARNER
from trainyard.core.accounts import Caller
from trainyard.core.audit.event import Action, Result
from trainyard.core.audit.recording import Audit, about
from trainyard.core.catalogue import Training
from trainyard.core.runs import Run
from trainyard.domain.names import RunKey
from trainyard.domain.states import Phase
from trainyard.errors import TrainyardError
from trainyard.manifest.masking import MASK, is_credential, mask_url

MAX_WORDS, MAX_COMMAND = 1000, 32 * 1024
_SPACES = re.compile(r"(\s+)")
_SCHEMES = ("basic", "bearer")
# In the place of a secret until the words are quoted: a shell would have the mask quoted.
_HIDDEN = "hidden_7c1f"
_ASSIGNED = re.compile(r"(-{0,2}[\w.-]+)([=:])(.+)", re.DOTALL)


@dataclass(frozen=True)
class Executing:
    """The use case over its ports.

    `find_run` returns a run that a caller may see, `pods_of` the pods of a run's newest attempt, `values_of` the values
    of the secrets that a run was given.
    """

    find_run: Callable[[str, Caller], Run]
    training_of: Callable[[str], Training | None]
    pods_of: Callable[[RunKey], Sequence[Mapping[str, Any]]]
    values_of: Callable[[Run], Sequence[str]]
    audit: Audit

    def admit(self, model_id: str, caller: Caller) -> Run:
        """Return the run in whose container the caller may run commands, now.

        Raise TrainyardError C107 where the caller may not see it, C106 where it has secrets that are not the caller's,
        and C108 unless its program runs. What is refused is recorded.
        """
        with self.audit.refusals(caller, Action.EXEC, run=model_id) as known:
            run = self.find_run(model_id, caller)
            known.update(about(run))
            self._check(run, caller)
            return run

    def still(self, run: Run, caller: Caller) -> bool:
        """Say whether the caller may go on in a run's container: it is still theirs, and its program still runs."""
        try:
            self._check(self.find_run(run.model_id, caller), caller)
        except TrainyardError:
            return False
        return True

    def begin(self, run: Run, caller: Caller, command: Sequence[str], learner: int) -> str:
        """Return the name of the pod to run a command in, which is recorded; its input and output never are.

        Raise TrainyardError C110 for a learner that the run has not, and C108 where its pod does not run.
        """
        shown = masked_command(command, self.values_of(run))
        details = {"command": shown, "learner": learner if run.learners > 1 else None}
        with self.audit.action(caller, Action.EXEC, **about(run), details=details):
            return self._pod(run, learner)

    def failed(self, run: Run, caller: Caller, error: TrainyardError) -> None:
        """Record that the cluster did not run a command which was begun."""
        self.audit.record(caller, Action.EXEC, **about(run), result=Result.FAILED, code=error.code.code)

    def _pod(self, run: Run, learner: int) -> str:
        if not 1 <= learner <= run.learners:
            raise TrainyardError("C110", f"{run.model_id} has no learner {learner}", f"It has {run.learners}.")
        for pod in self.pods_of(run.key):
            number = int(pod["metadata"]["labels"].get(LEARNER, 1))
            if number == learner and pod["status"].get("phase") == "Running":
                return str(pod["metadata"]["name"])
        raise TrainyardError("C108", f"the pod of {run.model_id} does not run", "If it was replaced, try again soon.")

    def _check(self, run: Run, caller: Caller) -> None:
        training = self.training_of(run.training_id)
        # Whoever is in the container reads all that the program was given, which may be its owner's own.
        if training and training.spec.secrets and not caller.admin and run.owner != caller.name:
            message = f"{run.model_id} was given secrets, so that only {run.owner} may run commands in it"
            raise TrainyardError("C106", message, "Ask its owner, or an admin.")
        if run.phase is not Phase.TRAINING:
            state = f"it has ended: {run.state}" if run.state.terminal else f"it is {run.phase}"
            hint = "Commands run beside a program only while that runs."
            raise TrainyardError("C108", f"the program of {run.model_id} does not run: {state}", hint)


def check_command(command: Any) -> list[str]:
    """Return a command as words; raise TrainyardError C110 for what is none."""
    words = command if isinstance(command, list) else []
    if not words or not all(isinstance(word, str) and "\0" not in word for word in words) or not words[0]:
        raise TrainyardError("C110", "a command is a list of words, the first of which names a program", "")
    if len(words) > MAX_WORDS or sum(len(word.encode(errors="replace")) for word in words) > MAX_COMMAND:
        hint = "Put it into a script, and hand that over as its input: `trainyard exec ID -- sh < script`."
        raise TrainyardError("C110", f"a command has at most {MAX_COMMAND} bytes in {MAX_WORDS} words", hint)
    return words


def masked_command(command: Sequence[str], values: Sequence[str] = ()) -> str:
    """Return a command as one line without what may be a secret in it.

    That is each of the values; what a name such as `--password` or `API_TOKEN=` has behind it; a URL's user.
    """
    words, hides = [], False
    for word in command:
        words.append(_HIDDEN if hides else _masked(word, values))
        hides = _announces(word)
    return shlex.join(words).replace(_HIDDEN, MASK)


def _masked(word: str, values: Sequence[str]) -> str:
    for value in sorted(filter(None, values), key=len, reverse=True):
        word = word.replace(value, _HIDDEN)
    masked, hides = [], False
    for part in _SPACES.split(mask_url(word).replace(MASK, _HIDDEN)):  # a whole script may be one word
        found = _ASSIGNED.fullmatch(part)
        if found and is_credential(found[1]):
            part = f"{found[1]}{found[2]}{_HIDDEN}"
        masked.append(_HIDDEN if hides and part.strip() else part)
        hides = _announces(part) if part.strip() else hides
    return "".join(masked)


def _announces(word: str) -> bool:
    """Say whether the next word is a secret."""
    return word.lower() in _SCHEMES or (word.startswith("-") and "=" not in word and is_credential(word))
