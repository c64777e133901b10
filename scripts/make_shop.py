"""Makes the sample database: a chain of bicycle repair shops that does not exist. `make_shop.py [FILE.sqlite]`.

Everything in it is invented and comes from one seed: the same script makes the same rows, always. It is dirty, as real
data is, in these places only:

- `bicycles.brand` is written in different cases and with stray spaces;
- `customers.joined` has two spellings of a date, YYYY-MM-DD and DD.MM.YYYY;
- `customers.email`, `bicycles.bought_year`, `parts.weight_grams`, `reviews.comment` and others are NULL where unknown;
- one invoice has an amount that cannot be right (`OUTLIER`).
"""

from __future__ import annotations

import random
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

SEED = 20_260_214
TODAY = date(2025, 6, 30)
"""The last day that the database knows of."""
OUTLIER = 99_999.0
"""The amount of one invoice, in euros: somebody left a finger on a key."""
DEFAULT = Path(__file__).resolve().parent.parent / "workflows" / "data" / "shop.sqlite"

SCHEMA = """
CREATE TABLE shops (
    shop_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    city TEXT NOT NULL,
    opened DATE NOT NULL,
    monthly_rent REAL NOT NULL
);
CREATE TABLE mechanics (
    mechanic_id INTEGER PRIMARY KEY,
    shop_id INTEGER NOT NULL REFERENCES shops (shop_id),
    name TEXT NOT NULL,
    level TEXT NOT NULL,
    hired DATE NOT NULL,
    hourly_wage REAL NOT NULL
);
CREATE TABLE customers (
    customer_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    city TEXT NOT NULL,
    email TEXT,
    joined TEXT NOT NULL,
    newsletter INTEGER NOT NULL
);
CREATE TABLE bicycles (
    bicycle_id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (customer_id),
    brand TEXT NOT NULL,
    kind TEXT NOT NULL,
    bought_year INTEGER
);
CREATE TABLE repairs (
    repair_id INTEGER PRIMARY KEY,
    bicycle_id INTEGER NOT NULL REFERENCES bicycles (bicycle_id),
    mechanic_id INTEGER NOT NULL REFERENCES mechanics (mechanic_id),
    complaint TEXT NOT NULL,
    received DATE NOT NULL,
    finished DATE,
    hours REAL
);
CREATE TABLE suppliers (
    supplier_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    country TEXT NOT NULL,
    phone TEXT
);
CREATE TABLE parts (
    part_id INTEGER PRIMARY KEY,
    supplier_id INTEGER NOT NULL REFERENCES suppliers (supplier_id),
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    price REAL NOT NULL,
    weight_grams INTEGER
);
CREATE TABLE repair_parts (
    repair_id INTEGER NOT NULL REFERENCES repairs (repair_id),
    part_id INTEGER NOT NULL REFERENCES parts (part_id),
    quantity INTEGER NOT NULL,
    PRIMARY KEY (repair_id, part_id)
);
CREATE TABLE part_orders (
    order_id INTEGER PRIMARY KEY,
    shop_id INTEGER NOT NULL REFERENCES shops (shop_id),
    part_id INTEGER NOT NULL REFERENCES parts (part_id),
    ordered DATE NOT NULL,
    arrived DATE,
    quantity INTEGER NOT NULL,
    unit_cost REAL NOT NULL
);
CREATE TABLE invoices (
    invoice_id INTEGER PRIMARY KEY,
    repair_id INTEGER NOT NULL UNIQUE REFERENCES repairs (repair_id),
    issued DATE NOT NULL,
    amount REAL NOT NULL,
    paid DATE
);
CREATE TABLE reviews (
    review_id INTEGER PRIMARY KEY,
    repair_id INTEGER NOT NULL UNIQUE REFERENCES repairs (repair_id),
    written DATE NOT NULL,
    stars INTEGER NOT NULL,
    comment TEXT
);
"""

SHOPS = (
    ("Spoke & Kettle", "Arnmouth", "2009-04-18", 2150.0),
    ("The Crank House", "Arnmouth", "2014-09-01", 1780.0),
    ("Freewheel Yard", "Belcastle", "2011-03-12", 1940.0),
    ("Pedal Works", "Dunmere", "2016-05-20", 1320.0),
    ("Chain Reaction Corner", "Eskford", "2018-10-06", 1265.0),
    ("Two Wheels Tilbrook", "Tilbrook", "2021-02-15", 890.0),
)
CITIES = ("Arnmouth", "Belcastle", "Dunmere", "Eskford", "Tilbrook", "Fallowby", "Grenhithe")
FIRST = (
    "Adela", "Bram", "Corin", "Dagna", "Edda", "Fenno", "Gerda", "Hollis", "Ilka", "Joris", "Katrin", "Lorne", "Mirela",
    "Nils", "Odile", "Pavo", "Quill", "Runa", "Silvan", "Tamsin", "Ulric", "Vesna", "Wanda", "Yorick", "Zelda",
)  # fmt: skip
LAST = (
    "Ashgrove", "Barrowman", "Cindersby", "Dovecot", "Elmsworth", "Farthing", "Gullick", "Hawkbit", "Inglethorp",
    "Jessamy", "Kettlewell", "Larkmoor", "Mossop", "Nettlefold", "Oxenbury", "Pennywhistle", "Quarrier", "Rushbeck",
    "Sallowfield", "Thistlewood", "Underhay", "Vellacott", "Wetherspool", "Yarrowby",
)  # fmt: skip
LEVELS = (("apprentice", 14.0), ("journeyman", 19.5), ("master", 26.0))
BRANDS = ("Kestrelo", "Velmora", "Brackwater", "Orbita Nova", "Tern & Sons", "Halvard")
KINDS = (("city", 34), ("road", 20), ("mountain", 18), ("electric", 18), ("cargo", 10))
COMPLAINTS = (
    ("flat tyre", 24), ("worn chain", 18), ("loose brakes", 16), ("full service", 14), ("noisy gears", 12),
    ("bent wheel", 8), ("broken spoke", 5),
)  # fmt: skip
WEAKNESS = {
    "city": "flat tyre",
    "road": "noisy gears",
    "mountain": "bent wheel",
    "electric": "weak battery",
    "cargo": "loose brakes",
}
"""The complaint that each kind of bicycle has more often than others."""
SUPPLIERS = (
    ("Norrgard Components", "Sweden"), ("Bramante Ciclo", "Italy"), ("Tokiwa Drive", "Japan"),
    ("Hollandse Spaken", "Netherlands"), ("Altwerk Teile", "Germany"), ("Fjellhjul", "Norway"),
    ("Cadena Sur", "Spain"), ("Lumiere Mobile", "France"), ("Rothe & Kranz", "Germany"),
    ("Saddlery Voss", "Netherlands"), ("Kowal Precision", "Poland"), ("Ostrava Tube", "Czechia"),
)  # fmt: skip
PARTS = {
    "brakes": ("brake pad", "brake cable", "brake lever", "disc rotor", "caliper"),
    "drivetrain": ("chain", "cassette", "chainring", "derailleur", "shift cable", "pedal"),
    "wheels": ("inner tube", "tyre", "rim", "spoke set", "hub", "quick release"),
    "lighting": ("front light", "rear light", "dynamo", "reflector"),
    "comfort": ("saddle", "grip", "seat post", "mudguard", "kickstand"),
    "electric": ("battery", "controller", "motor cable"),
}
LINES = ("Basic", "Tour", "Pro")
PRICES = {"brakes": 16.0, "drivetrain": 24.0, "wheels": 19.0, "lighting": 22.0, "comfort": 21.0, "electric": 150.0}
FIXES = {
    "flat tyre": ("wheels",),
    "worn chain": ("drivetrain",),
    "loose brakes": ("brakes",),
    "full service": ("brakes", "drivetrain", "wheels", "comfort"),
    "noisy gears": ("drivetrain",),
    "bent wheel": ("wheels",),
    "broken spoke": ("wheels",),
    "weak battery": ("electric", "lighting"),
}
"""The categories of the parts that a complaint is mended with."""
COMMENTS = {
    1: ("Still broken.", "Took far too long.", "Nobody called me back."),
    2: ("Dearer than agreed.", "Had to come twice."),
    3: ("Fine.", "Does the job."),
    4: ("Good work.", "Friendly and quick."),
    5: ("Rides like new!", "Best shop in town.", "Quick, kind and cheap."),
}
LABOUR = 48.0
"""Euros that an hour of work costs a customer."""

Row = tuple[Any, ...]


def main(path: Path) -> None:
    """Write the database to `path`, in the place of one that is there."""
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as database:
        database.executescript(SCHEMA)
        for table, rows in tables(random.Random(SEED)).items():
            marks = ", ".join("?" * len(rows[0]))
            database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    database.execute("VACUUM")
    database.close()


def tables(draw: random.Random) -> dict[str, list[Row]]:
    """The rows of every table, in an order in which every foreign key is there already."""
    shops = numbered(SHOPS)
    mechanics = numbered(_mechanics(draw))
    customers = numbered(_customers(draw))
    bicycles = numbered(_bicycles(draw, customers))
    repairs = numbered(_repairs(draw, bicycles, customers, mechanics))
    suppliers = numbered((*one, _phone(draw)) for one in SUPPLIERS)
    parts = numbered(_parts(draw))
    used = _repair_parts(draw, repairs, parts)
    return {
        "shops": shops,
        "mechanics": mechanics,
        "customers": customers,
        "bicycles": bicycles,
        "repairs": repairs,
        "suppliers": suppliers,
        "parts": parts,
        "repair_parts": used,
        "part_orders": numbered(_part_orders(draw, parts)),
        "invoices": numbered(_invoices(draw, repairs, parts, used)),
        "reviews": numbered(_reviews(draw, repairs)),
    }


def numbered(rows: Iterable[Row]) -> list[Row]:
    """The rows with an identifier before each, from 1."""
    return [(number, *row) for number, row in enumerate(rows, start=1)]


def _mechanics(draw: random.Random) -> Iterable[Row]:
    names = _names(draw, 26)
    for place, name in enumerate(names):
        shop = place % len(SHOPS)
        level, wage = LEVELS[2 if place < len(SHOPS) else _weighted(draw, ((0, 35), (1, 45), (2, 20)))]
        hired = _between(draw, date.fromisoformat(SHOPS[shop][2]), date(2024, 12, 1))
        yield shop + 1, name, level, hired.isoformat(), round(wage + draw.uniform(-1.5, 4.0), 2)


def _customers(draw: random.Random) -> Iterable[Row]:
    for name in _names(draw, 280):
        joined = _between(draw, date(2017, 1, 2), date(2021, 12, 31))
        spelled = joined.strftime("%d.%m.%Y") if draw.random() < 0.2 else joined.isoformat()
        email = f"{name.lower().replace(' ', '.')}@{draw.choice(('post', 'mail', 'inbox'))}.example"
        yield (
            name,
            _weighted(draw, tuple(zip(CITIES, (30, 20, 16, 14, 8, 7, 5), strict=True))),
            None if draw.random() < 0.15 else email,
            spelled,
            int(draw.random() < 0.4),
        )


def _bicycles(draw: random.Random, customers: Sequence[Row]) -> Iterable[Row]:
    for customer in customers:
        for _ in range(_weighted(draw, ((0, 5), (1, 55), (2, 28), (3, 12)))):
            brand = _weighted(draw, tuple(zip(BRANDS, (30, 22, 16, 14, 10, 8), strict=True)))
            dirt = draw.random()
            if dirt < 0.08:
                brand = brand.lower()
            elif dirt < 0.14:
                brand = brand.upper()
            elif dirt < 0.20:
                brand = f" {brand} " if draw.random() < 0.5 else f"{brand} "
            bought = None if draw.random() < 0.12 else draw.randint(2005, 2024)
            yield customer[0], brand, _weighted(draw, KINDS), bought


def _repairs(
    draw: random.Random, bicycles: Sequence[Row], customers: Sequence[Row], mechanics: Sequence[Row]
) -> Iterable[Row]:
    found: list[tuple[date, Row]] = []
    for _ in range(1000):
        bicycle = draw.choice(bicycles)
        city = customers[bicycle[1] - 1][2]
        near = [one for one in mechanics if SHOPS[one[1] - 1][1] == city] or mechanics
        mechanic = draw.choice(near if draw.random() < 0.85 else mechanics)
        first = max(date(2022, 1, 3), date.fromisoformat(mechanic[4]), date(bicycle[4] or 2005, 1, 1))
        received = _between(draw, first, TODAY)
        complaint = WEAKNESS[bicycle[3]] if draw.random() < 0.2 else _weighted(draw, COMPLAINTS)
        finished = received + timedelta(days=_weighted(draw, ((0, 20), (1, 30), (2, 20), (4, 15), (9, 10), (21, 5))))
        mended = finished <= TODAY - timedelta(days=3) and draw.random() < 0.97
        hours = round(draw.uniform(0.25, 1.5) + (2.0 if complaint == "full service" else 0.0), 2)
        found.append(
            (
                received,
                (
                    bicycle[0],
                    mechanic[0],
                    complaint,
                    received.isoformat(),
                    finished.isoformat() if mended else None,
                    hours if mended else None,
                ),
            )
        )
    return [row for _, row in sorted(found)]


def _phone(draw: random.Random) -> str | None:
    number = f"+00 {draw.randint(100, 999)} {draw.randint(1000, 9999)}"
    return None if draw.random() < 0.25 else number


def _parts(draw: random.Random) -> Iterable[Row]:
    for category, names in PARTS.items():
        for name in names:
            for place, line in enumerate(LINES):
                if draw.random() < 0.12:
                    continue
                price = PRICES[category] * (1 + 0.7 * place) * draw.uniform(0.4, 1.6)
                weight = None if draw.random() < 0.15 else draw.randint(15, 900)
                yield draw.randint(1, len(SUPPLIERS)), f"{line} {name}", category, round(price, 2), weight


def _repair_parts(draw: random.Random, repairs: Sequence[Row], parts: Sequence[Row]) -> list[Row]:
    used: list[Row] = []
    for repair in repairs:
        fitting = [part[0] for part in parts if part[3] in FIXES[repair[3]]]
        for part in sorted(draw.sample(fitting, _weighted(draw, ((0, 15), (1, 45), (2, 28), (3, 12))))):
            used.append((repair[0], part, _weighted(draw, ((1, 70), (2, 22), (4, 8)))))
    return used


def _part_orders(draw: random.Random, parts: Sequence[Row]) -> Iterable[Row]:
    days = sorted(_between(draw, date(2022, 1, 3), TODAY) for _ in range(220))
    for ordered in days:
        part = draw.choice(parts)
        arrived = ordered + timedelta(days=draw.randint(2, 30))
        yield (
            draw.randint(1, len(SHOPS)),
            part[0],
            ordered.isoformat(),
            arrived.isoformat() if arrived <= TODAY and draw.random() < 0.95 else None,
            draw.choice((5, 10, 10, 20, 40)),
            round(part[4] * draw.uniform(0.5, 0.75), 2),
        )


def _invoices(draw: random.Random, repairs: Sequence[Row], parts: Sequence[Row], used: Sequence[Row]) -> Iterable[Row]:
    material: dict[int, float] = {}
    for repair, part, quantity in used:
        material[repair] = material.get(repair, 0.0) + quantity * parts[part - 1][4]
    for repair in repairs:
        number, finished, hours = repair[0], repair[5], repair[6]
        if finished is None:
            continue
        issued = date.fromisoformat(finished)
        paid = issued + timedelta(days=_weighted(draw, ((0, 60), (7, 20), (14, 12), (30, 8))))
        amount = OUTLIER if number == 512 else round(hours * LABOUR + material.get(number, 0.0), 2)
        settled = number != 512 and paid <= TODAY and draw.random() < 0.93
        yield number, finished, amount, paid.isoformat() if settled else None


def _reviews(draw: random.Random, repairs: Sequence[Row]) -> Iterable[Row]:
    for repair in repairs:
        if repair[5] is None or draw.random() > 0.42:
            continue
        stars = _weighted(draw, ((1, 7), (2, 9), (3, 17), (4, 32), (5, 35)))
        written = min(date.fromisoformat(repair[5]) + timedelta(days=draw.randint(0, 20)), TODAY)
        yield repair[0], written.isoformat(), stars, None if draw.random() < 0.4 else draw.choice(COMMENTS[stars])


def _names(draw: random.Random, many: int) -> list[str]:
    """Names that no two people share."""
    return [f"{first} {last}" for first, last in draw.sample([(a, b) for a in FIRST for b in LAST], many)]


def _between(draw: random.Random, first: date, last: date) -> date:
    return first + timedelta(days=draw.randint(0, (last - first).days))


def _weighted(draw: random.Random, choices: Sequence[tuple[Any, int]]) -> Any:
    return draw.choices([value for value, _ in choices], [weight for _, weight in choices])[0]


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT)
