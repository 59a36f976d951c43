//! What it costs a receiver to take spans in: the console, the console with everything on, and Jaeger, in turn.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;

use super::exports::{SPANS, Template};
use super::measures::Measure;
use super::receiver::{Receiver, jaeger_program};
use super::samples::Samples;
use crate::helpers::http;

/// Connections, and the exports that each sends one after another.
const CONNECTIONS: u64 = 4;
const EXPORTS: u64 = 1_000;
/// Not counted: what is reserved once is reserved, and the oldest are thrown away as they always will be.
const WARM_UP: u64 = 150;
const TIMEOUT: Duration = Duration::from_secs(30);
/// All that can be done with a span, done.
const EVERYTHING: [&str; 4] = ["--keep", "ratio=1,wait=1s", "--retain", "FOLDER"];

/// Microseconds of CPU for a span, of each of them.
pub fn measure(program: &Path, samples: &mut Samples) -> anyhow::Result<()> {
    let console = cost(&Receiver::console(program, &[])?, true)?;
    samples.add(Measure::Intake, console);
    let everything = cost(&Receiver::console(program, &EVERYTHING)?, true)?;
    samples.add(Measure::IntakeEverything, everything);
    if !jaeger_program().exists() {
        bail!("no Jaeger to compare with; `scripts/provision --backends` builds it");
    }
    let jaeger = cost(&Receiver::jaeger()?, false)?;
    samples.add(Measure::IntakeJaeger, jaeger);
    samples.add(Measure::IntakeOfJaeger, console / jaeger);
    samples.add(Measure::IntakeEverythingOfJaeger, everything / jaeger);
    Ok(())
}

/// Sends, waits until it rests, and divides.
fn cost(receiver: &Receiver, counts: bool) -> anyhow::Result<f64> {
    send(&receiver.otlp, 0, WARM_UP)?;
    let before = receiver.cpu_at_rest()?;
    send(&receiver.otlp, CONNECTIONS * WARM_UP, EXPORTS)?;
    let spent = receiver.cpu_at_rest()? - before;
    if counts {
        check_received(receiver, CONNECTIONS * (WARM_UP + EXPORTS) * SPANS as u64)?;
    }
    Ok(spent.as_secs_f64() * 1e6 / (CONNECTIONS * EXPORTS * SPANS as u64) as f64)
}

/// That many exports from each connection, of which the first has this number.
pub fn send(otlp: &str, first: u64, exports: u64) -> anyhow::Result<()> {
    let url = format!("{otlp}/v1/traces");
    std::thread::scope(|scope| {
        let connection = |which: u64| {
            let url = &url;
            scope.spawn(move || one_connection(url, first + which * exports, exports))
        };
        let all: Vec<_> = (0..CONNECTIONS).map(connection).collect();
        all.into_iter().try_for_each(|one| one.join().unwrap_or_else(|_| bail!("a sender panicked")))
    })
}

fn one_connection(url: &str, first: u64, exports: u64) -> anyhow::Result<()> {
    let client = reqwest::blocking::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
    let mut template = Template::new();
    for number in first..first + exports {
        let body = template.numbered(number).to_vec();
        let answer = client.post(url).header("content-type", "application/x-protobuf").body(body).send()?;
        let status = answer.status();
        let refused = ExportTraceServiceResponse::decode(answer.bytes()?)?.partial_success;
        let refused = refused.map_or(0, |partial| partial.rejected_spans);
        if status != 200 || refused > 0 {
            bail!("an export was answered {status}, {refused} of its spans were refused");
        }
    }
    Ok(())
}

/// That the console counted what was sent, all of it.
fn check_received(receiver: &Receiver, sent: u64) -> anyhow::Result<()> {
    let answer = http::try_send("GET", &format!("{}/api/overview", receiver.page), &[], None);
    let traces = answer.context("no answer to /api/overview")?.json["traces"].clone();
    if traces["received"].as_u64() != Some(sent) {
        bail!("{sent} spans were sent, and the console says {traces}");
    }
    Ok(())
}
