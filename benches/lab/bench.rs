//! The comparison: in each round every part is measured of the base and then of the program, so that both
//! meet the same machine.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;

use super::answers;
use super::calls::{self, PerRequest};
use super::drawing;
use super::intake;
use super::load::{self, Cost};
use super::machine;
use super::measures::Measure;
use super::report::Report;
use super::running::{ByProcess, RunningLab, program};
use super::samples::Samples;
use super::{telemetry, tools};
use crate::helpers::brokers::{Broker, RedisServer, fresh_queue};
use crate::helpers::proc;

/// From ready to the reading of idle memory: start-up's own work is over.
const IDLE: Duration = Duration::from_secs(8);

/// `bench`
#[derive(clap::Args, Debug)]
pub struct Options {
    /// The program to measure
    #[arg(long, value_name = "FILE", default_value = "target/release/o11y-lab")]
    program: PathBuf,
    /// A second program, to which the first is compared
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// How often each part is measured of each program
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// How long each load lasts, in seconds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
    /// Measure these parts alone
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["size", "memory", "load", "redis", "syscalls", "telemetry", "intake", "answers", "drawing"])]
    only: Vec<Part>,
    /// Write all values to this file as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Size of the program
    Size,
    /// Memory of a lab at rest
    Memory,
    /// GET and POST under load, the queue embedded
    Load,
    /// POST under load with the queue in Redis
    Redis,
    /// System calls for a GET and a POST
    Syscalls,
    /// The gateway's CPU with telemetry on and off
    Telemetry,
    /// The console's CPU for a span that it takes in, beside Jaeger's
    Intake,
    /// The console's answers with 50,000 spans
    Answers,
    /// How long its pages take to draw them, in Chromium
    Drawing,
}

/// A program and what was measured of it.
pub struct Side {
    /// `base` or `program`.
    pub name: &'static str,
    pub path: PathBuf,
    pub samples: Samples,
    /// System calls of the last round.
    pub calls: Vec<(Measure, PerRequest)>,
}

impl Side {
    fn new(name: &'static str, path: &std::path::Path) -> anyhow::Result<Self> {
        Ok(Self { name, path: program(path)?, samples: Samples::default(), calls: Vec::new() })
    }

    fn measure(&mut self, part: Part, time: Duration, redis: Option<&dyn Broker>) -> anyhow::Result<()> {
        match part {
            Part::Size => {
                let bytes = machine::stripped_size(&self.path)? as f64;
                self.samples.add(Measure::Size, bytes / 1024.0 / 1024.0);
                Ok(())
            }
            Part::Memory => self.memory(),
            Part::Load => self.load(time),
            Part::Redis => redis.map_or(Ok(()), |broker| self.redis(broker, time)),
            Part::Syscalls => self.syscalls(),
            Part::Telemetry => telemetry::measure(&self.path, &mut self.samples),
            Part::Intake => intake::measure(&self.path, &mut self.samples),
            Part::Answers => answers::measure(&self.path, &mut self.samples),
            Part::Drawing => drawing::measure(&self.path, &mut self.samples),
        }
    }

    fn memory(&mut self) -> anyhow::Result<()> {
        let lab = RunningLab::start(&self.path, &[])?;
        std::thread::sleep(IDLE);
        let memory = lab.memory()?;
        let ours: Vec<_> = lab.processes().values().copied().collect();
        if proc::running(&self.path).iter().any(|pid| !ours.contains(pid)) {
            bail!(
                "another lab runs this program, so pages are shared that a lab alone would have for itself"
            );
        }
        let mib = |of: fn(&proc::Memory) -> u64| -> ByProcess<f64> {
            memory.iter().map(|(name, memory)| (name.clone(), of(memory) as f64 / 1024.0)).collect()
        };
        self.samples.add_sum(Measure::Pss, &mib(|memory| memory.pss));
        self.samples.add_sum(Measure::Private, &mib(|memory| memory.private));
        self.samples.add_sum(Measure::Rss, &mib(|memory| memory.rss));
        Ok(())
    }

    fn load(&mut self, time: Duration) -> anyhow::Result<()> {
        let lab = RunningLab::start(&self.path, &[])?;
        let order = lab.order()?;
        load::warm_up(&lab)?;
        let get = load::get(&lab, time)?;
        self.samples.add(Measure::GetCpuAll, get.cpu.values().sum());
        self.samples.add_roles(Measure::GetCpu, &get.cpu);
        self.samples
            .add(Measure::GetCpu, ["gateway", "user"].iter().filter_map(|role| get.cpu.get(*role)).sum());
        self.samples.add(Measure::GetRate, get.load.per_second);
        self.samples.add(Measure::GetP99, get.load.p99.as_secs_f64() * 1e3);
        let post = load::post(&lab, &order, time)?;
        self.samples.add_sum(Measure::PostCpu, &post.cpu);
        self.samples.add(Measure::PostRate, post.load.per_second);
        self.samples.add(Measure::PostP50, post.load.p50.as_secs_f64() * 1e3);
        self.samples.add(Measure::PostP99, post.load.p99.as_secs_f64() * 1e3);
        Ok(())
    }

    fn redis(&mut self, broker: &dyn Broker, time: Duration) -> anyhow::Result<()> {
        let settings = broker.settings(&fresh_queue());
        let env: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let lab = RunningLab::start(&self.path, &env)?;
        let Cost { load, cpu } = load::post(&lab, &lab.order()?, time)?;
        self.samples.add_sum(Measure::RedisCpu, &cpu);
        self.samples.add(Measure::RedisRate, load.per_second);
        self.samples.add(Measure::RedisP99, load.p99.as_secs_f64() * 1e3);
        Ok(())
    }

    fn syscalls(&mut self) -> anyhow::Result<()> {
        let lab = RunningLab::start(&self.path, &[calls::NO_SCRAPES])?;
        let order = lab.order()?;
        self.calls =
            vec![(Measure::GetCalls, calls::get(&lab)?), (Measure::PostCalls, calls::post(&lab, &order)?)];
        for (measure, calls) in &self.calls {
            let sums = calls.iter().map(|(name, calls)| (name.clone(), calls.iter().map(|(_, n)| n).sum()));
            self.samples.add_sum(*measure, &sums.collect());
        }
        Ok(())
    }
}

/// Measures, prints the table, writes the file. Whether every part that was asked for could be measured.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    if options.only.iter().any(|part| matches!(part, Part::Load | Part::Redis | Part::Telemetry)) {
        tools::require_wrk()?;
    }
    let mut report = Report::new(machine::describe(), options.rounds);
    let mut sides = Vec::new();
    if let Some(base) = &options.base {
        sides.push(Side::new("base", base)?);
    }
    sides.push(Side::new("program", &options.program)?);
    let mut parts = options.only.clone();
    parts.retain(|part| match tools::missing(*part) {
        Some(why) => report.skip(*part, &why),
        None => true,
    });
    let redis = parts.contains(&Part::Redis).then(RedisServer::boxed);
    let time = Duration::from_secs(options.seconds.into());
    for round in 0..usize::from(options.rounds) {
        for part in &parts {
            eprintln!("round {} of {}: {part:?}", round + 1, options.rounds);
            for side in &mut sides {
                side.samples.round = round;
                if let Err(error) = side.measure(*part, time, redis.as_deref()) {
                    report.fail(side.name, *part, &error);
                }
            }
        }
    }
    println!("{}", report.text(&sides));
    if let Some(file) = &options.json {
        std::fs::write(file, format!("{:#}\n", report.json(&sides)))?;
    }
    Ok(report.complete())
}
