"""Sentences about times: when is meant, and what is no time at all. It is a Tuesday, 15:20."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from assistant.home.almanac import Whereabouts
from assistant.home.model import Home
from assistant.plan import PlanKind, Utterance
from assistant.understand.template import TemplateUnderstanding

ROME = ZoneInfo("Europe/Rome")
NOW = datetime(2026, 11, 24, 15, 20, tzinfo=ROME)
PLACE = Whereabouts(ROME, 41.9, 12.5)
AREA = {"en": "lounge", "it": "salotto"}

# "X" stands for a command.
WHEN = yaml.safe_load("""
en:
  at seven X: 2026-11-24 19:00
  X at three: 2026-11-25 03:00
  X at four: 2026-11-24 16:00
  X at three pm: 2026-11-25 15:00
  X at 7 a.m.: 2026-11-25 07:00
  X at 7pm: 2026-11-24 19:00
  X at seven in the evening: 2026-11-24 19:00
  X at 19:30: 2026-11-24 19:30
  at 7:30 X: 2026-11-24 19:30
  at 20 o'clock X: 2026-11-24 20:00
  X at seven thirty: 2026-11-24 19:30
  X at seven oh five: 2026-11-24 19:05
  X at half past seven: 2026-11-24 19:30
  X at a quarter past nine: 2026-11-24 21:15
  X at quarter to nine: 2026-11-24 20:45
  X at twenty past nine: 2026-11-24 21:20
  X at ten to nine in the evening: 2026-11-24 20:50
  at noon X: 2026-11-25 12:00
  X at midnight: 2026-11-25 00:00
  X at twelve: 2026-11-25 00:00
  tomorrow at eight X: 2026-11-25 08:00
  X at eight tomorrow: 2026-11-25 08:00
  tomorrow X at eight: 2026-11-25 08:00
  at eight X tomorrow: 2026-11-25 08:00
  X tomorrow at two: 2026-11-25 14:00
  tomorrow evening at eight X: 2026-11-25 20:00
  X tomorrow at midnight: 2026-11-26 00:00
  the day after tomorrow at eight X: 2026-11-26 08:00
  tonight at ten X: 2026-11-24 22:00
  X tonight at one: 2026-11-25 01:00
  this evening at seven X: 2026-11-24 19:00
  on Saturday at noon X: 2026-11-28 12:00
  X on Tuesday at three in the afternoon: 2026-12-01 15:00
  X on Tuesday at nine in the evening: 2026-11-24 21:00
  X next friday at nine: 2026-11-27 09:00
  X on December 24th at five: 2026-12-24 17:00
  X on the 3rd of january at nine: 2027-01-03 09:00
  X on the thirty first at ten: 2026-12-31 10:00
  every weekday at seven X: mon,tue,wed,thu,fri 07:00
  X at seven every weekday: mon,tue,wed,thu,fri 07:00
  every day at 22:30 X: mon,tue,wed,thu,fri,sat,sun 22:30
  X daily at two: mon,tue,wed,thu,fri,sat,sun 14:00
  every evening at nine X: mon,tue,wed,thu,fri,sat,sun 21:00
  every weekend at nine X: sat,sun 09:00
  X every monday and thursday at six: mon,thu 06:00
  X on sundays at nine: sun 09:00
  X every friday night at one: sat 01:00
  at sunset X: 2026-11-24 sunset
  X when the sun sets: 2026-11-24 sunset
  X at sunrise: 2026-11-25 sunrise
  half an hour before sunrise X: 2026-11-25 sunrise-30
  X twenty minutes after sunset: 2026-11-24 sunset+20
  X two hours before sunset: 2026-11-25 sunset-120
  every day at sunset X: mon,tue,wed,thu,fri,sat,sun sunset
  X every evening when it gets dark: mon,tue,wed,thu,fri,sat,sun dusk
  today at two X: null
  please X at seven: 2026-11-24 19:00
it:
  alle sette X: 2026-11-24 19:00
  alle sette e mezza X: 2026-11-24 19:30
  X alle sette e un quarto: 2026-11-24 19:15
  X alle otto meno un quarto: 2026-11-24 19:45
  X alle otto meno dieci: 2026-11-24 19:50
  X alle sette e venti di mattina: 2026-11-25 07:20
  X alle ventidue e trenta: 2026-11-24 22:30
  X alle 22:30: 2026-11-24 22:30
  X alle 22.30: 2026-11-24 22:30
  X alle 20: 2026-11-24 20:00
  X all'una: 2026-11-25 01:00
  X a mezzogiorno: 2026-11-25 12:00
  X a mezzanotte: 2026-11-25 00:00
  X a mezzogiorno e mezzo: 2026-11-25 12:30
  domani alle otto X: 2026-11-25 08:00
  domani X alle otto: 2026-11-25 08:00
  X alle otto di domani: 2026-11-25 08:00
  domattina alle sette X: 2026-11-25 07:00
  dopodomani alle quindici X: 2026-11-26 15:00
  stasera alle dieci X: 2026-11-24 22:00
  X stanotte alle due: 2026-11-25 02:00
  sabato a mezzogiorno X: 2026-11-28 12:00
  X il 24 dicembre alle cinque: 2026-12-24 17:00
  X il primo gennaio alle nove: 2027-01-01 09:00
  ogni giorno feriale alle sette X: mon,tue,wed,thu,fri 07:00
  ogni giorno alle 22:30 X: mon,tue,wed,thu,fri,sat,sun 22:30
  tutti i giorni alle due X: mon,tue,wed,thu,fri,sat,sun 14:00
  tutte le sere alle dieci X: mon,tue,wed,thu,fri,sat,sun 22:00
  X ogni lunedì e giovedì alle sei: mon,thu 06:00
  il sabato alle dieci X: sat 10:00
  al tramonto X: 2026-11-24 sunset
  X all'alba: 2026-11-25 sunrise
  mezz'ora prima dell'alba X: 2026-11-25 sunrise-30
  X un'ora dopo il tramonto: 2026-11-24 sunset+60
  quando tramonta il sole X: 2026-11-24 sunset
  oggi alle due X: null
""")
COMMANDS = {"en": "turn on the sofa lamp", "it": "accendi la lampada del divano"}


def plan_of(
    text: str, language: str, understanding: TemplateUnderstanding, homes: dict[str, Home]
) -> tuple[PlanKind, str, dict[str, Any]]:
    """Kind, intent, and the parameters of the only action, if there is one."""
    home = replace(homes[language], whereabouts=PLACE)
    said = Utterance(text, language, AREA[language], spoken_at=NOW.timestamp())
    plan = understanding.understand(said, home)
    params = dict(plan.actions[0].params) if len(plan.actions) == 1 else {}
    return plan.kind, f"{plan.skill}.{plan.intent}", params


@pytest.mark.parametrize(
    ("language", "text", "when"),
    [(language, text, when) for language, rows in WHEN.items() for text, when in rows.items()],
)
def test_a_time_is_understood(
    language: str,
    text: str,
    when: str | None,
    understanding: TemplateUnderstanding,
    homes: dict[str, Home],
) -> None:
    command = COMMANDS[language]
    said = text.replace("X", command)
    kind, intent, params = plan_of(said, language, understanding, homes)
    assert intent == "schedule.schedule"
    if when is None:
        assert kind is PlanKind.REFUSE
        return
    assert kind is PlanKind.ACT
    assert params["when"] == str(when)
    assert params["command"] == command


# "X" stands for a command; for how many seconds it is done.
LASTING = yaml.safe_load("""
en:
  X for ninety seconds: 90
  X for a minute: 60
  X for five minutes and thirty seconds: 330
  X for a quarter of an hour: 900
  X for half an hour please: 1800
  X for the next hour: 3600
  X for another half hour: 1800
  X for an hour and a half: 5400
  X for an hour and twenty minutes: 4800
  X for two and a half hours: 9000
  X for a couple of hours: 7200
  X for about 10 minutes: 600
  for ten minutes X: 600
  X for three days: 259200
it:
  X per novanta secondi: 90
  X per un minuto: 60
  X per un quarto d'ora: 900
  X per mezz'ora per favore: 1800
  X per la prossima ora: 3600
  X per un'ora e venti minuti: 4800
  X per un paio d'ore: 7200
  X per circa 10 minuti: 600
  per dieci minuti X: 600
  accendi per dieci minuti la lampada del divano: 600
  X per tre giorni: 259200
""")


@pytest.mark.parametrize(
    ("language", "text", "seconds"),
    [(language, text, row) for language, rows in LASTING.items() for text, row in rows.items()],
)
def test_how_long_is_understood(
    language: str,
    text: str,
    seconds: int,
    understanding: TemplateUnderstanding,
    homes: dict[str, Home],
) -> None:
    said = Utterance(text.replace("X", COMMANDS[language]), language)
    now, later = understanding.understand(said, homes[language]).actions
    assert (now.name, later.name) == ("turn_on", "delay")
    assert later.params["seconds"] == seconds


REMINDERS = yaml.safe_load("""
en:
  remind me to call my mother at seven: [2026-11-24 19:00, call my mother]
  remind me at seven to call my mother: [2026-11-24 19:00, call my mother]
  remind me tomorrow at eight that the bins go out: [2026-11-25 08:00, the bins go out]
  tomorrow at eight remind me about the bins: [2026-11-25 08:00, the bins]
  remind us every friday at six to water the plants: [fri 06:00, water the plants]
  remind me to turn off the sofa lamp at ten: [2026-11-24 22:00, turn off the sofa lamp]
  remind me to buy milk tomorrow: [2026-11-25 09:00, buy milk]
it:
  ricordami di chiamare la mamma alle sette: [2026-11-24 19:00, chiamare la mamma]
  ricordami alle sette di chiamare la mamma: [2026-11-24 19:00, chiamare la mamma]
  domani alle otto ricordami della spazzatura: [2026-11-25 08:00, spazzatura]
  ricordami di comprare il latte domani: [2026-11-25 09:00, comprare il latte]
  ricordami di spegnere la luce alle dieci: [2026-11-24 22:00, spegnere la luce]
""")


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [(language, text, row) for language, rows in REMINDERS.items() for text, row in rows.items()],
)
def test_a_reminder_is_understood(
    language: str,
    text: str,
    expected: list[object],
    understanding: TemplateUnderstanding,
    homes: dict[str, Home],
) -> None:
    kind, intent, params = plan_of(text, language, understanding, homes)
    assert (kind, intent) == (PlanKind.ACT, "schedule.remind")
    assert [params["when"], params["message"]] == list(map(str, expected))


# What is near to it: the action and its parameters, or the kind of plan.
NEAR = yaml.safe_load("""
en:
  set the sofa lamp at ten percent: set_brightness
  set the sofa lamp at seven: set_brightness
  turn on the sofa lamp at 50: set_brightness
  announce that dinner is at seven: broadcast
  tell everyone we leave at half past seven: broadcast
  add dinner at eight to my shopping list: list_add
  set a timer for seven minutes: start_timer
  turn off the sofa lamp in ten minutes: delay
  set the alarm to seven: nothing done
  set an alarm for seven: remind
  how long is it until seven: nothing done
  wake me when it is over: nothing done
  was the sofa lamp on until seven: nothing done
  did you turn on the sofa lamp until seven: nothing done
  I leave the sofa lamp on until seven: nothing done
  the shop is open until seven: nothing done
  keep calm until seven: nothing done
  set a pizza timer for ten minutes: start_timer
  add cakes for ten minutes to my shopping list: list_add
  announce that the bathroom is closed for ten minutes: broadcast
  wait for ten minutes and turn off the sofa lamp: delay
  was the sofa lamp on for ten minutes: nothing done
  did you turn on the sofa lamp for ten minutes: nothing done
  I turned on the sofa lamp for ten minutes: nothing done
  the sofa lamp was on for ten minutes: nothing done
  leave me alone for ten minutes: nothing done
  keep quiet for ten minutes: nothing done
  turn on the sofa lamp for ten minutes for an hour: nothing done
  turn on the sofa lamp at ten for an hour: schedule
  turn on the sofa lamp from eight to ten: schedule
  set the sofa lamp from twenty to fifty: nothing done
  cancel the alarm at seven: nothing done
  I get up at seven every day: nothing done
  the train leaves at half past seven: nothing done
  the sun sets at seven: nothing done
  every day I turn on the light at seven: nothing done
  did you turn on the sofa lamp at seven: nothing done
  is the sofa lamp on at seven: nothing done
  don't turn on the sofa lamp at seven: nothing done
  at seven don't turn on the sofa lamp: nothing done
  what will the weather be tomorrow at eight: nothing done
  turn on the sofa lamp tomorrow: nothing done
  turn on the basement lamp at seven: nothing done
  play tonight: play_media
  at seven at eight turn on the sofa lamp: nothing done
it:
  imposta la lampada del divano al sette per cento: set_brightness
  annuncia che la cena è alle sette: broadcast
  avvia un timer di sette minuti: start_timer
  spegni la lampada del divano tra dieci minuti: delay
  tra un'ora e mezza spegni la lampada del divano: delay
  imposta la sveglia alle sette: remind
  il negozio è aperto fino alle sette: nothing done
  la lampada del divano era accesa fino alle sette: nothing done
  imposta un timer per dieci minuti: start_timer
  metti un timer per la pasta per dieci minuti: start_timer
  la lampada del divano è accesa per dieci minuti: nothing done
  ho acceso la lampada del divano per dieci minuti: nothing done
  hai acceso la lampada del divano per dieci minuti?: nothing done
  lasciami in pace per dieci minuti: nothing done
  aggiungi per due giorni i biscotti: nothing done
  accendi la lampada del divano tra un'ora per dieci minuti: delay
  mi alzo alle sette tutti i giorni: nothing done
  il treno parte alle sette e mezza: nothing done
  ogni giorno accendo la lampada del divano alle sette: nothing done
  la lampada del divano è accesa alle sette?: nothing done
  non accendere la lampada del divano alle sette: nothing done
  alle sette non accendere la lampada del divano: nothing done
  accendi la lampada del divano domani: nothing done
  accendi la luce in mansarda alle sette: nothing done
  che tempo fa domani alle otto: nothing done
""")


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [(language, text, row) for language, rows in NEAR.items() for text, row in rows.items()],
)
def test_what_is_near_to_it_is_not_mistaken_for_it(
    language: str,
    text: str,
    expected: str,
    understanding: TemplateUnderstanding,
    homes: dict[str, Home],
) -> None:
    home = replace(homes[language], whereabouts=PLACE)
    said = Utterance(text, language, AREA[language], spoken_at=NOW.timestamp())
    plan = understanding.understand(said, home)
    if expected == "nothing done":
        assert plan.kind is not PlanKind.ACT, plan
    else:
        assert [action.name for action in plan.actions] == [expected]


@pytest.mark.parametrize(
    ("text", "does"),
    [
        ("at ten turn off the sofa lamp and the TV", ["schedule"]),
        ("turn off the sofa lamp and the TV at ten", ["schedule"]),
        ("turn off the sofa lamp now and turn off the TV at ten", ["turn_off", "schedule"]),
        ("turn off the sofa lamp and turn on the TV in ten minutes", ["delay"]),
        ("in ten minutes turn on the sofa lamp and open the blinds", ["delay"]),
        ("turn on the sofa lamp and in ten minutes turn it off", ["nothing"]),
        ("turn off the TV and open the blinds for ten minutes", ["turn_off", "open", "delay"]),
        (
            "turn on the sofa lamp for ten minutes and turn off the TV",
            ["turn_on", "delay", "turn_off"],
        ),
        ("every day at ten turn on the sofa lamp for an hour", ["schedule"]),
        ("in an hour turn on the sofa lamp for ten minutes", ["delay"]),
        ("turn on the sofa lamp in an hour for ten minutes", ["delay"]),
        ("we're going out for two hours", ["nothing"]),
    ],
)
def test_several_commands_share_a_time_or_not(
    text: str, does: list[str], understanding: TemplateUnderstanding, homes: dict[str, Home]
) -> None:
    home = replace(homes["en"], whereabouts=PLACE)
    said = Utterance(text, "en", "lounge", spoken_at=NOW.timestamp())
    plan = understanding.understand(said, home)
    assert ([a.name for a in plan.actions] or ["nothing"]) == does


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("turn on the sofa lamp at sunset", "schedule.no_place"),
        ("turn on the sofa lamp tomorrow", "schedule.unclear"),
        ("turn on the sofa lamp on the 31st of february at ten", "schedule.no_such_day"),
    ],
)
def test_why_it_is_not_scheduled(
    text: str, key: str, understanding: TemplateUnderstanding, homes: dict[str, Home]
) -> None:
    home = replace(homes["en"], whereabouts=Whereabouts(ROME))
    plan = understanding.understand(Utterance(text, "en", spoken_at=NOW.timestamp()), home)
    assert plan.kind is PlanKind.REFUSE
    assert plan.speech is not None
    assert plan.speech.key == key
