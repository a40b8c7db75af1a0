"""A form on a page: its fields by label or name, what they hold, and what a submit would send."""

from collections.abc import Mapping
from functools import cached_property

from justhtml import Element
from werkzeug.datastructures import MultiDict

from tests.page_rules import elements, spelled, text_of

_CONTROLS = ("input", "select", "textarea")

Value = str | bool | list[str]


class PageForm:
    """The values of one form as a browser would send them."""

    def __init__(self, root: Element, element: Element, button: Element | None) -> None:
        self._root = root
        self._element = element
        self._button = button
        self.data: MultiDict[str, str] = MultiDict()
        for control in self._controls:
            for value in _successful(control):
                self.data.add(control.attrs["name"] or "", value)
        if button is not None and button.attrs.get("name"):
            self.data.add(button.attrs["name"] or "", button.attrs.get("value") or "")

    @property
    def method(self) -> str:
        return (self._attribute("method") or "get").lower()

    @property
    def action(self) -> str:
        return self._attribute("action") or ""

    def fill(self, values: Mapping[str, Value]) -> None:
        """Set fields by label or name. Fails for a value that a person could not enter."""
        for field, value in values.items():
            self._set(self._named(field), field, value)

    def value(self, field: str) -> str | None:
        """What a field holds, or None for a box that is not ticked."""
        return self.data.get(self._named(field)[0].attrs["name"] or "")

    def _set(self, controls: list[Element], field: str, value: Value) -> None:
        name = controls[0].attrs["name"] or ""
        kind = _kind(controls[0])
        locked = [c for c in controls if "readonly" in c.attrs or "disabled" in c.attrs]
        assert not locked, f"{field!r} cannot be changed: {spelled(locked[0])}"
        wanted = [value] if isinstance(value, str) else value
        if kind == "checkbox" and isinstance(wanted, bool):
            wanted = [controls[0].attrs.get("value") or "on"] if wanted else []
        assert isinstance(wanted, list), f"{field!r} takes text, not {value!r}"
        if kind in ("checkbox", "radio", "select"):
            wanted = [self._chosen(controls, field, choice) for choice in wanted]
        if kind == "textarea":
            wanted = [_as_sent(text) for text in wanted]
        self.data.setlist(name, wanted)

    def _chosen(self, controls: list[Element], field: str, choice: str) -> str:
        """The value behind a choice that is named by its value or by its text."""
        offered: dict[str, str] = {}
        for control in controls:
            if control.name == "select":
                for option in control.query("option"):
                    value = option.attrs.get("value")
                    text = text_of(option)
                    offered[text] = text if value is None else value
            else:
                offered[self._label(control)] = control.attrs.get("value") or "on"
        if choice in offered.values():
            return choice
        assert choice in offered, f"{field!r} offers {offered}, not {choice!r}"
        return offered[choice]

    def _named(self, field: str) -> list[Element]:
        controls = [c for c in self._controls if _kind(c) != "hidden"]
        found = [c for c in controls if c.attrs["name"] == field]
        found = found or [c for c in controls if self._label(c) == field]
        if not found:
            known = sorted({f"{c.attrs['name']} ({self._label(c)})" for c in controls})
            raise AssertionError(
                f"no field {field!r} in {spelled(self._element)}; there are {known}"
            )
        return [c for c in controls if c.attrs["name"] == found[0].attrs["name"]]

    def _label(self, control: Element) -> str:
        if named := control.attrs.get("aria-label"):
            return named
        for label, around in self._labels:
            is_for = label.attrs.get("for") == (control.attrs.get("id") or object())
            if id(control) in around or is_for:
                marks = [text_of(mark) for mark in label.query(".gp-optional")]
                return text_of(label).removesuffix("".join(marks)).strip()
        return ""

    @cached_property
    def _labels(self) -> list[tuple[Element, set[int]]]:
        """Every label of the page with the controls that it is around."""
        return [
            (label, {id(inner) for inner in elements(label, *_CONTROLS)})
            for label in elements(self._root, "label")
        ]

    @cached_property
    def _controls(self) -> list[Element]:
        """Every control that belongs to the form and has a name, inside it or by `form=`."""
        inside = {id(inner) for inner in elements(self._element, *_CONTROLS)}
        own_id = self._element.attrs.get("id")
        return [
            control
            for control in elements(self._root, *_CONTROLS)
            if control.attrs.get("name")
            and (
                control.attrs["form"] == own_id
                if "form" in control.attrs
                else id(control) in inside
            )
        ]

    def _attribute(self, name: str) -> str | None:
        """The button's own address or method before the form's."""
        if self._button is not None and f"form{name}" in self._button.attrs:
            return self._button.attrs[f"form{name}"]
        return self._element.attrs.get(name)


def find_form(root: Element, button: str | None, *, where: str) -> PageForm:
    """The form with a button of this text, name or value; without one, the only one that posts
    in the page's main part."""
    if button is None:
        forms = [form for form in root.query("main form") if _posts(form)]
        assert len(forms) == 1, f"{len(forms)} forms post; name the button. {where}"
        default = next(iter(_buttons(root, forms[0])), None)
        return PageForm(root, forms[0], default)
    known = []
    for form in elements(root, "form"):
        for pressed in _buttons(root, form):
            names = [text_of(pressed), *(pressed.attrs.get(n) for n in ("aria-label", "value"))]
            known += [name for name in names if name]
            if button in names:
                return PageForm(root, form, pressed)
    raise AssertionError(f"no button {button!r}; there are {sorted(set(known))}. {where}")


def _buttons(root: Element, form: Element) -> list[Element]:
    """The submit buttons of a form, inside it or by `form=`."""
    own_id = form.attrs.get("id")
    inside = [b for b in elements(form, "button", "input") if "form" not in b.attrs]
    outside = [
        b for b in elements(root, "button", "input") if own_id and b.attrs.get("form") == own_id
    ]
    return [b for b in inside + outside if _submits(b)]


def _submits(button: Element) -> bool:
    by_itself = "submit" if button.name == "button" else "text"
    return (button.attrs.get("type") or by_itself) == "submit"


def _posts(form: Element) -> bool:
    return (form.attrs.get("method") or "").lower() == "post"


def _kind(control: Element) -> str:
    return (
        control.name if control.name != "input" else (control.attrs.get("type") or "text").lower()
    )


def _successful(control: Element) -> list[str]:
    """What a control sends as it stands (HTML, 4.10.22.4: constructing the entry list)."""
    kind = _kind(control)
    if "disabled" in control.attrs or kind in ("submit", "button", "reset", "image", "file"):
        return []
    if kind in ("checkbox", "radio"):
        return [control.attrs.get("value") or "on"] if "checked" in control.attrs else []
    if kind == "select":
        options = control.query("option")
        chosen = [option for option in options if "selected" in option.attrs]
        if not chosen and "multiple" not in control.attrs:
            chosen = options[:1]
        return [
            text_of(option) if (value := option.attrs.get("value")) is None else value
            for option in chosen
        ]
    if kind == "textarea":
        return [_as_sent("".join(str(child.data or "") for child in control.children or []))]
    return [control.attrs.get("value") or ""]


def _as_sent(text: str) -> str:
    """Line breaks as browsers send them, whatever the page held (HTML, 4.10.22.7)."""
    return text.replace("\r\n", "\n").replace("\n", "\r\n")
