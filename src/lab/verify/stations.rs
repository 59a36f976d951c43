//! Where between the roles and a backend something was lost: by the books of the collectors on the way.
//!
//! roles exported N -> station received M, sent K -> … -> backend has L. What counting at the end cannot tell, the first
//! pair of books that do not agree does.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::claim::{Claim, ClaimVerdict, Flaws};
use crate::config::{StationSource, VerifyConfig};
use crate::lab::backend::count::{CountReader, CountSnapshot};
use crate::lab::backend::station::{ExporterBook, STATION_SIGNALS, StationBook, StationPage};
use crate::schema::names;

/// Between two readings, and the longest wait for books that agree: batches and queues take their time.
const PAUSE: Duration = Duration::from_millis(250);
const AGREED_WITHIN: Duration = Duration::from_secs(10);
/// Counts are whole numbers.
const LEAST: f64 = 0.5;

/// One reading: what the roles exported of each signal, and the books of each station.
struct StationReading {
    exported: Result<[f64; 3], String>,
    pages: Vec<Result<StationPage, String>>,
}

/// The stations of a run, as they stood before it.
pub(super) struct Stations<'a> {
    sources: &'a [StationSource],
    roles: CountReader,
    before: StationReading,
}

impl<'a> Stations<'a> {
    /// Reads all until two readings are the same: what is on its way now must not be counted at one end only.
    pub(super) async fn before(config: &'a VerifyConfig) -> Self {
        let (sources, roles) = (config.stations.as_slice(), CountReader::pages(config.pages()));
        let mut before = read_back(&roles, sources).await;
        let end = Instant::now() + AGREED_WITHIN;
        while !sources.is_empty() && Instant::now() < end {
            sleep(PAUSE * 2).await;
            let again = read_back(&roles, sources).await;
            let still = again.still() == before.still();
            before = again;
            if still {
                break;
            }
        }
        Self { sources, roles, before }
    }

    /// The rows, once the books agree or will not; `others` are those of the backends.
    pub(super) async fn claims(&self, config: &VerifyConfig, others: &[Claim]) -> Vec<Claim> {
        if self.sources.is_empty() {
            return Vec::new();
        }
        let end = Instant::now() + AGREED_WITHIN.min(config.within);
        loop {
            let claims = self.judge(&read(&self.roles, self.sources).await, others);
            // What the backends lack does not change any more.
            let own = claims.iter().filter(|claim| !claim.source.contains(LAST));
            if Instant::now() >= end || own.clone().all(|claim| claim.verdict == ClaimVerdict::Pass) {
                return claims;
            }
            sleep(PAUSE).await;
        }
    }

    fn judge(&self, after: &StationReading, others: &[Claim]) -> Vec<Claim> {
        let mut claims = Vec::new();
        for (signal, (name, _)) in STATION_SIGNALS.iter().enumerate() {
            let exported = match (&self.before.exported, &after.exported) {
                (Ok(before), Ok(after)) if after[signal] >= before[signal] => {
                    Ok(after[signal] - before[signal])
                }
                (Ok(_), Ok(_)) => Err("a role was restarted meanwhile".to_owned()),
                (Err(why), _) | (_, Err(why)) => Err(why.clone()),
            };
            let books: Vec<_> = (self.sources.iter().zip(&self.before.pages).zip(&after.pages))
                .map(|((source, before), after)| (source.name.as_str(), grown(signal, before, after)))
                .collect();
            claims.extend(path(name, exported, &books, others));
        }
        claims
    }
}

impl StationReading {
    /// What does not change while nothing is sent: everything but the metrics, which are sent all the time.
    fn still(&self) -> Vec<Option<[&StationBook; 2]>> {
        self.pages.iter().map(|page| page.as_ref().ok().map(|page| [&page.0[0], &page.0[2]])).collect()
    }
}

/// From the beginning of the way to its end: what is received has been sent before.
async fn read(roles: &CountReader, sources: &[StationSource]) -> StationReading {
    let exported = sum(roles).await;
    let mut pages = Vec::new();
    for source in sources {
        pages.push(page(source).await);
    }
    StationReading { exported, pages }
}

/// From its end to its beginning: what was received by then is counted as sent, too.
async fn read_back(roles: &CountReader, sources: &[StationSource]) -> StationReading {
    let mut pages = Vec::new();
    for source in sources.iter().rev() {
        pages.push(page(source).await);
    }
    pages.reverse();
    StationReading { exported: sum(roles).await, pages }
}

async fn sum(roles: &CountReader) -> Result<[f64; 3], String> {
    roles.read().await.map(|page| exported(&page)).map_err(|error| error.to_string())
}

async fn page(source: &StationSource) -> Result<StationPage, String> {
    StationPage::read(&source.url).await.map_err(|error| error.to_string())
}

fn exported(page: &CountSnapshot) -> [f64; 3] {
    STATION_SIGNALS.map(|(signal, _)| {
        page.sum(names::ITEMS_EXPORTED, |key| key.labels.get("signal").is_some_and(|own| own == signal))
    })
}

fn grown(
    signal: usize,
    before: &Result<StationPage, String>,
    after: &Result<StationPage, String>,
) -> Result<StationBook, String> {
    let (before, after) = (before.as_ref().map_err(Clone::clone)?, after.as_ref().map_err(Clone::clone)?);
    after.0[signal].since(&before.0[signal]).ok_or_else(|| "it was restarted meanwhile".to_owned())
}

/// Between two names of a way.
const ARROW: &str = " -> ";
/// Marks the row from the last station to a backend.
const LAST: &str = " -> the backend ";

/// The rows of one signal, along its way.
fn path(
    signal: &str,
    exported: Result<f64, String>,
    books: &[(&str, Result<StationBook, String>)],
    others: &[Claim],
) -> Vec<Claim> {
    let id = format!("stations.{signal}");
    let received = books.iter().any(|(_, book)| book.as_ref().is_ok_and(|book| book.received > LEAST));
    // Where a signal does not go this way at all there is nothing to say of it.
    if books.iter().all(|(_, book)| book.is_ok()) && !received {
        return Vec::new();
    }
    let mut claims = Vec::new();
    // Metrics are sent all the time: at no moment two books have to agree.
    let flows = signal == "metrics";
    let mut from = ("roles", exported);
    for (name, book) in books {
        let hop = format!("{}{ARROW}{name}", from.0);
        let between = (!flows).then(|| match (&from.1, book) {
            (Ok(sent), Ok(book)) => {
                let what = hop_words(*sent, book.received);
                row(&id, &hop, "all that is sent is received", what, *sent > book.received + LEAST)
            }
            (Err(why), _) | (_, Err(why)) => {
                Claim::untold(&id, &hop, "all that is sent is received", why.clone())
            }
        });
        claims.extend(between);
        let all = "all that is received is sent: nothing refused, dropped or failed";
        claims.push(match book {
            Ok(book) => row(&id, name, all, words(book, flows), !losses(book, flows).is_empty()),
            Err(why) => Claim::untold(&id, name, all, why.clone()),
        });
        from = (*name, book.as_ref().map(least_sent).map_err(Clone::clone));
    }
    let clean = claims.iter().all(|claim| claim.verdict == ClaimVerdict::Pass);
    let complete = format!("{signal}.complete");
    for end in others.iter().filter(|claim| claim.id == complete) {
        let hop = format!("{}{LAST}{}", from.0, end.source);
        let own = format!("the lab's own of what is sent is there: {}", end.expected);
        if end.verdict == ClaimVerdict::CannotTell {
            claims.push(Claim::untold(&id, &hop, own, end.found.clone()));
            continue;
        }
        let lacks = end.verdict == ClaimVerdict::Fail;
        let found = if lacks { format!("it lacks: {}", end.found) } else { end.found.clone() };
        let claim = row(&id, &hop, &own, found, lacks);
        // Lost before, it cannot be there; whether more was lost here is not known.
        claims.push(claim.unless((!clean).then_some("something was lost before")));
    }
    claims
}

fn row(id: &str, source: &str, expected: &str, found: String, lost: bool) -> Claim {
    let mut flaws = Flaws::default();
    if lost {
        flaws.add(found.clone(), String::new);
    }
    Claim { found, ..Claim::of(id, source, expected, &flaws) }
}

/// What the exporter sent that sent least: each has to send all.
fn least_sent(book: &StationBook) -> f64 {
    book.exporters.values().map(|own| own.sent).reduce(f64::min).unwrap_or_default()
}

/// What left one place and reached the next one, to which others may send too.
fn hop_words(sent: f64, received: f64) -> String {
    let others = received - sent;
    let of_others =
        if others > LEAST { format!(", {} of them of others", whole(others)) } else { String::new() };
    format!("{} sent, {} received{of_others}", whole(sent), whole(received))
}

fn words(book: &StationBook, flows: bool) -> String {
    let sent = |(name, own): (&String, &ExporterBook)| {
        let before = own.sent - book.received;
        let older = if before > LEAST && !flows {
            format!(" ({} of them received before the run)", whole(before))
        } else {
            String::new()
        };
        format!("{} sent by {name}{older}", whole(own.sent))
    };
    let sent: Vec<_> = book.exporters.iter().map(sent).collect();
    let sent = if sent.is_empty() { "none sent".to_owned() } else { sent.join(", ") };
    let losses = losses(book, flows);
    let losses = if losses.is_empty() { String::new() } else { format!(": {}", losses.join("; ")) };
    format!("{} received, {sent}{losses}", whole(book.received))
}

/// What became of what was not sent, in words; of what `flows` on only what the station itself counts.
fn losses(book: &StationBook, flows: bool) -> Vec<String> {
    let mut all = Vec::new();
    let mut note = |count: f64, what: &str| {
        if count > LEAST {
            all.push(format!("{} {what}", whole(count)));
        }
    };
    note(book.refused, "refused at its receivers");
    let mut dropped = 0.0;
    for (processor, count) in &book.dropped {
        note(*count, &format!("dropped by the processor {processor}"));
        dropped += count.max(0.0);
    }
    for (exporter, own) in &book.exporters {
        note(own.failed, &format!("that {exporter} could not send"));
        note(own.rejected, &format!("that {exporter} had no room for in its queue"));
        if flows {
            continue;
        }
        let gone = book.received - dropped - own.sent - own.failed - own.rejected;
        note(
            gone,
            &format!(
                "that {exporter} never saw: dropped by a processor that keeps no count, or still inside"
            ),
        );
    }
    if book.exporters.is_empty() && !flows {
        note(book.received - dropped, "that no exporter saw: dropped by a processor, or still inside");
    }
    all
}

fn whole(count: f64) -> String {
    format!("{count:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(received: f64, sent: f64) -> StationBook {
        let exporters = [("otlp".to_owned(), ExporterBook { sent, ..ExporterBook::default() })].into();
        StationBook { received, exporters, ..StationBook::default() }
    }

    /// The rows of traces by their source: verdict and what was found.
    fn rows(
        exported: f64,
        books: Vec<(&str, StationBook)>,
        lacks: bool,
    ) -> Vec<(String, ClaimVerdict, String)> {
        let mut flaws = Flaws::default();
        if lacks {
            flaws.add("no span x".to_owned(), String::new);
        }
        let end = Claim::of("traces.complete", "jaeger", "all", &flaws);
        let books: Vec<_> = books.into_iter().map(|(name, book)| (name, Ok(book))).collect();
        let claims = path("traces", Ok(exported), &books, &[end]);
        claims.into_iter().map(|claim| (claim.source, claim.verdict, claim.found)).collect()
    }

    fn not_held(rows: &[(String, ClaimVerdict, String)]) -> Vec<(&str, ClaimVerdict)> {
        let not = rows.iter().filter(|(_, verdict, _)| *verdict != ClaimVerdict::Pass);
        not.map(|(source, verdict, _)| (source.as_str(), *verdict)).collect()
    }

    #[test]
    fn a_loss_is_placed_between_two_books_that_do_not_agree_and_nowhere_else() {
        use ClaimVerdict::{CannotTell, Fail};
        let way = |a: (f64, f64), b: (f64, f64)| vec![("a", book(a.0, a.1)), ("b", book(b.0, b.1))];
        assert_eq!(not_held(&rows(9.0, way((9.0, 9.0), (9.0, 9.0)), false)), []);
        let end = ("b -> the backend jaeger", CannotTell);
        assert_eq!(not_held(&rows(9.0, way((7.0, 7.0), (7.0, 7.0)), true)), [("roles -> a", Fail), end]);
        assert_eq!(not_held(&rows(9.0, way((9.0, 7.0), (7.0, 7.0)), true)), [("a", Fail), end]);
        assert_eq!(not_held(&rows(9.0, way((9.0, 9.0), (7.0, 7.0)), true)), [("a -> b", Fail), end]);
        assert_eq!(not_held(&rows(9.0, way((9.0, 9.0), (9.0, 7.0)), true)), [("b", Fail), end]);
        let last = rows(9.0, way((9.0, 9.0), (9.0, 9.0)), true);
        assert_eq!(not_held(&last), [("b -> the backend jaeger", Fail)]);
        assert_eq!(last[4].2, "it lacks: no span x");
        // Others send there too: more is no loss.
        assert_eq!(not_held(&rows(9.0, way((12.0, 12.0), (12.0, 12.0)), false)), []);
        // Nothing of this signal goes this way.
        assert_eq!(rows(9.0, way((0.0, 0.0), (0.0, 0.0)), false), []);
    }

    #[test]
    fn a_row_that_holds_though_two_numbers_differ_says_why_they_do() {
        assert_eq!(hop_words(93.0, 93.0), "93 sent, 93 received");
        assert_eq!(hop_words(93.0, 101.0), "93 sent, 101 received, 8 of them of others");
        assert_eq!(hop_words(93.0, 91.0), "93 sent, 91 received");
        let found = words(&book(93.0, 101.0), false);
        assert_eq!(found, "93 received, 101 sent by otlp (8 of them received before the run)");
        let mut end = Claim::of("traces.complete", "jaeger", "93 spans in 8 traces", &Flaws::default());
        end.found = "as expected".to_owned();
        let rows = path("traces", Ok(93.0), &[("a", Ok(book(101.0, 101.0)))], &[end]);
        assert_eq!(rows[2].expected, "the lab's own of what is sent is there: 93 spans in 8 traces");
        assert!(rows.iter().all(|row| row.verdict == ClaimVerdict::Pass), "{rows:?}");
    }

    #[test]
    fn what_was_not_sent_is_told_by_what_became_of_it() {
        let mut station = book(20.0, 5.0);
        station.dropped.insert("filter/health".to_owned(), 4.0);
        station.refused = 2.0;
        let own = station.exporters.entry("otlp".to_owned()).or_default();
        (own.failed, own.rejected) = (3.0, 1.0);
        let found = words(&station, false);
        for part in [
            "20 received, 5 sent by otlp: ",
            "2 refused at its receivers",
            "4 dropped by the processor filter/health",
            "3 that otlp could not send",
            "1 that otlp had no room for",
            "7 that otlp never saw",
        ] {
            assert!(found.contains(part), "{part}: {found}");
        }
        // Of what never stops flowing something is always inside.
        let found = words(&station, true);
        assert!(found.contains("4 dropped by") && !found.contains("never saw"), "{found}");
    }
}
