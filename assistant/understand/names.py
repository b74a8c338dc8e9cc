"""What the things of a home are called, in every form people say it, as lists of names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from assistant.home.model import DeviceType, Home
from assistant.understand.language import Language
from assistant.understand.lattice import Trie, put
from assistant.understand.normal import squeeze
from assistant.understand.reading import Entry, Listing
from assistant.understand.words import spoken

_TRAILING_NUMBER = re.compile(r" \d+$")


@dataclass(frozen=True)
class Names:
    """The names of one home in one language.

    `ids` maps the slots `name`, `area` and `floor`, and the spoken form, to the ids meant.
    `lists` are `area`, `floor`, `any_name`, `timer_name`, and `TYPE_name` for each type of device.
    """

    ids: Mapping[str, Mapping[str, tuple[str, ...]]]
    lists: Mapping[str, Listing]


NAME_LISTS: Final = frozenset(
    {"area", "floor", "any_name", "timer_name", *(f"{kind}_name" for kind in DeviceType)}
)
"""The lists that hold what the home calls things: sentences may use them without having them."""


def names_of(home: Home, language: Language) -> Names:
    """Collect the names of `home`. Costs milliseconds: keep the result while the home stays."""
    by_type: dict[str, dict[str, bool]] = defaultdict(dict)
    devices: dict[str, list[str]] = defaultdict(list)
    area_names = {a.id: [squeeze(n) for n in (a.name, *a.aliases)] for a in home.areas}
    for exact in (True, False):
        for device in home.exposed():
            for called in (device.name, *device.aliases):
                plain = _without_articles(squeeze(called), language)
                forms = (
                    {plain, squeeze(called)}
                    if exact
                    else _loose_forms(plain, area_names.get(device.area or "", ()), language)
                )
                if device.type is DeviceType.TODO_LIST and not exact:
                    forms |= _list_forms(plain, language)
                for form in forms:
                    if not form:
                        continue
                    by_type[device.type].setdefault(form, exact)
                    if device.id not in devices[form]:
                        devices[form].append(device.id)
    everything: dict[str, bool] = {}
    for forms_of_type in by_type.values():
        for form, exact in forms_of_type.items():
            everything[form] = everything.get(form, False) or exact
    areas = _place_names([(a.id, (a.name, *a.aliases)) for a in home.areas], (), language)
    floors = _place_names(
        [(f.id, (f.name, *f.aliases)) for f in home.floors], language.floor_forms, language
    )
    links = frozenset(language.links)
    lists = {
        "area": listing(dict.fromkeys(areas, True)),
        "floor": listing(dict.fromkeys(floors, True)),
        "any_name": listing(everything, links),
    }
    for kind in DeviceType:
        lists[f"{kind}_name"] = listing(by_type.get(kind, {}), links)
    return Names(
        {"name": {k: tuple(v) for k, v in devices.items()}, "area": areas, "floor": floors}, lists
    )


def listing(forms: Mapping[str, bool], skips: frozenset[str] = frozenset()) -> Listing:
    """The list of `forms`, each with whether it is exact. Of `skips`, words may be said or not."""
    trie: Trie = {}
    for form, exact in forms.items():
        words = spoken(form)
        if not words:
            continue
        put(trie, words, Entry(form, exact))
        bare = [word for word in words if word not in skips]
        if 1 < len(bare) < len(words):
            put(trie, bare, Entry(form, exact=False))
    return Listing(trie, skips)


def _without_articles(name: str, language: Language) -> str:
    words = name.split()
    while len(words) > 1 and words[0] in language.articles:
        words = words[1:]
    return " ".join(words)


def _loose_forms(name: str, area_names: Iterable[str], language: Language) -> set[str]:
    """Other ways to say `name`: in the other number, spelt otherwise, without its room's name."""
    forms = {name, name.replace("'", ""), name.replace("-", " "), name.replace("-", "")}
    for area in area_names:
        if name.startswith(area + " ") and len(name.split()) - len(area.split()) >= 2:
            forms.add(name[len(area) + 1 :])
    return forms | {other for form in forms for other in language.numbers_of(form)}


def _list_forms(name: str, language: Language) -> set[str]:
    """The shopping list is also "shopping", and Personal Tasks are "tasks"."""
    kinds = [squeeze(word) for word in language.kinds["todo_list"]["one"].split("|")]
    forms = {name.removesuffix(" " + kind) for kind in kinds if name.endswith(" " + kind)}
    last = name.split()[-1]
    # The first word of the kind is the plain "list", which tells none from another.
    return forms | ({last} if last != kinds[0] else set())


def _place_names(
    places: Iterable[tuple[str, Iterable[str]]], forms: Iterable[str], language: Language
) -> dict[str, tuple[str, ...]]:
    exact: dict[str, list[str]] = defaultdict(list)
    loose: dict[str, list[str]] = defaultdict(list)
    for place, called in places:
        for name in map(squeeze, called):
            plain = _without_articles(name, language)
            exact[plain].append(place)
            others = {plain.replace("'", ""), plain.replace("-", " "), *_joined(plain)}
            others |= {squeeze(form.format(name=plain)) for form in forms}
            # "the bedroom" means all of them where they are Bedroom 1, 2 and 3.
            others.add(_TRAILING_NUMBER.sub("", plain))
            for other in others:
                if place not in loose[other]:
                    loose[other].append(place)
    return {name: tuple(ids) for name, ids in {**loose, **exact}.items() if name}


def _joined(name: str) -> set[str]:
    """ "living room" is written livingroom by some recognisers."""
    return {name.replace(" ", "")} if name.count(" ") == 1 and not name[-1].isdigit() else set()
