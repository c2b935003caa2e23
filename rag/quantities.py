"""Numbers and dates as they are meant: "1,000 km" is "one thousand kilometres".

A month is the unit of its day, a currency that of an amount. A number without a unit fits every
unit: texts leave out what is clear. Months and weekdays are quantities too, by their place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_WORDS = {word: i for i, word in enumerate(_ONES)} | {w: 10 * i for i, w in enumerate(_TENS, 2)}
_SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_MONTHS = tuple(
    "january february march april may june july august september october november december".split()
)
# A line is one unit in its spellings; the first names it.
_UNITS = """
percent % pct percentage
dollar $ dollars usd
euro € euros eur
pound £ pounds gbp lb lbs
yen ¥ jpy
metre m meter meters metres
kilometre km kms kilometer kilometers kilometres
centimetre cm centimeter centimeters centimetres
millimetre mm millimeter millimeters millimetres
mile miles mi
foot feet ft
inch inches
yard yards
kilogram kg kgs kilograms kilo kilos
gram g grams
milligram mg milligrams
microgram µg mcg micrograms
tonne tonnes ton tons
litre l liter liters litres
millilitre ml milliliter milliliters millilitres
gallon gallons
second seconds sec secs
minute minutes min mins
hour hours hr hrs
day days
week weeks
month months
year years yr yrs
decade decades
century centuries
celsius °c
fahrenheit °f
degree degrees °
byte bytes
kilobyte kb kilobytes
megabyte mb megabytes
gigabyte gb gigabytes
terabyte tb terabytes
watt w watts
kilowatt kw kilowatts
megawatt mw megawatts
volt volts
hertz hz
acre acres
hectare ha hectares
"""
_UNIT_OF = {form: line.split()[0] for line in _UNITS.strip().split("\n") for form in line.split()}
_UNIT_OF |= {form: month for month in _MONTHS for form in (month, month[:3])}
_UNIT_OF["sept"] = "september"

_WEEKDAYS = tuple("monday tuesday wednesday thursday friday saturday sunday".split())
_PLACES = {name: float(i) for names in (_MONTHS, _WEEKDAYS) for i, name in enumerate(names)}
_PLACES |= {month[:3]: float(i) for i, month in enumerate(_MONTHS)} | {"sept": 8.0}
_CLEAR = "|".join(name for name in (*_MONTHS, *_WEEKDAYS) if name not in ("march", "may"))
_SHORT = "|".join((*(month[:3] for month in _MONTHS), "sept"))
_DATE_NAME = re.compile(
    rf"\b(?:({_CLEAR})s?"
    # What is a word as well names a month beside a number or a preposition only.
    rf"|(?:(?<=\d )|(?<=\dth )|(?<=\b(?:in|of|by) ))(march|may|{_SHORT})"
    rf"|(march|may|{_SHORT})(?=\.?,? \d))\b",
    re.IGNORECASE,
)
_ISO_DATE = re.compile(r"\b(\d{4})-(0[1-9]|1[0-2])-([0-3]\d)\b")
_SMALL = "|".join((*_ONES, *_TENS))
_NUMBER = re.compile(
    # Not inside a name such as CYP2D6, v2.4 or COVID-19.
    r"(?<![\w.])(?<![^\W\d_]-)(?:(?P<sign>[$€£¥]) ?)?"
    r"(?:(?P<digits>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?)(?:st|nd|rd|th|s\b)?"
    rf"|(?P<tens>{'|'.join(_TENS)})-(?P<ones>{'|'.join(_ONES[1:10])})\b"
    rf"|(?P<word>{_SMALL})\b)",
    re.IGNORECASE,
)
_THOUSANDS = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?!,?\d)")
_SCALE = re.compile(rf"[ -]?({'|'.join(_SCALES)})s?\b", re.IGNORECASE)
_AFTER = re.compile(r"(?: ?-?(?:of )?)(%|°[cf]?|[^\W\d_]+\.?)", re.IGNORECASE)
_BEFORE = re.compile(r"([^\W\d_]{3,9})\.? (?:the )?$")
_LAST_DAY = 31
_LONGEST_WORD = 16  # characters before a number in which its month is looked for


class Quantity(NamedTuple):
    """A number and the name of its unit, None where it has none or an unknown one."""

    value: float
    unit: str | None

    def fits(self, other: Quantity) -> bool:
        """Return whether both may mean the same."""
        return math.isclose(self.value, other.value, rel_tol=1e-9) and (
            self.unit is None or other.unit is None or self.unit == other.unit
        )


def in_digits(text: str) -> str:
    """Return a text with its numbers and ISO dates written in one way.

    "One thousand" and "1,000" become "1000", "$5 million" "$5000000", "2024-05-31" "31 May 2024";
    a bare "one" stays.
    """
    parts, end = [], 0
    text = _ISO_DATE.sub(_spelt_date, text)
    for match, stop, value in _numbers(text):
        bare_one = (match["word"] or "").lower() == "one" and stop == match.end()
        if (
            not bare_one
            and math.isfinite(value)
            and (match["digits"] is None or stop > match.end())
        ):
            parts += [text[end : match.start()], match["sign"] or "", f"{value:.15g}"]
            end = stop
    return _THOUSANDS.sub(lambda m: m[0].replace(",", ""), "".join([*parts, text[end:]]))


def quantities(text: str) -> frozenset[Quantity]:
    """Return the numbers and dates of a text; a bare "one" is no number.

    Args:
        text: As ``in_digits`` returns it.
    """
    found = set()
    for match, end, value in _numbers(text):
        unit = _unit(text, match, end, value)
        if unit is not None or (match["word"] or "").lower() != "one":
            found.add(Quantity(value, unit))
    for match in _DATE_NAME.finditer(text):
        name = match[match.lastindex or 0].lower()
        found.add(Quantity(_PLACES[name], "weekday" if name in _WEEKDAYS else "month of the year"))
    return frozenset(found)


def unsupported(said: Iterable[Quantity], known: Iterable[Quantity]) -> int:
    """Return how many quantities fit none of the known ones."""
    by_value: dict[float, list[Quantity]] = {}
    for quantity in known:
        by_value.setdefault(quantity.value, []).append(quantity)
    return sum(not any(map(q.fits, by_value.get(q.value, ()))) for q in said)


def _spelt_date(match: re.Match[str]) -> str:
    return f"{int(match[3])} {_MONTHS[int(match[2]) - 1].capitalize()} {match[1]}"


def _numbers(text: str) -> Iterator[tuple[re.Match[str], int, float]]:
    """Yield each number with where its scale ends and its value."""
    end = 0
    for match in _NUMBER.finditer(text):
        if match.start() >= end:  # else it was the scale of the number before
            value, end = _value(match), match.end()
            while (scale := _SCALE.match(text, end)) is not None:
                value, end = value * _SCALES[scale[1].lower()], scale.end()
            yield match, end, value


def _value(match: re.Match[str]) -> float:
    if match["digits"]:
        return float(match["digits"].replace(",", ""))
    if match["tens"]:
        return float(_WORDS[match["tens"].lower()] + _WORDS[match["ones"].lower()])
    return float(_WORDS[match["word"].lower()])


def _unit(text: str, match: re.Match[str], end: int, value: float) -> str | None:
    if match["sign"]:
        return _UNIT_OF[match["sign"]]
    after = _AFTER.match(text, end)
    unit = _UNIT_OF.get(after[1].rstrip(".").lower()) if after else None
    if unit is None:
        before = _BEFORE.search(text, max(0, match.start() - _LONGEST_WORD), match.start())
        unit = _UNIT_OF.get(before[1].lower()) if before else None
        return unit if unit in _MONTHS and value <= _LAST_DAY else None
    return unit if unit not in _MONTHS or value <= _LAST_DAY else None
