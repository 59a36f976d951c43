//! Lists in pages: keyset pagination by id, so that a page never skips or repeats a row.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The page size where none is asked for.
pub const DEFAULT_LIMIT: i64 = 50;
/// The largest page.
pub const MAX_LIMIT: i64 = 500;

/// The most bytes of rows in a page that has more than one, so that a page of the largest rows takes no
/// more memory than one of small ones. A page may so have fewer rows than were asked for; its `next` says
/// whether more follow.
pub const MAX_PAGE_BYTES: usize = 256 * 1024;

/// `?limit=&after=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageQuery {
    /// 1 to 500.
    pub limit: i64,
    /// Only rows with a greater id.
    pub after: i64,
}

/// One page, in order of id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// The `after` of the next page, if there is one.
    pub next: Option<i64>,
}

impl PageQuery {
    /// Reads a query string; an error lists every parameter that is not what it should be.
    pub fn parse(query: &str) -> Result<Self, Vec<String>> {
        let mut page = Self { limit: DEFAULT_LIMIT, after: 0 };
        let mut errors = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (decoded(key), decoded(value));
            // `None` stays a refusal: digits only, no sign, no spaces.
            let number =
                value.bytes().all(|b| b.is_ascii_digit()).then(|| value.parse::<i64>().ok()).flatten();
            match (&*key, number) {
                ("limit", Some(n)) if (1..=MAX_LIMIT).contains(&n) => page.limit = n,
                ("limit", _) => errors.push(format!("limit must be an integer from 1 to {MAX_LIMIT}")),
                ("after", Some(n)) => page.after = n,
                ("after", None) => errors.push("after must be a non-negative integer".to_owned()),
                _ => {}
            }
        }
        if errors.is_empty() { Ok(page) } else { Err(errors) }
    }

    /// The query string that says the same.
    pub fn to_query(self) -> String {
        format!("limit={}&after={}", self.limit, self.after)
    }
}

/// Percent-decoded; what is then no UTF-8 names and is nothing known.
fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_query_has_defaults_and_bounds() {
        assert_eq!(PageQuery::parse(""), Ok(PageQuery { limit: 50, after: 0 }));
        assert_eq!(PageQuery::parse("limit=500&after=7&x=y"), Ok(PageQuery { limit: 500, after: 7 }));
        assert_eq!(PageQuery::parse("%6Cimit=%31&after=%37"), Ok(PageQuery { limit: 1, after: 7 }));
        for bad in [
            "limit=%30",
            "limit=%2B5",
            "limit=%FF",
            "limit=0",
            "limit=501",
            "limit=",
            "limit=+5",
            "limit=1e2",
            "after=-1",
            "after=x",
            "after=",
        ] {
            assert!(PageQuery::parse(bad).is_err(), "{bad}");
        }
    }
}
