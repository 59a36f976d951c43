//! One run from its set-up to its report.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::time::timeout;

use super::client::{LoadClient, LoadFailure};
use super::engine::{self, LoadEnd, LoadEvent, Pace, SentRequest};
use super::fixtures::Fixtures;
use super::links::TraceLinks;
use super::plan::{Phase, phase_at};
use super::progress::Progress;
use super::report::LoadReport;
use super::schedule::{Arrival, Schedule};
use super::setup::{self, SetUp};
use super::tally::LoadRecorder;
use super::{Interrupted, mix, print};
use crate::config::LoadConfig;
use crate::runtime::client::listens;
use crate::runtime::telemetry::{self, scope};
use crate::runtime::{Shutdown, Telemetry};

/// What the last spans may take to be exported.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);
/// How long a heartbeat waits for its set-up before it begins; the set-up then goes on beside it.
const HEAD_START: Duration = Duration::from_secs(2);
/// How long the lab's own receiver may take to accept a connection.
const PROBE_WITHIN: Duration = Duration::from_secs(1);
/// `service.name` of its spans.
const SERVICE: &str = "o11y-lab-load";

/// A run with everything it needs.
pub(super) struct LoadRun {
    config: LoadConfig,
    phases: Vec<Phase>,
    telemetry: Telemetry,
    client: LoadClient,
    shutdown: Shutdown,
    fixtures: RefCell<Fixtures>,
    recorder: RefCell<LoadRecorder>,
    progress: Progress,
    /// Whether it was said that no receiver is there.
    told: Cell<bool>,
}

impl LoadRun {
    /// # Errors
    /// No telemetry, no signals, no certificates for an https gateway.
    pub(super) fn start(config: LoadConfig, phases: Vec<Phase>) -> anyhow::Result<Self> {
        let shutdown = Shutdown::new(config.timeout);
        shutdown.listen().context("listening for signals")?;
        let telemetry = telemetry::start_command(SERVICE, &config.otel())?;
        let tracer = opentelemetry::global::tracer_with_scope(scope());
        let client = LoadClient::new(&config.target(), config.timeout, config.connections as usize, tracer)?;
        let progress = Progress::new(&config, phases.iter().map(|phase| phase.length).sum());
        let fixtures = RefCell::new(Fixtures::none(config.seed));
        let recorder = RefCell::new(LoadRecorder::new(phases.len())?);
        Ok(Self {
            config,
            phases,
            telemetry,
            client,
            shutdown,
            fixtures,
            recorder,
            progress,
            told: Cell::new(false),
        })
    }

    /// Sends until the plan is over or the run is stopped, and reports it.
    pub(super) async fn finish(mut self) -> anyhow::Result<()> {
        let ended = if self.config.forever { self.heartbeat().await } else { self.once().await };
        let reported = match ended {
            Ok(ended) => self.report(&ended).await,
            Err(error) => Err(error),
        };
        self.telemetry.shutdown(FLUSH_WITHIN).await;
        reported
    }

    /// From the beginning of the plan to its end.
    async fn once(&self) -> anyhow::Result<LoadEnd> {
        let set_up = self.set_up();
        let reached = tokio::select! {
            reached = set_up.reach() => reached,
            () = self.shutdown.wait() => return Err(Interrupted.into()),
        };
        if let Err(failure) = reached {
            bail!("{} does not answer; is the lab up? {failure}", self.client.server().shown);
        }
        self.trace_if_someone_listens().await;
        tokio::select! {
            () = set_up.make() => {}
            () = self.shutdown.wait() => return Err(Interrupted.into()),
        }
        Ok(self.round(0).await)
    }

    /// Round after round, until it is stopped: that is its regular end. It begins when the gateway
    /// answers, and then goes on through every failure: traffic that stops when it fails
    /// would end the very alert it set off.
    async fn heartbeat(&mut self) -> anyhow::Result<LoadEnd> {
        let started = Instant::now();
        let mut unfinished = 0;
        if self.gateway_answers().await {
            let mut renew = true;
            // The rounds' requests are numbered apart, so that they differ.
            for first in (0_u64..).map(|round| round << 32) {
                self.trace_if_someone_listens().await;
                let wrong = self.recorder.borrow().total.wrong();
                let ended = self.round_beside_set_up(first, renew).await;
                unfinished = ended.unfinished;
                if ended.interrupted {
                    break;
                }
                // Perhaps its users are not known any more.
                renew = self.recorder.borrow().total.wrong() > wrong;
            }
        }
        // Phases that came again and again have no length of their own.
        self.phases.clear();
        Ok(LoadEnd { elapsed: started.elapsed(), unfinished, interrupted: true })
    }

    /// Waits until the gateway answers, or takes a connection and does not; `false` if the run is
    /// stopped first.
    async fn gateway_answers(&self) -> bool {
        let reach = async {
            while let Err(failure @ (LoadFailure::Connect(_) | LoadFailure::ConnectTimeout)) =
                self.set_up().reach().await
            {
                self.progress.waiting(&failure.to_string());
                tokio::time::sleep(self.config.report_every).await;
            }
        };
        tokio::select! {
            () = reach => true,
            () = self.shutdown.wait() => false,
        }
    }

    /// A round, and beside it a set-up, where one is wanted: no fault keeps the traffic waiting.
    async fn round_beside_set_up(&self, first: u64, wanted: bool) -> LoadEnd {
        let set_up = self.set_up();
        let mut making = std::pin::pin!(set_up.make());
        let done = !wanted
            || tokio::select! {
                () = &mut making => true,
                () = tokio::time::sleep(HEAD_START) => false,
                () = self.shutdown.wait() => false,
            };
        if done {
            return self.round(first).await;
        }
        let mut round = std::pin::pin!(self.round(first));
        tokio::select! {
            ended = &mut round => ended,
            () = making => round.await,
        }
    }

    fn set_up(&self) -> SetUp<'_> {
        SetUp {
            client: &self.client,
            fixtures: &self.fixtures,
            progress: &self.progress,
            connections: self.config.connections as usize,
            within: setup::WITHIN,
        }
    }

    /// Makes spans only where they are exported: to the receiver that the user names, or to the lab's
    /// own if it is there. A parent that nobody sees would make every trace look broken.
    async fn trace_if_someone_listens(&self) {
        let receiver = self.config.otel().otel_exporter_otlp_endpoint.unwrap_or_default();
        let listening = async { matches!(timeout(PROBE_WITHIN, listens(&receiver)).await, Ok(Ok(()))) };
        let there = self.config.names_a_collector() || listening.await;
        self.client.trace(self.telemetry.traces() && there);
        if self.telemetry.traces() && !there && !self.told.replace(true) {
            tracing::warn!(receiver, "No OTLP receiver there: requests have no span of their own");
        }
    }

    /// One time through the plan, with requests numbered from `first`.
    async fn round(&self, first: u64) -> LoadEnd {
        let Self { config, phases, client, shutdown, fixtures, recorder, progress, .. } = self;
        let pace = if config.closed {
            Pace::Closed { length: config.duration }
        } else {
            let schedule = Schedule::new(phases, config.arrivals, config.seed, first);
            Pace::Open { schedule, backlog: config.backlog }
        };
        let send = |arrival: Arrival| {
            let draw = mix::draw(config.seed, arrival.number, phases[arrival.phase].mix);
            let (path, body) = (draw.path(&fixtures.borrow()), draw.body(&fixtures.borrow()));
            async move {
                let case = draw.case;
                let reply = client.send(case.route, &path, body).await;
                if let Ok(answer) = &reply.result {
                    fixtures.borrow_mut().learn(case.route, answer.status, &answer.body);
                }
                let (trace, connect) = (reply.trace, reply.connect);
                SentRequest { case, trace, connect, result: reply.result.map(|answer| answer.status) }
            }
        };
        engine::run(pace, config.connections as usize, shutdown.wait(), send, |event| match event {
            LoadEvent::Over(outcome) => recorder.borrow_mut().add(outcome),
            LoadEvent::Dropped => recorder.borrow_mut().dropped += 1,
            LoadEvent::Tick { elapsed } => {
                progress.tick(elapsed, phase_at(phases, elapsed), &mut recorder.borrow_mut());
            }
        })
        .await
    }

    async fn report(&self, ended: &LoadEnd) -> anyhow::Result<()> {
        self.progress.finish();
        self.telemetry.flush(FLUSH_WITHIN).await;
        let server = self.client.server();
        let sampled = self.recorder.borrow().slowest_recorded();
        let links = TraceLinks::find(&self.config, server, sampled.as_ref()).await;
        let recorder = self.recorder.borrow();
        let report = LoadReport {
            url: &server.shown,
            arrivals: (!self.config.closed).then_some(self.config.arrivals),
            seed: self.config.seed,
            phases: &self.phases,
            recorder: &recorder,
            made: self.fixtures.borrow().made(),
            links: &links,
            ended,
        };
        print([match (self.config.forever, self.config.json) {
            (true, _) => report.json().to_string(),
            (false, true) => format!("{:#}", report.json()),
            (false, false) => report.text().trim_end().to_owned(),
        }])?;
        match self.config.max_error_ratio {
            _ if self.config.forever => Ok(()),
            _ if ended.interrupted => Err(Interrupted.into()),
            Some(most) if recorder.error_ratio() > most => {
                bail!("error ratio {:.4} is above --max-error-ratio {most}", recorder.error_ratio())
            }
            _ => Ok(()),
        }
    }
}
