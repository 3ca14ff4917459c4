"""Units and currencies beside numbers: what they measure, and how many of the base unit they are.

Units of one dimension convert into each other: kB, MB and GiB, ms and h, °C and °F. Decimal
prefixes are the SI's (k is 1,000), binary ones IEC's (Ki is 1,024). Currencies do not convert.
"""

from __future__ import annotations

from typing import NamedTuple


class Unit(NamedTuple):
    """A unit: what it measures, and ``factor`` × 10^``exponent`` of the base unit + ``offset``."""

    dimension: str
    factor: float = 1.0
    exponent: int = 0
    offset: float = 0.0


_CURRENCIES = {
    "$": "$ US$ USD",
    "€": "€ EUR",
    "£": "£ GBP",
    "¥": "¥ JPY CNY RMB 円 元 日元 人民币",
    "₹": "₹ Rs Rs. INR रु रु.",
    "CHF": "CHF SFr Fr Fr. SFr.",
    "kr": "kr kr. SEK NOK DKK ISK",
    "R$": "R$ BRL",
    "zł": "zł PLN",
    "Kč": "Kč CZK",
    "Ft": "Ft HUF",
    "lei": "lei RON",
    "₽": "₽ RUB руб руб.",
    "₴": "₴ UAH",
    "₺": "₺ TRY TL",
    "₩": "₩ KRW 원",
    "₫": "₫ VND đ VNĐ",
    "₱": "₱ PHP",
    "฿": "฿ THB",
    "₪": "₪ ILS",
    "₦": "₦ NGN",
    "A$": "A$ AU$ AUD",
    "C$": "C$ CA$ CAD",
    "NZ$": "NZ$ NZD",
    "S$": "S$ SGD",
    "HK$": "HK$ HKD",
    "MX$": "MX$ MXN",
    "R": "R ZAR",
    "Rp": "Rp IDR",
    "RM": "RM MYR",
    "AED": "AED",
    "SAR": "SAR",
    "₿": "₿ BTC",
    "NT$": "NT$ TWD",
    "KSh": "KSh KES Ksh",
    "S/": "S/ S/. PEN",
    "Bs": "Bs Bs. BOB VES",
    "₸": "₸ KZT",
    "₾": "₾ GEL",
    "₼": "₼ AZN",
    "₲": "₲ PYG",
    "₡": "₡ CRC",
    "₵": "GH₵ ₵ GHS",
    "৳": "৳ BDT",
    "лв": "лв лв. BGN",
    "грн": "грн грн.",
}
SCALE_WORDS = {
    name: power
    for power, names in {
        3: "thousand Tsd Tsd. tsd tsd. тыс тыс. tys tys. tis. tkr 千",
        4: "万 萬 만",
        5: "lakh lakhs lac lacs Lakh Lac",
        6: "million millions mln mln. Mio Mio. mio mkr млн млн. millones milhões",
        7: "crore crores Crore",
        8: "亿 億 억",
        9: "billion Mrd Mrd. mrd mld mld. Mld Md млрд млрд. mdkr",
        12: "trillion трлн",
    }.items()
    for name in names.split()
}
"""Powers of ten by the words that stand behind numbers: 3 Mio., 1.2万, 5 crore."""

_PREFIXES = {"n": -9, "µ": -6, "u": -6, "m": -3, "": 0, "k": 3, "K": 3, "M": 6, "G": 9, "T": 12}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50}
_PREFIXED = (
    "m g l L V A W VA var Wh VAh Ah J eV N Nm Pa Hz Ω ohm Ohm F bar t mol lm lx Sv Bq m/s "
    "B B/s Bps bit bit/s b/s bps W/m² W/m2 g/l g/L g/m³"
)
_SAME = {"L": "l", "Ohm": "Ω", "ohm": "Ω", "Bps": "B/s", "b/s": "bit/s", "bps": "bit/s"}
_SAME |= {"g/L": "g/l", "W/m2": "W/m²"}
_SPANS = {
    1.0: "s sec sec. secs second seconds Sek Sek.",
    60.0: "min min. mins minute minutes Min Min.",
    3_600.0: "h hr hrs hour hours Std Std.",
    86_400.0: "d day days Tage",
    604_800.0: "w week weeks",
}


def _table() -> dict[str, Unit]:
    units = {name: Unit(code) for code, names in _CURRENCIES.items() for name in names.split()}
    for base in _PREFIXED.split():
        dimension = _SAME.get(base, base)
        units |= {p + base: Unit(dimension, 1.0, power) for p, power in _PREFIXES.items()}
    for base in ("B", "B/s", "bit", "bit/s"):
        units |= {p + base: Unit(base, 2.0**power) for p, power in _BINARY.items()}
    for factor, names in _SPANS.items():
        units |= {name: Unit("s", factor) for name in names.split()}
    units |= {f"{p}s": Unit("s", 1.0, power) for p, power in _PREFIXES.items() if power < 0}
    units |= {p: Unit("", 1.0, power) for p, power in _PREFIXES.items() if power > 0}
    units |= {p: Unit("", 2.0**power) for p, power in _BINARY.items()}
    units |= {word: Unit("", 1.0, power) for word, power in SCALE_WORDS.items()}
    units |= dict.fromkeys(("lb", "lbs"), Unit("g", 453.59237)) | {"mcg": Unit("g", 1.0, -6)}
    units |= {"cm": Unit("m", 1.0, -2), "dm": Unit("m", 1.0, -1), "hPa": Unit("Pa", 1.0, 2)}
    units |= {"cl": Unit("l", 1.0, -2), "dl": Unit("l", 1.0, -1), "km/h": Unit("m/s", 1 / 3.6)}
    units |= {"°C": Unit("°C"), "degC": Unit("°C"), "℃": Unit("°C")}
    units |= dict.fromkeys(("°F", "degF", "℉"), Unit("°C", 5 / 9, 0, -160 / 9))
    units |= {name: Unit(name) for name in ("%", "‰", "°", "ppm", "ppb", "dB", "dBm", "rpm", "C")}
    units |= {"bytes": Unit("B"), "byte": Unit("B"), "Bytes": Unit("B"), "bits": Unit("bit")}
    return units


UNITS = _table()
"""Units by how they are written."""

SCALES = frozenset(name for name, unit in UNITS.items() if not unit.dimension)
"""Powers of ten and of two without a unit, which numbers that lack them are converted to."""

CURRENCIES = frozenset(name for names in _CURRENCIES.values() for name in names.split())
"""How currencies are written; they may stand in front of the number."""

MINUTES = Unit("s", 60.0)
"""What "m" is in a column of durations."""


def unit_of(name: str) -> Unit:
    """Return the unit of a name; an unknown one is its own dimension.

    >>> unit_of("GiB"), unit_of("ms").exponent, unit_of("pcs").dimension
    (Unit(dimension='B', factor=1073741824.0, exponent=0, offset=0.0), -3, 'pcs')
    """
    return UNITS.get(name) or Unit(name)
