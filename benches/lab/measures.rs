//! What is measured, in which unit, and what it has to reach.

/// Against which value a measure is held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// At most this, whatever the base has.
    AtMost(f64),
    /// At most this part of the base's value.
    RatioAtMost(f64),
    /// At least this multiple of the base's value.
    RatioAtLeast(f64),
}

impl Goal {
    /// Whether it is reached; `None` where there is no base to compare with.
    pub fn met(self, value: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(value <= most),
            Self::RatioAtMost(most) => ratio.map(|ratio| ratio <= most),
            Self::RatioAtLeast(least) => ratio.map(|ratio| ratio >= least),
        }
    }

    pub fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("<= {most}"),
            Self::RatioAtMost(most) => format!("<= {most}x"),
            Self::RatioAtLeast(least) => format!(">= {least}x"),
        }
    }
}

/// One figure. Those that are sums over processes have a value for each role too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    PostCpu,
    PostRate,
    PostP50,
    PostP99,
    RedisCpu,
    RedisRate,
    RedisP99,
    GetCpu,
    GetCpuAll,
    GetRate,
    GetP99,
    Pss,
    Private,
    Rss,
    GetCalls,
    PostCalls,
    TelemetryOff,
    TelemetryAll,
    TelemetryTraces,
    TelemetryLogs,
    Size,
    Intake,
    IntakeEverything,
    IntakeJaeger,
    IntakeOfJaeger,
    IntakeEverythingOfJaeger,
    AnswerList,
    AnswerSearch,
    AnswerText,
    AnswerScatter,
    AnswerMap,
    AnswerCharts,
    AnswerKeys,
    AnswerValues,
    ConsolePeak,
    DrawList,
    DrawSearch,
    DrawMap,
    DrawCharts,
    DrawTrace,
}

/// One row of [`ROWS`].
#[derive(Debug)]
pub struct Row {
    pub measure: Measure,
    /// Its name in JSON.
    pub key: &'static str,
    pub about: &'static str,
    pub unit: &'static str,
    /// Digits after the point.
    pub digits: usize,
    pub goal: Option<Goal>,
}

const fn row(
    measure: Measure,
    key: &'static str,
    about: &'static str,
    unit: &'static str,
    digits: usize,
    goal: Option<Goal>,
) -> Row {
    Row { measure, key, about, unit, digits, goal }
}

/// In the order of the table.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    row(Measure::PostCpu, "post.cpu", "CPU of all processes for one POST /api/orders, embedded", "ms", 3, Some(Goal::RatioAtMost(0.5))),
    row(Measure::RedisCpu, "post.redis.cpu", "the same, Redis (its server not counted)", "ms", 3, Some(Goal::RatioAtMost(0.5))),
    row(Measure::PostRate, "post.rate", "throughput of POST, embedded", "1/s", 0, Some(Goal::RatioAtLeast(2.0))),
    row(Measure::PostP50, "post.p50", "p50 of POST, embedded", "ms", 1, None),
    row(Measure::PostP99, "post.p99", "p99 of POST, embedded", "ms", 1, Some(Goal::RatioAtMost(0.4))),
    row(Measure::RedisRate, "post.redis.rate", "throughput of POST, Redis", "1/s", 0, None),
    row(Measure::RedisP99, "post.redis.p99", "p99 of POST, Redis", "ms", 1, None),
    row(Measure::GetCpu, "get.cpu", "CPU of gateway and user for one GET /api/users", "ms", 3, Some(Goal::RatioAtMost(0.7))),
    row(Measure::GetCpuAll, "get.cpu.all", "CPU of all processes for one GET /api/users", "ms", 3, None),
    row(Measure::GetRate, "get.rate", "throughput of GET", "1/s", 0, None),
    row(Measure::GetP99, "get.p99", "p99 of GET", "ms", 1, None),
    row(Measure::Pss, "memory.pss", "idle memory of all processes, PSS", "MiB", 1, Some(Goal::AtMost(30.0))),
    row(Measure::Private, "memory.private", "idle memory of all processes, private", "MiB", 1, Some(Goal::AtMost(15.0))),
    row(Measure::Rss, "memory.rss", "idle memory of all processes, RSS", "MiB", 1, Some(Goal::AtMost(105.0))),
    row(Measure::GetCalls, "syscalls.get", "system calls of all processes for one GET /api/users", "", 1, Some(Goal::AtMost(28.0))),
    row(Measure::PostCalls, "syscalls.post", "system calls of all processes for one POST /api/orders", "", 1, Some(Goal::AtMost(180.0))),
    row(Measure::TelemetryAll, "telemetry.all", "gateway's CPU for a GET: traces, logs and metrics over metrics alone", "x", 2, Some(Goal::AtMost(1.15))),
    row(Measure::TelemetryTraces, "telemetry.traces", "- traces and metrics over metrics alone", "x", 2, None),
    row(Measure::TelemetryLogs, "telemetry.logs", "- logs and metrics over metrics alone", "x", 2, None),
    row(Measure::TelemetryOff, "telemetry.off", "gateway's CPU for a GET with metrics alone", "ms", 3, None),
    row(Measure::Size, "size", "program, stripped", "MiB", 1, Some(Goal::AtMost(25.0))),
    row(Measure::Intake, "intake.console", "the console's CPU for taking a span in", "us", 2, Some(Goal::AtMost(4.5))),
    row(Measure::IntakeEverything, "intake.everything", "- with tail sampling and retention on", "us", 2, Some(Goal::AtMost(4.5))),
    row(Measure::IntakeJaeger, "intake.jaeger", "- Jaeger 2 with its memory store", "us", 2, None),
    row(Measure::IntakeOfJaeger, "intake.ratio", "the console's over Jaeger's", "x", 2, Some(Goal::AtMost(0.35))),
    row(Measure::IntakeEverythingOfJaeger, "intake.everything.ratio", "- with tail sampling and retention on", "x", 2, Some(Goal::AtMost(0.35))),
    row(Measure::AnswerList, "answer.list", "the console with 50,000 spans: list of traces", "ms", 1, Some(Goal::AtMost(50.0))),
    row(Measure::AnswerSearch, "answer.search", "- search by an attribute", "ms", 1, Some(Goal::AtMost(50.0))),
    row(Measure::AnswerText, "answer.text", "- search by a text that is nowhere", "ms", 1, Some(Goal::AtMost(50.0))),
    row(Measure::AnswerScatter, "answer.scatter", "- points of the scatter", "ms", 1, Some(Goal::AtMost(50.0))),
    row(Measure::AnswerMap, "answer.map", "- map", "ms", 1, Some(Goal::AtMost(50.0))),
    row(Measure::AnswerCharts, "answer.charts", "- charts", "ms", 1, Some(Goal::AtMost(50.0))),
    row(Measure::AnswerKeys, "answer.keys", "- suggestions of keys", "ms", 1, Some(Goal::AtMost(50.0))),
    row(Measure::AnswerValues, "answer.values", "- suggestions of values", "ms", 1, Some(Goal::AtMost(50.0))),
    row(Measure::ConsolePeak, "answer.memory", "- the most memory it had, set to 160 MiB (RSS)", "MiB", 0, Some(Goal::AtMost(180.0))),
    row(Measure::DrawList, "draw.list", "a page of the console with 50,000 spans drawn: list of traces", "ms", 0, Some(Goal::AtMost(200.0))),
    row(Measure::DrawSearch, "draw.search", "- search by an attribute", "ms", 0, Some(Goal::AtMost(200.0))),
    row(Measure::DrawMap, "draw.map", "- map", "ms", 0, Some(Goal::AtMost(200.0))),
    row(Measure::DrawCharts, "draw.charts", "- charts", "ms", 0, Some(Goal::AtMost(200.0))),
    row(Measure::DrawTrace, "draw.trace", "- one trace", "ms", 0, Some(Goal::AtMost(200.0))),
];
