//! What a program or a file of `verify --spec` may have otherwise, and the rows that have to say so.

/// What is done otherwise, and what has to turn red.
pub struct SpecChange {
    /// To the shop: its `--change`. To the file: a text of the example, and what stands there instead.
    pub what: What,
    /// The rows that have to be red, and no others.
    pub red: &'static [&'static str],
    /// Words that the first of them has to say.
    pub words: &'static str,
}

pub enum What {
    Program(&'static str),
    File(&'static str, &'static str),
}

const fn program(change: &'static str, red: &'static [&'static str], words: &'static str) -> SpecChange {
    SpecChange { what: What::Program(change), red, words }
}

const fn file(
    from: &'static str,
    to: &'static str,
    red: &'static [&'static str],
    words: &'static str,
) -> SpecChange {
    SpecChange { what: What::File(from, to), red, words }
}

pub const CHANGES: &[SpecChange] = &[
    program("child lost", &["spans.INSERT orders.count"], "0"),
    program("span twice", &["spans.price cart.count"], "4"),
    program("stranger", &["spans.extra"], "who am I of shop"),
    program("other parent", &["spans.INSERT orders.parent"], "under price cart of shop instead of paid"),
    program("link lost", &["spans.process orders.links"], "no link to send orders, 0 in all"),
    program("kind", &["spans.refused.kind"], "internal instead of server"),
    program("error lost", &["spans.refused.status"], "unset instead of error"),
    program("error invented", &["spans.INSERT orders.status"], "error instead of unset"),
    program("attribute lost", &["spans.refused.attributes"], "has no http.route"),
    program("status as text", &["spans.refused.attributes"], "is \"402\" instead of 402"),
    program("secret", &["spans.refused.attributes"], "has card.number, \"4111\""),
    program(
        "id in the name",
        &["spans.extra", "spans.refused.count"],
        "0; named by no row: 'POST /checkout/",
    ),
    program("environment", &["spans.process orders.resource"], "is \"live\" instead of \"test\""),
    program("counted twice", &["metrics.shop.checkouts.{outcome=\"refused\"}.delta"], "+2"),
    program(
        "count lost",
        &["metrics.shop.checkouts.{outcome=\"refused\"}.present"],
        "no such series, but {outcome=\"paid\"}",
    ),
    program("unit", &["metrics.shop.checkouts.unit"], "'1'"),
    program("instrument", &["metrics.shop.checkouts.kind"], "up_down_counter"),
    program("lose the line", &["logs.checkout.refused.count"], "0"),
    program("line twice", &["logs.checkout.refused.count"], "2"),
    program(
        "line without ids",
        &["logs.order [0-9]+ stored.span"],
        "trace id '' and span id '' instead of those of paid",
    ),
    program(
        "line in another span",
        &["logs.order [0-9]+ stored.span"],
        "in price cart of shop instead of paid",
    ),
    program("severity", &["logs.order [0-9]+ stored.severity"], "error instead of info"),
    program("fail", &["command.exit"], "exit status: 7"),
    file("count: 2\n    parent: paid", "count: 3\n    parent: paid", &["spans.price cart.count"], "2"),
    file(
        "name: price cart ",
        "name: price carts ",
        &["spans.extra", "spans.price carts.count"],
        "0; named by no row: 'price cart'",
    ),
    file(
        "service: shop ",
        "service: store ",
        &["services.store"],
        "nothing of store ever arrived, but of shop",
    ),
    file(
        "sqlite",
        "{one_of: [mysql, postgresql]}",
        &["spans.INSERT orders.attributes"],
        "instead of one of \"mysql\", \"postgresql\"",
    ),
    file(
        "links: [send orders]",
        "links: [paid]",
        &["spans.process orders.links"],
        "no link to paid, 1 in all",
    ),
    file(
        "root: true\n    links",
        "parent: paid\n    links",
        &["spans.process orders.parent"],
        "under nothing instead of paid",
    ),
    file("delta: 3 ", "delta: {min: 4} ", &["metrics.shop.checkout.duration.{}.delta"], "+3"),
    file("value: 0", "value: {min: 1}", &["metrics.shop.carts.open.{}.value"], "0"),
    file(
        "{outcome: paid}",
        "{outcome: {pattern: 'p.*|r.*'}}",
        &["metrics.shop.checkouts.{outcome~}.delta"],
        "+3",
    ),
    file(
        "{reason: card}",
        "{reason: {type: int}}",
        &["logs.checkout.refused.attributes"],
        "is \"card\" instead of an int",
    ),
    file(
        "span: refused",
        "span: price cart",
        &["logs.checkout.refused.span"],
        "in POST /checkout of shop instead of price cart",
    ),
];
