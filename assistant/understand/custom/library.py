"""The user's sentences as they are in the folder now: read, compiled, and read again on change.

A file that breaks stays in force as it was when it was last good. All versions are made aside and
put in place at once, so that an utterance meets either the old sentences or the new.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from assistant.errors import SkillError
from assistant.home.model import Home
from assistant.skill import Handler, Manifest, Skill, Skills
from assistant.understand.compile import Grammar
from assistant.understand.custom.effects import NAME, faults_at_home, faults_of, handler_for
from assistant.understand.custom.files import SentenceFile, read_sentences
from assistant.understand.custom.grammar import Checked, Compiled, Scoping, grammar_for
from assistant.understand.custom.located import Problem
from assistant.understand.language import load_language

_log = logging.getLogger(__name__)

_MOST_FILES: Final = 200
_MANIFEST: Final = Manifest(
    name=NAME, version="1", description="The user's own sentences", languages=("en",)
)

Signature = tuple[int, int, int]
"""What tells a version of a file from another: when it was changed, its size, its inode."""


@dataclass(frozen=True, slots=True)
class Version:
    """All sentences in force at a time."""

    skills: Skills
    """One skill, `custom`, a handler of which is what a block of sentences does."""
    grammars: Mapping[str, Grammar]
    """Language -> its sentences; a language without any has none."""
    blocks: tuple[Compiled, ...] = ()
    problems: tuple[Problem, ...] = ()
    """What is wrong with the files, in the order of these."""

    def problems_at(self, home: Home) -> tuple[Problem, ...]:
        """Devices and places that the sentences name and `home` does not have."""
        return tuple(fault for block in self.blocks for fault in faults_at_home(block, home))


@dataclass(frozen=True, slots=True)
class _Known:
    """A file as it was last read, and as it was when it was last good."""

    signature: Signature
    latest: SentenceFile | None
    problems: tuple[Problem, ...] = ()
    good: SentenceFile | None = None


@dataclass(frozen=True, slots=True)
class _Made:
    """What a set of files came to."""

    blocks: tuple[Compiled, ...]
    grammars: Mapping[str, Grammar]
    handlers: Mapping[str, Handler]
    problems: tuple[Problem, ...]
    in_force: Mapping[Path, SentenceFile] = field(default_factory=dict)


class CustomSentences:
    """The sentences below `folder`: LANGUAGE/*.yaml, and *.yaml that name their language.

    They are read when this is made, and whenever `refresh` finds them changed.
    """

    def __init__(self, folder: Path, skills: Skills) -> None:
        self.folder = folder
        self._skills = skills
        self._known: dict[Path, _Known] = {}
        self._scopings: dict[str, Scoping] = {}
        self.current = Version(Skills(MappingProxyType({})), MappingProxyType({}))
        self.refresh()

    def refresh(self) -> bool:
        """Read what has changed since the last time; returns whether anything has.

        Blocking: a look at each file, and some ten milliseconds for files that changed. Not to be
        run in two threads at once; `current` may be read meanwhile.
        """
        found = dict(_files(self.folder))
        seen = {path: known.signature for path, known in self._known.items()}
        if {path: signature for path, (signature, _) in found.items()} == seen:
            return False
        known = {}
        for path, (signature, language) in found.items():
            before = self._known.get(path)
            if before is not None and before.signature == signature:
                known[path] = before
                continue
            file, problems = read_sentences(path, language)
            good = before.good if before is not None else None
            known[path] = _Known(signature, file, problems, good)
        made = self._made(known)
        self._known = {
            path: _Known(one.signature, one.latest, one.problems, made.in_force.get(path))
            for path, one in known.items()
        }
        skill = Skill(NAME, _MANIFEST, self.folder, {}, {}, made.handlers)
        skills = Skills(MappingProxyType({NAME: skill}))
        self.current = Version(skills, made.grammars, made.blocks, made.problems)
        return True

    def _made(self, known: Mapping[Path, _Known]) -> _Made:
        """Compile the latest versions, or the last good ones where the latest are faulty."""
        chosen: dict[Path, SentenceFile] = {}
        problems = [problem for one in known.values() for problem in one.problems]
        for path, one in known.items():
            if (file := one.latest or one.good) is not None:
                chosen[path] = file
        while True:
            checked, faults = self._checked(chosen)
            problems += [fault for fault in faults if fault not in problems]
            broken = {fault.path for fault in faults}
            if not broken:
                break
            for path in broken:
                good = known[path].good
                if good is not None and chosen[path] is not good:
                    chosen[path] = good
                else:
                    del chosen[path]
        order = {path: number for number, path in enumerate(known)}
        problems.sort(key=lambda problem: (order[problem.path], problem.line))
        blocks: list[Compiled] = []
        grammars: dict[str, Grammar] = {}
        handlers: dict[str, Handler] = {}
        for language, of_language in checked.items():
            own = [block for of_file in of_language.sound.values() for block in of_file]
            names = [f"{block.block.intent}:{len(blocks) + n}" for n, block in enumerate(own)]
            for name, block in zip(names, own, strict=True):
                handlers[name] = handler_for(block, self._skills)
            accepted = [f"{NAME}.{name}" for name in names]
            grammars[language] = grammar_for(own, accepted, of_language.listings)
            blocks += own
        return _Made(
            tuple(blocks),
            MappingProxyType(grammars),
            MappingProxyType(handlers),
            tuple(problems),
            chosen,
        )

    def _checked(
        self, files: Mapping[Path, SentenceFile]
    ) -> tuple[dict[str, Checked], list[Problem]]:
        """What the files of each language come to, and all that is wrong with any."""
        made: dict[str, Checked] = {}
        problems: list[Problem] = []
        for language in dict.fromkeys(file.language for file in files.values()):
            of_language = [file for file in files.values() if file.language == language]
            try:
                made[language] = self._scoping(language).check(of_language)
            except SkillError as error:
                problems += [file.located.problem(str(error), "language") for file in of_language]
                continue
            problems += made[language].problems
            for blocks in made[language].sound.values():
                for block in blocks:
                    problems += faults_of(block, self._skills)
        return made, problems

    def _scoping(self, language: str) -> Scoping:
        if language not in self._scopings:
            skills = list(self._skills.skills.values())
            self._scopings[language] = Scoping(load_language(language), skills)
        return self._scopings[language]


def _files(folder: Path) -> Iterator[tuple[Path, tuple[Signature, str | None]]]:
    """The sentence files below `folder`, their signatures and the language of their folder."""
    groups: list[tuple[Path, str | None]] = [(folder, None)]
    try:
        subfolders = sorted(f for f in folder.iterdir() if f.is_dir() and _is_shown(f))
    except OSError:
        return  # there need not be any
    groups += [(sub, sub.name) for sub in subfolders]
    count = 0
    for parent, language in groups:
        try:
            files = sorted(f for f in parent.iterdir() if f.suffix in (".yaml", ".yml"))
        except OSError as error:
            _log.warning("%s: can't be read (%s)", parent, error.strerror)
            continue
        for path in files:
            if not _is_shown(path) or path.is_dir():
                continue
            count += 1
            if count > _MOST_FILES:
                _log.error(
                    "%s holds more than %d files; the rest are left out", folder, _MOST_FILES
                )
                return
            try:
                stat = path.stat()
            except OSError:
                continue  # gone meanwhile, or a link to nowhere
            yield path, ((stat.st_mtime_ns, stat.st_size, stat.st_ino), language)


def _is_shown(path: Path) -> bool:
    """Whether it is no file that an editor keeps beside another."""
    return not path.name.startswith((".", "_", "#")) and not path.name.endswith("~")
