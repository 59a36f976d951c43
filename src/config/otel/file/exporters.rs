//! Processors, readers and exporters of a signal.
//!
//! A signal has one queue, which goes to one receiver, to standard output, or to both.

use super::draft::Draft;
use super::node::{Node, NodeFields};
use super::sections::{entry, pair};

/// What a signal's variables are called.
#[derive(Clone, Copy)]
pub(super) struct FileSignal {
    /// In `OTEL_EXPORTER_OTLP_{stem}_ENDPOINT`, and before `_EXPORTER`.
    stem: &'static str,
    /// Before the variables of its processor.
    batch: &'static str,
}

impl FileSignal {
    pub(super) const TRACES: Self = Self { stem: "TRACES", batch: "OTEL_BSP" };
    pub(super) const LOGS: Self = Self { stem: "LOGS", batch: "OTEL_BLRP" };
    const METRICS: Self = Self { stem: "METRICS", batch: "OTEL_METRIC_EXPORT" };

    fn exporter(self) -> String {
        format!("OTEL_{}_EXPORTER", self.stem)
    }

    fn otlp(self, what: &str) -> String {
        format!("OTEL_EXPORTER_OTLP_{}_{what}", self.stem)
    }
}

pub(super) fn processors(signal: FileSignal, list: Node, draft: &mut Draft) -> Result<(), String> {
    const SIZES: [(&str, &str, u64); 4] = [
        ("schedule_delay", "SCHEDULE_DELAY", 0),
        ("export_timeout", "EXPORT_TIMEOUT", 0),
        ("max_queue_size", "MAX_QUEUE_SIZE", 1),
        ("max_export_batch_size", "MAX_EXPORT_BATCH_SIZE", 1),
    ];
    let (path, mut queue) = (list.path.clone(), None);
    for node in list.items()? {
        let (kind, below) = node.choice()?;
        let path = below.path.clone();
        if !matches!(kind.as_str(), "batch" | "simple") {
            return below.error("is not a processor that is supported here");
        }
        let mut fields = below.fields()?;
        let exporter = export(signal, fields.required("exporter")?, draft)?;
        if kind == "batch" {
            sizes(&SIZES, signal.batch, &path, &mut fields, &mut queue, draft)?;
        } else if exporter != "console" {
            return Err(format!("{path} is supported here for console alone; use batch"));
        }
        fields.end()?;
    }
    if queue.is_none() {
        // What is printed at once is a batch that does not wait.
        draft.set(&format!("{}_SCHEDULE_DELAY", signal.batch), &path, Some("1".to_owned()));
    }
    Ok(())
}

/// Takes what is said of a signal's queue, each a key, the end of a variable and the least; an error where another
/// exporter says something else of it.
fn sizes(
    of: &[(&str, &str, u64)],
    prefix: &str,
    path: &str,
    fields: &mut NodeFields,
    queue: &mut Option<Vec<Option<String>>>,
    draft: &mut Draft,
) -> Result<(), String> {
    let mut all = Vec::new();
    for (key, variable, least) in of {
        let node = fields.take(key);
        let size = node.as_ref().map(|node| node.whole(*least)).transpose()?.flatten();
        draft.set(
            &format!("{prefix}_{variable}"),
            node.as_ref().map_or(path, |node| &node.path),
            size.clone(),
        );
        all.push(size);
    }
    match queue {
        Some(first) if *first != all => Err(format!(
            "{path} differs from the one before in more than its exporter; a signal has one queue here"
        )),
        _ => {
            *queue = Some(all);
            Ok(())
        }
    }
}

pub(super) fn readers(list: Node, draft: &mut Draft) -> Result<(), String> {
    const SIZES: [(&str, &str, u64); 2] = [("interval", "INTERVAL", 0), ("timeout", "TIMEOUT", 0)];
    let (signal, mut queue) = (FileSignal::METRICS, None);
    for node in list.items()? {
        let (kind, below) = node.choice()?;
        let path = below.path.clone();
        let mut fields = match kind.as_str() {
            "periodic" | "pull" => below.fields()?,
            _ => return below.error("is not a reader that is supported here"),
        };
        let exporter = fields.required("exporter")?;
        if kind == "periodic" {
            export(signal, exporter, draft)?;
            sizes(&SIZES, signal.batch, &path, &mut fields, &mut queue, draft)?;
        } else {
            let (name, below) = exporter.choice()?;
            if name != "prometheus/development" {
                return below.error("is not supported here");
            }
            // The page is on the role's own port, in one form.
            draft.add(&signal.exporter(), &below.path, "prometheus");
            below.empty()?;
        }
        fields.end()?;
    }
    Ok(())
}

/// Takes an exporter; its name among those of the variable.
fn export(signal: FileSignal, node: Node, draft: &mut Draft) -> Result<&'static str, String> {
    let (kind, below) = node.choice()?;
    let path = below.path.clone();
    let name = match kind.as_str() {
        "otlp_http" | "otlp_grpc" => "otlp",
        "console" => "console",
        _ => return below.error("is not an exporter that is supported here"),
    };
    if draft.get(&signal.exporter()).is_some_and(|all| all.split(',').any(|other| other == name)) {
        return below.error("is the second of its kind; one is supported here");
    }
    draft.add(&signal.exporter(), &path, name);
    let mut fields = below.fields()?;
    if signal.stem == FileSignal::METRICS.stem {
        metric_form(&mut fields, draft)?;
    }
    if name == "otlp" {
        otlp(signal, kind == "otlp_grpc", &path, &mut fields, draft)?;
    }
    fields.end()?;
    Ok(name)
}

fn metric_form(fields: &mut NodeFields, draft: &mut Draft) -> Result<(), String> {
    if let Some(node) = fields.take("temporality_preference") {
        // The variable's spelling is another.
        let word = node.word(&["cumulative", "delta", "low_memory", "lowmemory"])?;
        let word = word.map(|word| word.replace('_', ""));
        same(&node, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", word, draft)?;
    }
    if let Some(node) = fields.take("default_histogram_aggregation") {
        let word = node.word(&["explicit_bucket_histogram", "base2_exponential_bucket_histogram"])?;
        same(&node, "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", word, draft)?;
    }
    Ok(())
}

/// Both exporters of metrics get the same points.
fn same(node: &Node, variable: &str, value: Option<String>, draft: &mut Draft) -> Result<(), String> {
    if let (Some(before), Some(value)) = (draft.get(variable), &value)
        && before != value
    {
        return node.error("differs from that of the other exporter; one is supported here");
    }
    draft.set(variable, &node.path, value);
    Ok(())
}

fn otlp(
    signal: FileSignal,
    grpc: bool,
    path: &str,
    fields: &mut NodeFields,
    draft: &mut Draft,
) -> Result<(), String> {
    let encoding = match fields.take("encoding").filter(|_| !grpc) {
        Some(node) => node.word(&["protobuf", "json"])?,
        None => None,
    };
    let protocol = match encoding.as_deref() {
        _ if grpc => "grpc",
        Some("json") => "http/json",
        _ => "http/protobuf",
    };
    draft.set(&signal.otlp("PROTOCOL"), path, Some(protocol.to_owned()));
    for (key, what) in [("endpoint", "ENDPOINT"), ("compression", "COMPRESSION")] {
        if let Some(node) = fields.take(key) {
            draft.set(&signal.otlp(what), &node.path, node.text()?);
        }
    }
    draft.whole(&signal.otlp("TIMEOUT"), fields.take("timeout"), 0)?;
    // Of two values the later one counts.
    if let Some(list) = fields.take("headers_list")
        && let Some(text) = list.text()?
    {
        draft.add(&signal.otlp("HEADERS"), &list.path, &text);
    }
    if let Some(headers) = fields.take("headers") {
        let path = headers.path.clone();
        for header in headers.items()? {
            if let Some((name, value)) = entry(header)? {
                draft.add(&signal.otlp("HEADERS"), &path, &pair(&name, &value));
            }
        }
    }
    fields.take("tls").map_or(Ok(()), |node| tls(signal, grpc, node, draft))
}

fn tls(signal: FileSignal, grpc: bool, node: Node, draft: &mut Draft) -> Result<(), String> {
    let mut fields = node.fields()?;
    for (key, what) in
        [("ca_file", "CERTIFICATE"), ("cert_file", "CLIENT_CERTIFICATE"), ("key_file", "CLIENT_KEY")]
    {
        if let Some(node) = fields.take(key) {
            draft.set(&signal.otlp(what), &node.path, node.file()?);
        }
    }
    // It is for endpoints without a scheme, which are refused.
    if let Some(insecure) = fields.take("insecure").filter(|_| grpc)
        && insecure.truth()? == Some(true)
    {
        return insecure.error("is not supported here: the endpoint's scheme says whether TLS is spoken");
    }
    fields.end()
}
