"""How the page writes numbers: its own functions, called in the browser with the values at every edge."""

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000

# Microseconds, and how they are read.
TIMES = [
    (0, "0 µs"),
    (0.25, "0.3 µs"),
    (9.96, "10 µs"),
    (999.4, "999 µs"),
    (999.6, "1 ms"),
    (1_234, "1.23 ms"),
    (803_000, "803 ms"),
    (999_400, "999 ms"),
    (999_999, "1 s"),
    (1_460_000, "1.46 s"),
    (59_940_000, "59.9 s"),
    (59_999_999, "1 min"),
    (MINUTE + 59_400_000, "1 min 59 s"),
    (MINUTE + 59_600_000, "2 min"),
    (HOUR - 1, "1 h"),
    (HOUR + 29 * MINUTE, "1 h 29 min"),
    (2 * HOUR - 1, "2 h"),
    (DAY - 1, "1 d"),
    (DAY, "1 d"),
    (400 * DAY, "400 d"),
]

# One entry of /api/overview, and how its rate, its errors and its p95 are read.
FIGURES = [
    ({"rate": None, "errorRatio": None, "p95": None}, ["–", "–", "–"]),
    ({"rate": 0, "count": 0, "seconds": 55, "p95": None}, ["0/min", "–", "–"]),
    (
        {"rate": 0.0494, "count": 2, "seconds": 40.5, "errorRatio": 0.5, "p95": {"ms": 803, "bound": "exact", "spans": 2}},
        ["2.96/min", "50 %", "803 ms"],
    ),
    (
        {"rate": 0.9, "count": 54, "seconds": 59.9, "errorRatio": 1 / 3, "p95": {"ms": 1500, "bound": "at most"}},
        ["54/min", "33.3 %", "≤ 1.5 s"],
    ),
    (
        {"rate": 12.345, "count": 741, "seconds": 60, "errorRatio": 0, "p95": {"ms": 10_000, "bound": "more than"}},
        ["741/min", "0 %", "> 10 s"],
    ),
]

# A text of JSON, and how the page shows the value in it.
PARSED = [
    ("9007199254740991", "9007199254740991"),
    ("9007199254740993", "9007199254740993"),
    ("-9223372036854775808", "-9223372036854775808"),
    ("1e999", "1e999"),
    ("0.1", "0.1"),
]

CALL = """async ([times, figures, texts]) => {
    const { exact, time } = await import('/assets/dom.js');
    const { errors, p95, rate } = await import('/assets/services.js');
    return [times.map(time), figures.map(f => [rate(f), errors(f), p95(f)]),
        texts.map(text => String(JSON.parse(text, exact)))];
}"""


def check_numbers(watched):
    """Compares what the page's functions write with the tables."""
    tables = (TIMES, FIGURES, PARSED)
    values = [[value for value, _ in table] for table in tables]
    for table, written in zip(tables, watched.page.evaluate(CALL, values), strict=True):
        for (value, expected), text in zip(table, written, strict=True):
            watched.expect(text == expected, f"{value!r} is written {text!r} and not {expected!r}")
