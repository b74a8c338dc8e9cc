import json
from typing import Any

import pytest

from assistant.errors import DiscoveryError
from assistant.home.discovery.template import (
    OUTPUT_LIMIT,
    NoValueError,
    TemplateError,
    parse,
    render_value,
)


def rendered(source: Any, payload: Any = "", **variables: Any) -> Any:
    if variables:
        return parse(source).render(variables)
    return render_value(parse(source), payload)


@pytest.mark.parametrize(
    ("source", "payload", "expected"),
    [
        ("{{ value }}", "ON", "ON"),
        ("{{ value_json.POWER }}", '{"POWER":"ON"}', "ON"),
        ("{{value_json['state']}}", '{"state":"OFF"}', "OFF"),
        ("{{ value_json.a.b[1] }}", '{"a":{"b":[1,2]}}', "2"),
        ("{{ value_json.missing }}", "{}", ""),
        ("{{ value_json.missing | default('none') }}", "{}", "none"),
        ("{{ value_json.temperature | round(1) }}", '{"temperature":21.456}', "21.5"),
        ("{{ value_json.t | float | multiply(0.1) | round(1) }}", '{"t":"215"}', "21.5"),
        ("{{ value | int }}", "12.7", "12"),
        ("{{ value | int(default=7) }}", "x", "7"),
        ("{{ value | float(0) + 1 }}", "x", "1"),
        ("{{ (value | float / 2.55) | round }}", "255", "100"),
        ("{{ 'OFF' if value_json.contact else 'ON' }}", '{"contact":true}', "OFF"),
        ("{{ iif(value_json.on, 'ON', 'OFF') }}", '{"on":false}', "OFF"),
        ("{{ value_json.on | iif('ON', 'OFF') }}", '{"on":true}', "ON"),
        (
            "{% if value_json.x > 5 %}high{% elif value_json.x > 2 %}mid{% else %}low{% endif %}",
            '{"x":3}',
            "mid",
        ),
        ("{% set m = {'a':'b'} %}{{ m[value] if value in m.keys() else 'off' }}", "a", "b"),
        ("{{ {0:'off', 1:'low'}[value | int] | default('?') }}", "1", "low"),
        ("{{ value_json.speed | string ~ ' %' }}", '{"speed":7}', "7 %"),
        ("{{ value_json | to_json }}", '{"a": [1, null]}', '{"a":[1,null]}'),
        ("{{ (value | from_json).a }}", '{"a":2}', "2"),
        ("{{ value | regex_replace('([0-9]+) W', '\\\\1') }}", "15 W", "15"),
        ("{{ value | regex_findall_index('[0-9]+') }}", "abc 15 x 3", "15"),
        ("{{ value is match('^on') }}", "on now", "True"),
        ("{{ value.split(',')[1] | int + 1 }}", "1,2,3", "3"),
        ("{{ value_json.a is defined and not value_json.b is defined }}", '{"a":1}', "True"),
        ("{{ '%.1f' | format(value | float) }}", "3.14159", "3.1"),
        ("{{ value[0:2] | upper }}", "abc", "AB"),
        ("{{ max(1, 5, 3) }}", "", "5"),
        ("{{ 7 // 2 }} {{ 7 % 2 }} {{ -3 | abs }}", "", "3 1 3"),
        ("{{ true and none is none }}", "", "True"),
        ("{{ value_json.a or 'x' }}", '{"a":""}', "x"),
        ("  {# a comment #} x ", "", "x"),
        ("{{ value | bool }}", "off", "False"),
        ("{{ value_json.l | join(',') }}", '{"l":[1,2]}', "1,2"),
        ("{{ ('a' in value_json) and value_json.a == 1.0 }}", '{"a":1}', "True"),
    ],
)
def test_what_devices_send_is_rendered(source: Any, payload: Any, expected: Any) -> None:
    assert rendered(source, payload) == expected


def test_command_templates_see_their_variables() -> None:
    assert rendered('{"t": {{ value }}}', value=21.5) == '{"t": 21.5}'
    assert rendered("{{ red }},{{ green }}", red=1, green=2) == "1,2"


def test_no_value_is_no_error() -> None:
    with pytest.raises(NoValueError):
        rendered("{{ value_json.x | is_defined }}", "{}")


BOMBS = {
    "power": "{{ 9 ** 9 ** 9 }}",
    "product": "{{ 'x' * 1000000000 }}",
    "list product": "{{ [1] * 1000000000 }}",
    "range": "{{ range(1000000000) | list }}",
    "loop": "{% for a in [1,2,3] %}{% for b in [1,2,3] %}x{% endfor %}{% endfor %}",
    "macro": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "squares": "{% set a = 999999999999 %}" + "{% set a = a * a %}" * 60 + "{{ a }}",
    "doubled text": "{% set a = 'xxxxxxxxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 60 + "{{ a }}",
    "added text": "{% set a = 'xxxxxxxxxxxxxxxx' %}" + "{% set a = a + a %}" * 60 + "{{ a }}",
    "doubled list": "{% set a = [1] %}" + "{% set a = [a, a] %}" * 60 + "{{ a }}",
    "added list": "{% set a = [1] %}" + "{% set a = a + a %}" * 60 + "{{ a }}",
    "doubled dict": "{% set a = {} %}" + "{% set a = {'a':a,'b':a} %}" * 60 + "{{ a | to_json }}",
    "replace": "{% set a = 'aaaaaaaaaa' %}"
    + "{% set a = a.replace('a', 'aaaaaaaaaa') %}" * 20
    + "{{ a }}",
    "join": "{% set a = 'aaaaaaaaaa' %}" + "{% set a = a | join(a) %}" * 20 + "{{ a }}",
    "json in json": "{% set a = '\"' %}" + "{% set a = a | to_json %}" * 90 + "{{ a }}",
    "format": "{{ '%999999999d' | format(1) }}",
    "old format": "{{ '%999999999d' % 1 }}",
    "str.format": "{{ '{:>999999999}'.format(1) }}",
    "centre": "{{ 'x' | center(999999999) }}",
    "indent": "{{ 'x' | indent(999999999) }}",
    "output": "{% set a = '" + "x" * 900 + "' %}" + "{{ a }}" * 200,
    "brackets": "{{ " + "(" * 1500 + "1" + ")" * 1500 + " }}",
    "lists in lists": "{{ " + "[" * 1500 + "]" * 1500 + " }}",
    "negations": "{{ " + "not " * 900 + "1 }}",
    "many terms": "{{ " + "1+" * 1900 + "1 }}",
    "long": "x" * 5000,
    "regex": "{{ ('a' * 40) | regex_match('(a+)+$') }}",
    "regex on value": "{{ value | regex_match('(a+)+$') }}",
    "regex alternatives": "{{ value | regex_match('" + "(a|a)" * 30 + "b') }}",
    "regex options": "{{ value | regex_match('" + "a?" * 60 + "b') }}",
    "regex stars": "{{ value | regex_search('a*a*a*a*a*a*b') }}",
    "regex look-ahead": "{{ value | regex_search('(?=(a+))*b') }}",
    "regex counts": "{{ value | regex_search('(a{1,99}){1,99}b') }}",
    "regex wrong": "{{ value | regex_search('(') }}",
    "escape by class": "{{ ''.__class__.__mro__ }}",
    "escape by subclasses": "{{ ''.__class__.__base__.__subclasses__() }}",
    "escape by globals": "{{ value.lower.__globals__ }}",
    "escape by self": "{{ self._TemplateReference__context }}",
    "escape by builtins": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "escape by attr": "{{ '' | attr('__class__') | string }}",
    "escape by map": "{{ [''] | map(attribute='__class__') | list | string }}",
    "include": "{% include '/etc/passwd' %}",
    "import": "{% import 'os' as os %}{{ os }}",
    "state machine": "{{ states('light.kitchen') }}",
    "stars": "{{ max(*value_json) }}",
    "division": "{{ 1 / 0 }}",
    "infinity": "{{ (1e308 * 10) | int }}",
    "number of digits": "{{ " + "9" * 4000 + " }}",
    "unhashable": "{{ {[]: 1} }}",
    "open": "{{ value",
}


@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_and_escapes_end_in_an_error_or_in_nothing(source: Any) -> None:
    try:
        text = rendered(source, json.dumps("a" * 250))
    except DiscoveryError:
        return
    # What does not fail has made nothing of it.
    assert len(text) <= OUTPUT_LIMIT
    assert "class" not in text
    assert "root" not in text


@pytest.mark.parametrize(
    "name",
    [
        "power",
        "product",
        "range",
        "loop",
        "doubled text",
        "doubled list",
        "doubled dict",
        "squares",
        "replace",
        "join",
        "json in json",
        "output",
        "many terms",
        "long",
        "format",
        "regex on value",
        "regex alternatives",
        "regex stars",
        "brackets",
        "include",
        "escape by builtins",
        "state machine",
        "stars",
        "division",
    ],
)
def test_these_bombs_are_refused(name: Any) -> None:
    with pytest.raises(DiscoveryError):
        rendered(BOMBS[name], "a" * 250)


def test_a_big_payload_is_not_gone_through_again_and_again() -> None:
    payload = json.dumps([[i] for i in range(30000)])
    assert rendered("{{ value_json[3][0] }}", payload) == "3"
    for source in (
        "{{ value_json | length }}" * 130,
        "{{ value_json == [1] }}" * 130,
        "{% if 1 in value_json %}{% endif %}" * 100,
        "{% set x = value_json | string | length %}" * 90,
    ):
        with pytest.raises(TemplateError):
            rendered(source, payload)


def test_payloads_too_long_are_refused() -> None:
    with pytest.raises(TemplateError):
        rendered("{{ value }}", "x" * 300_000)
    assert render_value(None, "x" * 300_000)
