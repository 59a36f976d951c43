//! What a panel of the metrics page is: the words of the table [`super::panels`].

/// Seconds in which percentiles and shares are taken.
pub(super) const LATELY: u64 = 60;

/// What is drawn of the series that a line joins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Figure {
    /// How much came a second: of a counter itself, of a histogram its observations.
    Rate,
    /// The sum of the values themselves.
    Value,
    /// What buckets tell of this percentile, over a minute.
    Percentile(f64),
    /// A share of the observations over what is allowed.
    Share(Share),
    /// What is left of the share that is allowed: 1 is all of it, 0 nothing, below 0 it is overdrawn.
    Left(Share),
}

/// Of all observations those whose attribute begins so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) attribute: &'static str,
    pub(super) begins: &'static str,
    /// The share by which it is divided.
    pub(super) of: f64,
    /// Over so many seconds.
    pub(super) window: u64,
}

/// When a panel is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum PanelSubject {
    /// For all services, and for a chosen one.
    All,
    /// Only where a service is chosen.
    Chosen,
    /// It is about this service alone.
    Only(&'static str),
}

impl PanelSubject {
    /// Whether series of a service are drawn where one is chosen, or none.
    pub(super) fn takes(self, service: &str, chosen: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Chosen => chosen.is_some(),
            Self::Only(only) => only == service,
        }
    }
}

/// Which series, how they are joined to lines, and what a line shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    /// What its lines are called where a panel has several sources, `p95` where they are percentiles; empty where it has one.
    pub(super) name: &'static str,
    pub(super) metric: &'static str,
    /// The attribute and its only value wanted.
    pub(super) only: Option<(&'static str, &'static str)>,
    /// By which attributes lines are told apart where one service is chosen; otherwise each service has one line.
    pub(super) by: &'static [&'static str],
    pub(super) figure: Figure,
}

/// One chart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// Of the values drawn: UCUM, `{thing}`, or `1` for a ratio.
    pub(super) unit: &'static str,
    pub(super) about: &'static str,
    pub(super) sources: &'static [Source],
    /// Values that mean something, with what they mean.
    pub(super) limits: &'static [(f64, &'static str)],
    pub(super) subject: PanelSubject,
    /// Whether exemplars are dots in it.
    pub(super) exemplars: bool,
    /// Seconds of an objective's period, where it tells of that.
    pub(super) period: Option<u64>,
}

impl Panel {
    /// Whether its lines are percentiles of the same observations.
    pub(super) fn has_percentiles(&self) -> bool {
        self.sources.len() > 1 && self.sources.iter().all(|source| source.percentile().is_some())
    }
}

impl Source {
    /// Seconds before a time that its figure looks back on.
    pub(super) fn window(&self) -> u64 {
        match self.figure {
            Figure::Share(share) | Figure::Left(share) => share.window,
            _ => LATELY,
        }
    }

    pub(super) fn percentile(&self) -> Option<f64> {
        match self.figure {
            Figure::Percentile(percent) => Some(percent),
            _ => None,
        }
    }
}
