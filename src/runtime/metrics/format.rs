//! Which of its two formats a page is asked for in.

use actix_web::http::header::{Accept, Header as _, Quality};
use actix_web::{HttpMessage, mime};

/// A format of `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageFormat {
    /// Prometheus text format 0.0.4, for everybody who does not ask for the other.
    Prometheus,
    /// OpenMetrics 1.0, with exemplars.
    OpenMetrics,
}

impl PageFormat {
    /// The format that the `Accept` of a request prefers. OpenMetrics has to be named: whoever takes
    /// anything gets what it always got.
    pub fn wanted(request: &impl HttpMessage) -> Self {
        let Ok(Accept(ranges)) = Accept::parse(request) else { return Self::Prometheus };
        let best = |rank: fn(&mime::Mime) -> Option<u8>| {
            let ranked = ranges.iter().filter_map(|range| Some((rank(&range.item)?, range.quality)));
            ranked.max().map_or(Quality::ZERO, |(_, quality)| quality)
        };
        let open = best(|range| {
            let named = range.essence_str() == "application/openmetrics-text";
            (named && range.get_param("version").is_none_or(|version| version == "1.0.0")).then_some(0)
        });
        // The most specific range counts (RFC 9110, 12.5.1).
        let text = best(|range| match range.essence_str() {
            "text/plain" => range.get_param("version").is_none_or(|version| version == "0.0.4").then_some(2),
            "text/*" => Some(1),
            "*/*" => Some(0),
            _ => None,
        });
        if open > Quality::ZERO && open >= text { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn open_metrics_is_for_those_who_name_it_and_like_it_no_less() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
            text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (accept, open) in [
            (prometheus_2, true),
            (prometheus_3, true),
            ("application/openmetrics-text", true),
            ("application/openmetrics-text, text/plain", true),
            ("application/openmetrics-text;q=0.5, */*;q=0.5", true),
            ("application/openmetrics-text;q=0.4, text/plain;q=0.5", false),
            ("application/openmetrics-text;q=0.4, text/*;q=0.5, */*;q=0.1", false),
            ("text/plain;q=0.3, application/openmetrics-text;q=0.4, */*", true),
            ("application/openmetrics-text;q=0", false),
            ("application/openmetrics-text;version=2.0.0", false),
            ("text/plain", false),
            ("application/json", false),
            ("*/*", false),
            ("", false),
            ("application/openmetrics-text;;q=x,,", false),
        ] {
            let request = TestRequest::default().insert_header(("accept", accept)).to_srv_request();
            let expected = if open { PageFormat::OpenMetrics } else { PageFormat::Prometheus };
            assert_eq!(PageFormat::wanted(&request), expected, "{accept}");
        }
        assert_eq!(PageFormat::wanted(&TestRequest::default().to_srv_request()), PageFormat::Prometheus);
    }
}
