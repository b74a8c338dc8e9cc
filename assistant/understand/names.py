"""What the things of a home are called, in every form people say it, as lists of names."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from assistant.home.model import Device, DeviceType, Home
from assistant.understand.language import Language
from assistant.understand.lattice import Trie, put
from assistant.understand.normal import squeeze
from assistant.understand.reading import Entry, Listing
from assistant.understand.words import spoken

_TRAILING_NUMBER: Final = re.compile(r" \d+$")
_SHORTEST_PART: Final = 5
"""Letters of a word by which a thing may be meant that has a longer name."""


NAME_LISTS: Final = frozenset(
    [
        "area",
        "floor",
        "known_area",
        "known_floor",
        "any_name",
        "timer_name",
        *(f"{kind}_name" for kind in DeviceType),
    ]
)
"""The lists that hold what the home calls things: sentences may use them without having them.

`known_area` and `known_floor` are the same places, for what may be said of places anywhere: "the
cinema is cold" is no command for a room that there is not, as "heat the cinema" is.
"""

_OTHER_FORM: Final = Entry(None, exact=False)
_PART: Final = Entry(None, exact=False, cost=0.5)
"""One word of a name that is in no other: not enough for a sentence read exactly."""
_NAME: Final = Entry(None)


@dataclass(frozen=True)
class Names:
    """The names of one home in one language.

    `ids` maps the slots `name`, `area` and `floor`, and the spoken form, to the ids meant;
    `several` has the names that mean all of theirs ("the bedside lamps"), `alike` those that mean
    one of theirs. `lists` are `area`,
    `floor`, `any_name`, `timer_name`, and `TYPE_name` for each type of device.
    """

    ids: Mapping[str, Mapping[str, tuple[str, ...]]]
    lists: Mapping[str, Listing]
    words: frozenset[str] = frozenset()
    """Every word in a name."""


def names_of(home: Home, language: Language) -> Names:
    """Collect the names of `home`. Costs milliseconds: keep the result while the home stays."""
    kinds = _Kinds(language)
    by_type: dict[str, dict[str, Entry]] = defaultdict(dict)
    devices: dict[str, dict[str, None]] = defaultdict(dict)
    area_names = {a.id: [squeeze(n) for n in (a.name, *a.aliases)] for a in home.areas}
    parts = _parts(home, language, kinds)
    taken = kinds.those_of({d.type for d in home.exposed()})
    taken |= {squeeze(name) for place in home.areas for name in (place.name, *place.aliases)}
    taken |= {squeeze(name) for place in home.floors for name in (place.name, *place.aliases)}
    for device in home.exposed():
        areas_of = area_names.get(device.area or "", ())
        known = by_type[device.type]
        for called in (device.name, *device.aliases):
            plain = _without_articles(squeeze(called), language)
            forms = dict.fromkeys(parts[device.id], _PART)
            if device.type is DeviceType.SWITCH and (bare := _plugged_in(plain, device, kinds)):
                forms |= {} if bare in taken else {bare: _OTHER_FORM}
            forms |= dict.fromkeys(
                _loose_forms(plain, areas_of, device, language, kinds), _OTHER_FORM
            )
            forms |= dict.fromkeys({plain, squeeze(called)}, _NAME)
            for form, how in forms.items():
                if form:
                    devices[form][device.id] = None
                    known[form] = _likelier(known.get(form), how)
    everything: dict[str, Entry] = {}
    for of_type in by_type.values():
        for form, how in of_type.items():
            everything[form] = _likelier(everything.get(form), how)
    areas = _place_names([(a.id, (a.name, *a.aliases)) for a in home.areas], (), language)
    floors = _place_names(
        [(f.id, (f.name, *f.aliases)) for f in home.floors], language.floor_forms, language
    )
    links = frozenset(language.links)
    lists = {
        "area": listing(dict.fromkeys(areas, _NAME)),
        "floor": listing(dict.fromkeys(floors, _NAME)),
        "known_area": listing(dict.fromkeys(areas, _NAME)),
        "known_floor": listing(dict.fromkeys(floors, _NAME)),
        "any_name": listing(everything, links),
    }
    for kind in DeviceType:
        lists[f"{kind}_name"] = listing(by_type.get(kind, {}), links)
    ids = {form: tuple(those) for form, those in devices.items()}
    alike = {form: those for form, those in ids.items() if len(those) > 1}
    several = {form: those for form, those in alike.items() if kinds.many(form)}
    alike = {form: those for form, those in alike.items() if form not in several}
    words = frozenset(w for known in (ids, areas, floors) for form in known for w in form.split())
    return Names(
        {"name": ids, "area": areas, "floor": floors, "several": several, "alike": alike},
        lists,
        words,
    )


def listing(forms: Mapping[str, Entry], skips: frozenset[str] = frozenset()) -> Listing:
    """The list of `forms`; their entries' values are the forms themselves. Of `skips`, words may
    be said or not.
    """
    trie: Trie = {}
    for form, how in forms.items():
        words = spoken(form)
        if not words:
            continue
        put(trie, words, Entry(form, how.exact, how.cost))
        bare = [word for word in words if word not in skips]
        if 1 < len(bare) < len(words):
            put(trie, bare, Entry(form, exact=False, cost=how.cost))
    return Listing(trie, skips)


class _Kinds:
    """The words of a language for kinds of devices."""

    def __init__(self, language: Language) -> None:
        self._one: dict[str, list[str]] = {}
        self._all: dict[str, set[str]] = defaultdict(set)
        self._ones: set[str] = set()
        self._manys: set[str] = set()
        for code, words in language.kinds.items():
            ones = [" ".join(spoken(word)) for word in words["one"].split("|")]
            self._one[code] = [word for word in ones if " " not in word]
            self._ones.update(ones)
            manys = [" ".join(spoken(word)) for word in words["many"].split("|")]
            self._manys.update(manys)
            self._all[code.partition(".")[0]].update(ones, manys)
        self._manys -= self._ones
        self.words = frozenset(w for kind in (*self._ones, *self._manys) for w in kind.split())

    def synonyms(self, device: Device) -> list[str]:
        """Single words for what `device` is; none where its name says that best."""
        code = f"{device.type}.{device.device_class}" if device.device_class else str(device.type)
        return self._one.get(code, [])

    def those_of(self, types: Iterable[DeviceType]) -> set[str]:
        """All that things of `types` are called."""
        return {word for kind in types for word in self._all[kind]}

    def many(self, form: str) -> bool:
        """Whether `form` speaks of several things."""
        words = set(form.split())
        return bool(words & self._manys) and not words & self._ones


def _parts(home: Home, language: Language, kinds: _Kinds) -> dict[str, set[str]]:
    """For each device the words of its names by which it alone can be meant."""
    places = [name for area in home.areas for name in (area.name, *area.aliases)]
    places += [name for floor in home.floors for name in (floor.name, *floor.aliases)]
    idle = {word for name in places for word in spoken(name)}
    idle |= kinds.words | language.articles | language.dangling | set(language.links)
    idle |= {w for verb in language.verbs for w in spoken(verb)} | set(language.positions)
    words = {
        device.id: {w for n in (device.name, *device.aliases) for w in spoken(n)}
        for device in home.exposed()
    }
    counts = Counter(word for own in words.values() for word in own)
    return {
        device: {
            w for w in own - idle if counts[w] == 1 and len(w) >= _SHORTEST_PART and w.isalpha()
        }
        for device, own in words.items()
    }


def _plugged_in(name: str, device: Device, kinds: _Kinds) -> str:
    """What `name`, a switch's, is without a word for what switches: "plug TV" is the TV."""
    words, carriers = name.split(), kinds.synonyms(device)
    while len(words) > 1 and words[0] in carriers:
        words = words[1:]
    while len(words) > 1 and words[-1] in carriers:
        words = words[:-1]
    bare = " ".join(words)
    return bare if bare != name and bare not in carriers else ""


def _likelier(known: Entry | None, other: Entry) -> Entry:
    if known is None or (other.cost, not other.exact) < (known.cost, not known.exact):
        return other
    return known


def _without_articles(name: str, language: Language) -> str:
    words = name.split()
    while len(words) > 1 and words[0] in language.articles:
        words = words[1:]
    return " ".join(words)


def _loose_forms(
    name: str, area_names: Iterable[str], device: Device, language: Language, kinds: _Kinds
) -> set[str]:
    """Other ways to say `name`: in the other number, spelt otherwise, without its room's name,
    with another word for what it is, or with its position told otherwise ("the lamp on the left").
    """
    forms = {name, name.replace("'", ""), name.replace("-", " "), name.replace("-", "")}
    for area in area_names:
        if len(name.split()) - len(area.split()) >= 2:
            forms |= {name.removeprefix(area + " "), name.removesuffix(" " + area)}
    forms |= _otherwise(name, kinds.synonyms(device), language)
    forms |= {other for form in forms for other in _placed(form, language)}
    forms |= {other for form in forms for other in language.numbers_of(form)}
    if device.type is DeviceType.TODO_LIST:
        forms |= _list_forms(name, language)
    return forms


def _otherwise(name: str, kinds: Sequence[str], language: Language) -> set[str]:
    """`name` with other words for the kind of thing it is, or with one where it has none."""
    words = name.split()
    if len(words) > 1:
        for place in (0, -1):
            if words[place] in kinds:
                rest = words[1:] if place == 0 else words[:-1]
                others = [k for k in kinds if not _are_unlike(k, words[place], language)]
                return {" ".join([k, *rest] if place == 0 else [*rest, k]) for k in others}
    if set(words) & set(kinds):
        return set()
    return {
        squeeze(form.format(name=name, kind=kind)) for form in language.kind_forms for kind in kinds
    }


def _are_unlike(kind: str, other: str, language: Language) -> bool:
    """Whether two words for the same type of device are for different sorts of it."""
    of_kind, of_other = ([s for s in language.sorts if word in s] for word in (kind, other))
    return bool(of_kind and of_other) and of_kind != of_other


def _placed(name: str, language: Language) -> set[str]:
    """`name` with its position told otherwise, and without it: then it may mean several."""
    words = name.split()
    forms = set()
    for place, word in enumerate(words):
        rest = " ".join(words[:place] + words[place + 1 :])
        if rest and word in language.positions:
            position = language.positions[word]
            forms |= {
                squeeze(f.format(name=rest, position=position)) for f in language.position_forms
            }
            forms.add(rest)
    return forms


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
            others |= {bare for form in forms for bare in _unformed(plain, form)}
            # "the bedroom" means all of them where they are Bedroom 1, 2 and 3.
            others.add(_TRAILING_NUMBER.sub("", plain))
            # "Emma's night light" is the one in Emma's room.
            owned = (pattern.fullmatch(plain) for pattern in language.owned)
            others |= {match[1] for match in owned if match}
            for other in others:
                if place not in loose[other]:
                    loose[other].append(place)
    return {name: tuple(ids) for name, ids in {**loose, **exact}.items() if name}


def _unformed(name: str, form: str) -> set[str]:
    """What `name` is `form` of, where that is a phrase: "piano di sopra" is also "di sopra".

    Not where it is a single word: neither "first" nor "ground" is called so without "floor".
    """
    before, _, after = form.partition("{name}")
    bare = name.removeprefix(before).removesuffix(after)
    return {bare} if bare != name and form.format(name=bare) == name and " " in bare else set()


def _joined(name: str) -> set[str]:
    """ "living room" is written livingroom by some recognisers."""
    return {name.replace(" ", "")} if name.count(" ") == 1 and not name[-1].isdigit() else set()
