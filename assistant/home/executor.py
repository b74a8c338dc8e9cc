"""Carries actions out and finds out what came of them.

Per device: work out what is meant, check that it can be done, send it, and wait for the device to
report the wanted state. The reply is made from the outcomes, never from the intention.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from assistant.errors import AssistantError, HomeError, MqttError, StoreError
from assistant.home.action import Action, Outcome, Result
from assistant.home.model import Device, Risk, State
from assistant.home.obeyed import has_obeyed, is_on_its_way
from assistant.home.registry import Registry
from assistant.home.vocabulary import ActionError, ActionSpec, check_params

log = logging.getLogger(__name__)

OnOutcome = Callable[[Outcome], None]
_LOCK_PATIENCE = 4.0  # a lock that says it is turning gets this many times the usual wait


class Executor:
    """Carries actions out on the devices of one registry.

    `timeout`: seconds a device has to take a command and report the wanted state.
    """

    def __init__(self, registry: Registry, timeout: float = 3.0) -> None:
        self._registry = registry
        self._timeout = timeout

    async def execute(
        self,
        actions: Iterable[Action],
        *,
        deadline: float | None = None,
        on_outcome: OnOutcome | None = None,
    ) -> tuple[Outcome, ...]:
        """Do `actions` in order; the devices of one action at the same time.

        One outcome per action and device, in the order given; `on_outcome` gets each as soon as
        it is known. `deadline` (seconds of `time.monotonic`): nothing is sent after it and nothing
        waited for; unset, every action has its full time. Failure of one does not keep the others
        from being tried. Never raises for what a device or a skill does.
        """
        outcomes: list[Outcome] = []
        for action in actions:
            spec = self._registry.vocabulary.actions.get(action.name)
            if spec is not None and not spec.types:
                outcomes.append(await self._perform(spec, action, deadline, on_outcome))
                continue
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._act(device, action, deadline, on_outcome))
                    for device in dict.fromkeys(action.devices)
                ]
            outcomes += [task.result() for task in tasks]
        return tuple(outcomes)

    async def _act(
        self, device_id: str, action: Action, deadline: float | None, on_outcome: OnOutcome | None
    ) -> Outcome:
        started = time.monotonic()
        outcome = await self._try(device_id, replace(action, devices=(device_id,)), deadline)
        return _told(replace(outcome, seconds=time.monotonic() - started), on_outcome)

    async def _try(self, device_id: str, action: Action, deadline: float | None) -> Outcome:
        def ended(result: Result, reason: str = "", detail: str = "") -> Outcome:
            return Outcome(action, device_id, result, reason, detail)

        before = self._registry.device(device_id)
        if before is None:
            return ended(Result.REFUSED, "unknown_device", f"there is no device {device_id!r}")
        vocabulary = self._registry.vocabulary
        try:
            risk = vocabulary.risk(before, action)
            action = vocabulary.resolve(before, action)
            vocabulary.check(before, action)
            wanted = vocabulary.effect(before, action)
        except ActionError as error:
            return ended(Result.REFUSED, error.reason, str(error))
        if not before.exposed or risk is Risk.FORBIDDEN:
            return ended(Result.REFUSED, "not_allowed", f"{before.name} is not for voice")
        if not before.available:
            return ended(Result.REFUSED, "unavailable", f"{before.name} can't be reached")
        until = time.monotonic() + self._timeout
        if deadline is not None:
            until = min(until, deadline)
        if until <= time.monotonic():
            return ended(Result.FAILED, "not_sent", "there was no time left")
        try:
            async with asyncio.timeout(until - time.monotonic()):
                topics = await self._registry.carrier(device_id).carry(before, action)
        except TimeoutError:
            return ended(Result.FAILED, "not_sent", "the command could not be sent in time")
        except MqttError as error:
            return ended(Result.FAILED, "not_sent", str(error))
        except HomeError as error:
            return ended(Result.REFUSED, getattr(error, "reason", "unsupported"), str(error))
        except StoreError as error:
            log.error("%s", error)
            return ended(Result.FAILED, "not_kept")
        except Exception as error:
            log.exception("carrying %s to %s failed", action.name, device_id)
            return ended(Result.FAILED, "error", str(error))
        sent = replace(ended(Result.SENT), topics=topics)
        wanted = {key: value for key, value in wanted.items() if key not in before.unreported}
        if not before.reports_state or not wanted:
            return sent
        if await self._obeyed(before, wanted, until, deadline):
            return replace(sent, result=Result.CONFIRMED)
        return replace(
            sent,
            result=Result.FAILED,
            reason="no_report",
            detail=f"{before.name} did not report that it obeyed",
        )

    async def _obeyed(
        self, before: Device, wanted: State, until: float, deadline: float | None
    ) -> bool:
        def obeyed(now: Device) -> bool:
            return has_obeyed(before, now, wanted)

        if await self._registry.wait_for(before.id, obeyed, until - time.monotonic()):
            return True
        now = self._registry.device(before.id)
        if now is None or not is_on_its_way(now, wanted):
            return False
        until += (_LOCK_PATIENCE - 1) * self._timeout
        if deadline is not None:
            until = min(until, deadline)
        return await self._registry.wait_for(before.id, obeyed, until - time.monotonic())

    async def _perform(
        self,
        spec: ActionSpec,
        action: Action,
        deadline: float | None,
        on_outcome: OnOutcome | None,
    ) -> Outcome:
        started = time.monotonic()

        def ended(result: Result, reason: str = "", detail: str = "") -> Outcome:
            seconds = time.monotonic() - started
            return _told(Outcome(action, None, result, reason, detail, (), seconds), on_outcome)

        performer = self._registry.performer(action)
        if performer is None:
            return ended(Result.REFUSED, "unsupported", f"no skill here does {action.name}")
        try:
            check_params(spec, action.params)
            timeout = None if deadline is None else max(0.0, deadline - started)
            async with asyncio.timeout(timeout):
                await performer.perform(action)
        except ActionError as error:
            return ended(Result.REFUSED, error.reason, str(error))
        except TimeoutError:
            return ended(Result.FAILED, "no_report", "it took too long")
        except StoreError as error:
            log.error("%s", error)
            return ended(Result.FAILED, "not_kept")
        except AssistantError as error:
            return ended(Result.FAILED, "error", str(error))
        except Exception as error:
            log.exception("the performer of %s failed", action.name)
            return ended(Result.FAILED, "error", str(error))
        return ended(Result.CONFIRMED)


def _told(outcome: Outcome, on_outcome: OnOutcome | None) -> Outcome:
    if on_outcome is not None:
        on_outcome(outcome)
    return outcome
