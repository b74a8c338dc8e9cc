"""Questions in Italian: answered from the state of the home, in the gender of what is asked."""

from __future__ import annotations

import pytest

from assistant.home.model import Home
from assistant.plan import PlanKind, Utterance
from assistant.skill import Skills
from assistant.turn.reply import Replies
from assistant.understand.language import load_language
from assistant.understand.template import TemplateUnderstanding

ANSWERS = [
    ("è accesa la tv?", "Sì, TV: accesa."),
    ("la porta d'ingresso è chiusa a chiave?", "Sì, Porta d'Ingresso: chiusa a chiave."),
    ("il garage è aperto?", "No, Basculante: chiuso."),
    ("ci sono finestre aperte?", "Sì: Finestra Cucina."),
    ("quali luci sono accese?", "Luci Piano Cottura, Lampada Divano e Luce Ingresso."),
    ("quante luci sono accese in cucina?", "1: Luci Piano Cottura."),
    ("tutte le luci al primo piano sono spente?", "Sì, tutte spente: Lucina Notte e Applique."),
    ("ho lasciato delle luci accese in camera?", "No, Applique: spenta."),
    ("la lavatrice è in funzione?", "Sì, Lavatrice: accesa."),
    ("che temperatura c'è in salotto?", "Termostato Salotto: 20,5 °C."),
    ("quanti gradi ci sono fuori?", "Temperatura Esterna: 7,5 °C."),
    ("che umidità c'è in bagno?", "Umidità Bagno: 71 %."),
    ("quanto stiamo consumando?", "Consumo Casa: 1430 W."),
    ("qual è la luminosità della piantana?", "Lampada Divano: 50 per cento."),
    ("dov'è Pino?", "Pino è fuori."),
    ("chi c'è in casa?", "Ada."),
    ("quante persone ci sono in casa?", "1: Ada."),
    ("sono tutti in casa?", "No, tranne Pino."),
    ("che tempo fa?", "Pioggia, 8 °C."),
    ("sta piovendo?", "Sì, pioggia."),
    ("cosa c'è nella lista della spesa?", "Lista della Spesa: latte e uova."),
    ("quanto manca al timer della pasta?", "Pasta: ancora 6 minuti e 20 secondi."),
    ("fa più caldo dentro o fuori?", "Sì: 19,2 °C dentro e 7,5 °C fuori."),
    ("ho chiuso a chiave la porta sul retro?", "No, Porta sul Retro: non chiusa a chiave."),
    ("la lavatrice ha finito?", "No, Lavatrice: in funzione."),
    ("quanto è luminosa la piantana?", "Lampada Divano: 50 per cento."),
    ("a quanto è impostato il termostato del salotto?", "Termostato Salotto: 20 gradi."),
    ("c'è qualcosa di acceso in salotto?", "Lampada Divano, Termostato Salotto e TV."),
]


@pytest.mark.parametrize(("question", "answer"), ANSWERS, ids=[q for q, _ in ANSWERS])
def test_a_question_is_answered(
    question: str, answer: str, understanding: TemplateUnderstanding, casa: Home, skills: Skills
) -> None:
    plan = understanding.understand(Utterance(question, "it"), casa)
    assert plan.kind is PlanKind.ANSWER
    assert not plan.actions
    assert plan.speech is not None
    assert Replies(skills, lambda w: w[0]).word(plan.speech, "it") == answer


@pytest.mark.parametrize(
    ("names", "worded"),
    [
        (["Lampada Divano"], "accesa"),
        (["Luce Cucina"], "accesa"),
        (["Condizionatore"], "acceso"),
        (["Tende Studio"], "accese"),
        (["Faretti"], "accesi"),
        (["Luce Cucina", "Lampada Divano"], "accese"),
        (["Luce Cucina", "Lampadario"], "accesi"),
    ],
)
def test_words_agree_with_names(names: list[str], worded: str) -> None:
    assert load_language("it").agree("acceso", names) == worded


def test_every_reply_is_worded_in_italian(skills: Skills) -> None:
    for skill in skills.skills.values():
        said = {key for key in skill.replies["en"] if not key.startswith(("word_", "one_"))}
        assert said <= set(skill.replies["it"]), skill.name
