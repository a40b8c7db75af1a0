"""Limits: what a letter written by somebody else cannot do."""

import pytest

from portal import clock
from portal.letters import filters, liquid
from portal.letters.liquid import BrokenLetter

REFUSED_WHEN_PARSED = {
    "an include": "{% include 'secrets' %}",
    "a render": "{% render 'secrets' %}",
    "an extends": "{% extends 'secrets' %}",
    "a table row": "{% tablerow i in (1..10) %}{% endtablerow %}",
    "an unclosed tag": "{% if title %}",
    "a source that is too long": "x" * (liquid.LONGEST_SOURCE + 1),
    "blocks in blocks in blocks": "{% if true %}" * 40 + "{% endif %}" * 40,
}
REFUSED_WHEN_RENDERED = {
    "nested loops": "{% for i in (1..100) %}{% for j in (1..100) %}x{% endfor %}{% endfor %}",
    "a long range": "{% for i in (1..1000000000) %}x{% endfor %}",
    "a long range backwards": "{% for i in (1..1000000000) reversed %}x{% endfor %}",
    "a range longer than memory": "{% for i in (1..99999999999999999999) %}x{% endfor %}",
    "string doubling": "{% assign a = 'x' %}{% for i in (1..900) %}"
    "{% assign a = a | append: a %}{% endfor %}",
    "replacing nothing by much": "{% assign a = title | replace: '', title %}" * 4,
    "much output": "{% for i in (1..900) %}{{ title }}{% endfor %}",
    "much captured": "{% for i in (1..900) %}{% capture a %}{{ a }}{{ title }}{% endcapture %}"
    "{% endfor %}",
    "an unknown variable": "{{ titel }}",
    "an unknown variable in a condition": "{% if titel %}{% endif %}",
    "an unknown filter": "{{ title | shout }}",
    "a filter that trusts data": "{{ title | safe }}",
    "the time of the server": "{{ now }}",
    "an attribute": "{{ thing.secret_key }}",
    "a class": "{{ title.__class__ }}",
    "a tone that does not exist": "{{ title | post: 'x', 'pink' }}",
    "a filter without its words": "{{ title | fact }}",
}


class Thing:
    secret_key = "s3cret"


@pytest.mark.parametrize("source", REFUSED_WHEN_PARSED.values(), ids=list(REFUSED_WHEN_PARSED))
def test_a_letter_is_refused_before_use_when_it_holds(source: str) -> None:
    with pytest.raises(BrokenLetter, match=r"^mine"):
        liquid.parse(source, where="mine", using=filters.html_environment("en"))


@pytest.mark.parametrize("source", REFUSED_WHEN_RENDERED.values(), ids=list(REFUSED_WHEN_RENDERED))
def test_a_letter_is_stopped_at(source: str) -> None:
    template = liquid.parse(source, where="mine", using=filters.html_environment("en"))
    with pytest.raises(BrokenLetter, match=r"^mine"):
        liquid.render(template, {"title": "t" * 10_000, "thing": Thing(), "a": ""})


def test_a_letter_is_stopped_when_its_second_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    source = "{% for i in (1..900) %}{{ '' }}{% endfor %}"
    template = liquid.parse(source, where="mine", using=filters.text_environment("en"))
    ticks = iter(range(1_000_000))
    monkeypatch.setattr(clock, "monotonic", lambda: next(ticks) / 100)
    with pytest.raises(BrokenLetter, match="takes longer than 1 s"):
        liquid.render(template, {})


def test_the_place_of_a_mistake_is_said() -> None:
    source = "Fine.\nFine too.\n{{ titel }}\n"
    template = liquid.parse(source, where="alert.raised/en", using=filters.text_environment("en"))
    with pytest.raises(BrokenLetter) as caught:
        liquid.render(template, {"title": "x"})
    assert caught.value.where == "alert.raised/en, line 3"
    assert "titel" in caught.value.what


def test_data_is_escaped_wherever_filters_join_it_with_trusted_words() -> None:
    source = (
        "{{ title }}{{ title | append: '<i>' }}{{ title | prepend: '<i>' }}{{ title | upcase }}"
        "{{ title | replace: 'b', '<u>' }}{{ title | default: '<i>' }}{{ title | truncate: 9 }}"
        "{% capture all %}{{ title }}{% endcapture %}{{ all | append: title }}{{ title | facts }}"
        "{{ title | buttons }}{{ title | fact: title }}{{ title | post: title, 'ok' }}"
        "{{ title | paragraphs }}{{ 'https://x.test/' | button: title }}"
    )
    template = liquid.parse(source, where="mine", using=filters.html_environment("en"))
    rendered = liquid.render(template, {"title": "<b>"})
    assert "<b>" not in rendered.lower()
    assert "<u>" not in rendered
