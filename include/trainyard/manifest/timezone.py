"""Which time zone somebody meant: by what the words mean, and by their spelling only where they are a name mistyped."""

from __future__ import annotations

import difflib
import re
import unicodedata
from functools import cache
from importlib import resources
from zoneinfo import available_timezones

# Files of the time zone database that name no zone: one is whatever the machine's own is.
_NO_ZONES = {"localtime", "Factory"}
_EXAMPLE = "Use a name of the IANA time zone database, such as Europe/Berlin."
_ZERO = {"z", "zulu time", "utc0", "gmt0", "coordinated universal time", "weltzeit"}
_OFFSET = re.compile(r"(?:utc|gmt|z)?\s*([+-])\s*(\d{1,2})(?::?(\d{2}))?(?:\s*(?:h|hours?))?", re.IGNORECASE)
_ETC = re.compile(r"Etc/GMT([+-])([1-9]\d?)")
_BEHIND = re.compile(r"\s*(?:\(.*\)| (?:standard |daylight |summer |local )?(?:time|zeit)| [a-z]{2,5})$")
# Zones without summer time that bear the names of such with it.
_WITHOUT_SUMMER = {"EST": "America/New_York", "MST": "America/Denver", "Etc/EST": "America/New_York"}


# Abbreviations, Windows' and people's names, and large cities that have no zone of their own.
_MEANINGS = {
    word: zone
    for zone, _, words in (
        row.partition(": ")
        for row in """\
Europe/Berlin: cest, cedt, mesz, mez, cet/cest, mitteleuropäische zeit, w. europe standard time, german time
Europe/Berlin: munich, münchen, frankfurt, hamburg, cologne, köln, stuttgart, leipzig, düsseldorf
Europe/Berlin: deutschland, mitteleuropa, bonn, dresden, essen, dortmund, bremen, nürnberg
Europe/Vienna: wien, österreich, graz, linz, salzburg
Europe/Zurich: schweiz, suisse, svizzera, genf, genève, lausanne, luzern
Europe/Prague: praha, prag, brno
Europe/Copenhagen: kopenhagen, københavn
Europe/Brussels: brüssel, bruxelles, antwerp, antwerpen
Europe/Amsterdam: rotterdam, den haag, the hague, niederlande, holland
Europe/Budapest: central europe standard time, ungarn
Europe/Bucharest: bukarest
Europe/Belgrade: belgrad
Europe/Stockholm: göteborg, gothenburg, schweden
Europe/London: bst, british time, gmt standard time, england, scotland, wales, manchester, uk, britain
Europe/Paris: romance standard time, lyon, french time
Europe/Lisbon: west, lisboa, lissabon, porto
Europe/Warsaw: central european standard time, warszawa, warschau, krakow, polen
Europe/Zurich: geneva, basel, bern
Europe/Rome: milan, milano, mailand, roma, rom, italia, italien, turin, torino, napoli, naples
Europe/Madrid: barcelona, españa, spanien, valencia, sevilla
Europe/Athens: eest, gtb standard time, athen
Europe/Helsinki: fle standard time
Europe/Kyiv: kiew
Europe/Moscow: msk, russian standard time, moskau, moskva, moskwa, st petersburg
Europe/Istanbul: trt, turkey standard time
America/New_York: edt, et, eastern, eastern time, eastern standard time, boston, washington, atlanta
America/New_York: miami, washington dc, philadelphia
America/Chicago: cdt, cst, ct, central, central time, central standard time, houston, dallas, austin
America/Denver: mdt, mt, mountain, mountain time, mountain standard time
America/Los_Angeles: pdt, pst, pt, pacific, pacific time, pacific standard time, california, silicon valley
America/Los_Angeles: san francisco, seattle, san diego, san jose
America/Anchorage: akdt, akst, alaskan standard time
Pacific/Honolulu: hawaiian standard time, hawaii
America/Halifax: adt, ast, atlantic standard time
America/St_Johns: ndt, nst
America/Sao_Paulo: brt, brst, e. south america standard time, brazil, brasil, rio, rio de janeiro, brasilia
America/Argentina/Buenos_Aires: art
America/Santiago: clt, clst
America/Toronto: montreal, ottawa
Asia/Kolkata: ist, india standard time, mumbai, bombay, delhi, new delhi, bangalore, bengaluru, chennai, pune
Asia/Shanghai: china standard time, beijing, peking, shenzhen, guangzhou, hangzhou
Asia/Tokyo: jst, tokyo standard time, osaka, kyoto
Asia/Seoul: kst, korea standard time
Asia/Singapore: sgt, singapore standard time, singapur
Asia/Bangkok: se asia standard time
Africa/Cairo: egypt standard time, cairo standard time, kairo
Asia/Hong_Kong: hkt
Asia/Manila: pht
Asia/Jakarta: wib
Asia/Bangkok: ict
Asia/Karachi: pkt
Asia/Dubai: gst, abu dhabi
Asia/Jerusalem: idt, israel standard time, tel aviv
Asia/Ho_Chi_Minh: hanoi
Africa/Johannesburg: sast, south africa standard time, cape town
Africa/Nairobi: eat
Africa/Lagos: wat
Australia/Sydney: aest, aedt, aus eastern standard time, canberra
Australia/Adelaide: acst, acdt
Australia/Perth: awst
Pacific/Auckland: nzst, nzdt, new zealand standard time, wellington
""".splitlines()
    )
    for word in words.split(", ")
}


def zones() -> set[str]:
    return available_timezones() - _NO_ZONES


def zone_hint(text: str) -> str:
    """Return the hint for a text that is no time zone's name."""
    if match := _OFFSET.fullmatch(text.strip()):
        return _offset_hint(match)
    if text.strip().casefold() in _ZERO:
        return "Write UTC."
    meant = _meant(text)
    return f"Did you mean {meant}? {_EXAMPLE}" if meant else _EXAMPLE


def zone_warning(zone: str) -> str | None:
    """Return what people do not expect of a time zone."""
    if match := _ETC.fullmatch(zone):
        other = "-" if match[1] == "+" else "+"
        side = "behind" if match[1] == "+" else "ahead of"
        return f"{zone} is {match[2]} hours {side} UTC; UTC{match[1]}{match[2]} is Etc/GMT{other}{match[2]}"
    if zone in _WITHOUT_SUMMER:
        return f"{zone} has no summer time; {_WITHOUT_SUMMER[zone]} has"
    return None


def _offset_hint(match: re.Match[str]) -> str:
    """The signs of Etc/GMT are the other way round, and there are whole hours only."""
    sign, hours, minutes = match[1], int(match[2]), int(match[3] or 0)
    if hours == 0 and minutes == 0:
        return "Write UTC."
    name = f"Etc/GMT{'-' if sign == '+' else '+'}{hours}"
    if minutes or name not in zones():
        return f"An offset has no summer time, and this one no name. {_EXAMPLE}"
    return (
        f"Write the place, such as Europe/Berlin, which has summer time; the fixed offset {match[0].strip()} is {name}."
    )


def _meant(text: str) -> str | None:
    word = " ".join(re.sub(r"[_\s]+", " ", text[:60].replace("\\", "/")).split()).casefold()
    known = sorted(zones())
    # As it stands; then without what people put behind a place: `Paris, France`, `Berlin time`, `Europe/Berlin (CEST)`.
    shorter = (word, word.partition(",")[0], _BEHIND.sub("", word))
    return next(filter(None, (_place(each, known) for each in shorter)), None) or _mistyped(word, known)


def _place(word: str, known: list[str]) -> str | None:
    last = word.rpartition("/")[2].replace("-", " ")
    exact = next((name for name in known if name.casefold() == word.replace(" ", "_")), None)
    city = next((name for name in known if "/" in name and _city(name) == _plain(last)), None)
    return _meaning(word) or exact or city or _meaning(last) or _countries().get(last)


def _meaning(word: str) -> str | None:
    return _MEANINGS.get(word) or _without_accents().get(_plain(word))


@cache
def _without_accents() -> dict[str, str]:
    return {_plain(word): zone for word, zone in _MEANINGS.items()}


def _plain(word: str) -> str:
    """Return a word without its accents: the database has Zurich, Bogota and Sao_Paulo."""
    return "".join(each for each in unicodedata.normalize("NFKD", word) if not unicodedata.combining(each))


def _city(name: str) -> str:
    return name.rpartition("/")[2].replace("_", " ").replace("-", " ").casefold()


def _mistyped(word: str, known: list[str]) -> str | None:
    """Find a name that is all but the same. Short words are abbreviations: one letter makes another zone of them."""
    if len(word) < 5 or not word.isascii():
        return None
    names = {name.replace("_", " ").casefold(): name for name in known if "/" in name}
    cities = {_city(name): name for name in names.values()}
    pool = names if "/" in word else cities
    close = difflib.get_close_matches(word, pool, n=1, cutoff=0.85)
    return pool[close[0]] if close else None


@cache
def _countries() -> dict[str, str]:
    """Return the zone of each country that has only one, by its name."""
    try:
        data = resources.files("tzdata.zoneinfo")
        codes = _rows(data.joinpath("iso3166.tab").read_text("utf-8"))
        places = _rows(data.joinpath("zone.tab").read_text("utf-8"))
    except (ModuleNotFoundError, OSError):
        return {}
    named = {row[0]: row[1].casefold() for row in codes}
    zones_of: dict[str, list[str]] = {}
    for row in places:
        zones_of.setdefault(named[row[0]], []).append(row[2])
    alone = {country: found[0] for country, found in zones_of.items() if len(found) == 1}
    return {
        **alone,
        "germany": "Europe/Berlin",
        "spain": "Europe/Madrid",
        "portugal": "Europe/Lisbon",
        "china": "Asia/Shanghai",
    }


def _rows(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
