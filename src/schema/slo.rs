//! The gateway's availability objective in numbers: charts and lessons calculate with these, and a test holds the
//! alert rules against them.

use super::Role;

/// A rate of burning that pages somebody.
#[derive(Debug)]
pub struct BurnPage {
    /// How many times faster than allowed.
    pub factor: f64,
    /// The shorter of the two windows over which it has to be exceeded, in minutes.
    pub minutes: u64,
}

/// A share of requests that may fail, over a time.
#[derive(Debug)]
pub struct Objective {
    /// What the label `slo` of the rules calls it.
    pub name: &'static str,
    /// Where the requests are counted.
    pub role: Role,
    /// The share that may fail: the error budget.
    pub allowed: f64,
    /// Its period, in days.
    pub days: u64,
    /// The rates that page, the fastest first.
    pub pages: [BurnPage; 2],
}

/// What clients are promised: no 5xx, but for one in 200, in 30 days (`alerts/production`).
pub const AVAILABILITY: Objective = Objective {
    name: "gateway-availability",
    role: Role::Gateway,
    allowed: 0.005,
    days: 30,
    pages: [BurnPage { factor: 14.4, minutes: 5 }, BurnPage { factor: 6.0, minutes: 30 }],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_alert_rules() {
        let Objective { name, role, allowed, days, pages } = AVAILABILITY;
        let slo = include_str!("../../alerts/production/slo.yml");
        let labels = format!("labels: {{slo: {name}, service: {}}}", role.service().name);
        let objective = format!("expr: vector({})\n        {labels}", 1.0 - allowed);
        assert!(slo.contains(&objective), "{objective}");
        assert!(slo.contains(&format!("rate(slo:errors:total[{days}d])")), "{days} days");
        let burn = include_str!("../../alerts/production/burn.yml");
        for BurnPage { factor, minutes } in pages {
            let rule = format!("slo:sli_error:ratio_rate{minutes}m > {factor} * slo:error_budget:ratio");
            assert!(burn.contains(&rule), "{rule}");
        }
    }
}
