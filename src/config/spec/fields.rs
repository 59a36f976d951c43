//! Every field of the file, once: what a file is checked against, its JSON Schema and its documentation are made from here.

/// Most rows of one list, and most attributes of one row.
pub const MOST_ROWS: usize = 1_000;
/// The longest text, in bytes.
pub const LONGEST_TEXT: usize = 1_000;

/// Span kinds, as a file spells them.
pub const SPAN_KINDS: &[&str] = &["internal", "server", "client", "producer", "consumer"];
/// Metric kinds, as a file spells them.
pub const METRIC_KINDS: &[&str] =
    &["counter", "up_down_counter", "gauge", "histogram", "exponential_histogram", "summary"];
/// Types of attributes, as OTLP tells them apart.
pub const ATTRIBUTE_TYPES: &[&str] = &["string", "int", "double", "bool", "array"];

/// Severities of log lines, as a file spells them.
pub const SEVERITIES: &[&str] = &["trace", "debug", "info", "warn", "error", "fatal"];

/// An object of the file: a mapping with these keys.
#[derive(Debug)]
pub struct SpecObject {
    /// What its documentation calls it.
    pub name: &'static str,
    /// Its keys, each of which may be there once.
    pub fields: &'static [SpecField],
}

/// One key of an object.
#[derive(Debug)]
pub struct SpecField {
    /// As it is written.
    pub name: &'static str,
    /// What may stand there.
    pub shape: SpecShape,
    /// Whether it has to be there.
    pub required: bool,
    /// What it means, in one sentence.
    pub help: &'static str,
}

/// What may stand at a place.
#[derive(Debug)]
pub enum SpecShape {
    /// A text that is not empty.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number of at least 0.
    Whole,
    /// A number.
    Number,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A regular expression.
    Pattern,
    /// A text, a number, true or false, or a list of these: a value of an attribute.
    Literal,
    /// A list of at least one.
    List(&'static SpecShape),
    /// A mapping with any keys.
    Map(&'static SpecShape),
    /// A mapping with known keys.
    Object(&'static SpecObject),
    /// Something short, or an object that says more.
    Or(&'static SpecShape, &'static SpecObject),
}

const fn field(name: &'static str, shape: SpecShape, help: &'static str) -> SpecField {
    SpecField { name, shape, required: false, help }
}

const fn required(name: &'static str, shape: SpecShape, help: &'static str) -> SpecField {
    SpecField { name, shape, required: true, help }
}

/// The whole file.
pub const SPEC: SpecObject = SpecObject {
    name: "file",
    fields: &[
        field("service", SpecShape::Text, "`service.name` of every row that names none"),
        field(
            "strict",
            SpecShape::Flag,
            "whether other spans and log lines of these services, and other series of these metrics, are wrong",
        ),
        field("spans", SpecShape::List(&SpecShape::Object(&SPAN)), "the spans that have to arrive"),
        field("metrics", SpecShape::List(&SpecShape::Object(&METRIC)), "the metrics that have to arrive"),
        field("logs", SpecShape::List(&SpecShape::Object(&LOG)), "the log lines that have to arrive"),
    ],
};

const NAME: SpecShape = SpecShape::Or(&SpecShape::Text, &TEXT);
const COUNT: SpecShape = SpecShape::Or(&SpecShape::Whole, &COUNTS);
const AMOUNT: SpecShape = SpecShape::Or(&SpecShape::Number, &AMOUNTS);
const VALUES: SpecShape = SpecShape::Map(&SpecShape::Or(&SpecShape::Literal, &VALUE));

/// A row of `spans`.
pub const SPAN: SpecObject = SpecObject {
    name: "span",
    fields: &[
        field("id", SpecShape::Text, "what other rows call this one; without it, its name"),
        required("name", NAME, "the span's name"),
        field("service", SpecShape::Text, "`service.name` of its resource"),
        field("count", COUNT, "how many there are; without it, one at least"),
        field("kind", SpecShape::Word(SPAN_KINDS), "its kind"),
        field("root", SpecShape::Flag, "true: it has no parent"),
        field("parent", SpecShape::Text, "the row whose span is its parent, in the same trace"),
        field("links", SpecShape::List(&SpecShape::Text), "rows; it has a link to a span of each"),
        field("status", SpecShape::Word(&["unset", "ok", "error"]), "its status"),
        field("attributes", VALUES, "its attributes; others may be there too"),
        field("resource", VALUES, "attributes of its resource"),
    ],
};

/// A row of `metrics`.
pub const METRIC: SpecObject = SpecObject {
    name: "metric",
    fields: &[
        required("name", SpecShape::Text, "the metric's name"),
        field("service", SpecShape::Text, "`service.name` of its resource"),
        field("kind", SpecShape::Word(METRIC_KINDS), "its kind"),
        field("unit", SpecShape::Text, "its unit"),
        field("series", SpecShape::List(&SpecShape::Object(&SERIES)), "what its series have to show"),
    ],
};

/// A row of `metrics[].series`.
pub const SERIES: SpecObject = SpecObject {
    name: "series",
    fields: &[
        field("attributes", VALUES, "which series: those with these attributes, added up"),
        field(
            "delta",
            AMOUNT,
            "by how much they grow in the run; of a histogram, how much is measured; without it and `value`, they are there",
        ),
        field("value", AMOUNT, "the last value of a gauge or up-down counter"),
    ],
};

/// A row of `logs`.
pub const LOG: SpecObject = SpecObject {
    name: "log line",
    fields: &[
        field("body", NAME, "the line's text"),
        field("event", SpecShape::Text, "the event's name; a row has this or `body`, or both"),
        field("service", SpecShape::Text, "`service.name` of its resource"),
        field("count", COUNT, "how many there are; without it, one at least"),
        field("severity", SpecShape::Word(SEVERITIES), "its severity"),
        field("span", SpecShape::Text, "the row whose span it was written in, by trace id and span id"),
        field("attributes", VALUES, "its attributes; others may be there too"),
    ],
};

const TEXT: SpecObject = SpecObject {
    name: "name or text",
    fields: &[required("pattern", SpecShape::Pattern, "a regular expression that the whole text matches")],
};

const COUNTS: SpecObject = SpecObject {
    name: "count",
    fields: &[
        field("min", SpecShape::Whole, "so many at least"),
        field("max", SpecShape::Whole, "so many at most"),
    ],
};

const AMOUNTS: SpecObject = SpecObject {
    name: "amount",
    fields: &[
        field("min", SpecShape::Number, "so much at least"),
        field("max", SpecShape::Number, "so much at most"),
    ],
};

/// What an attribute has to be, where it is not simply a value.
pub const VALUE: SpecObject = SpecObject {
    name: "attribute",
    fields: &[
        field("type", SpecShape::Word(ATTRIBUTE_TYPES), "its type"),
        field("one_of", SpecShape::List(&SpecShape::Literal), "the values that it may have"),
        field("pattern", SpecShape::Pattern, "a regular expression that the whole text matches"),
        field(
            "presence",
            SpecShape::Word(&["required", "optional", "forbidden"]),
            "whether it has to be there; without it, `required`",
        ),
    ],
};

/// Every object, the file first.
pub const OBJECTS: [&SpecObject; 9] =
    [&SPEC, &SPAN, &METRIC, &SERIES, &LOG, &VALUE, &TEXT, &COUNTS, &AMOUNTS];
