//! Pages of rows, bounded by number and by bytes.

use crate::api::{MAX_PAGE_BYTES, Page, PageQuery};

/// Rows read so far of a page that may take [`MAX_PAGE_BYTES`]; a single row may take more.
pub(super) struct PageRows<T> {
    rows: Vec<T>,
    bytes: usize,
    full: bool,
    size: fn(&T) -> usize,
}

impl<T> PageRows<T> {
    /// `size` is about what a row takes in an answer, in bytes.
    pub(super) fn new(size: fn(&T) -> usize) -> Self {
        Self { rows: Vec::new(), bytes: 0, full: false, size }
    }

    /// Takes a row, if there is room for it.
    pub(super) fn push(&mut self, row: T) {
        let size = (self.size)(&row);
        self.full = self.full || (!self.rows.is_empty() && self.bytes + size > MAX_PAGE_BYTES);
        if !self.full {
            self.bytes += size;
            self.rows.push(row);
        }
    }

    /// Whether a row was left out.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// The first `limit` rows, and whether there are more.
    pub(super) fn first(mut self, limit: i64) -> (Vec<T>, bool) {
        let limit = usize::try_from(limit).unwrap_or_default();
        let more = self.full || self.rows.len() > limit;
        self.rows.truncate(limit);
        (self.rows, more)
    }

    /// The page, of rows of which one too many was asked for.
    pub(super) fn into_page(self, query: PageQuery, id: fn(&T) -> i64) -> Page<T> {
        let (rows, more) = self.first(query.limit);
        let next = rows.last().map(id).filter(|_| more);
        Page { rows, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(sizes: &[i64], limit: i64) -> (usize, Option<i64>) {
        let mut rows = PageRows::new(|row: &i64| usize::try_from(*row).unwrap_or_default());
        sizes.iter().for_each(|size| rows.push(*size));
        let page = rows.into_page(PageQuery { limit, after: 0 }, |row| *row);
        (page.rows.len(), page.next)
    }

    #[test]
    fn a_page_ends_with_its_limit_its_bytes_or_its_rows_and_never_before_the_first() {
        let most = MAX_PAGE_BYTES as i64;
        assert_eq!(page(&[], 2), (0, None));
        assert_eq!(page(&[1, 2], 2), (2, None));
        assert_eq!(page(&[1, 2, 3], 2), (2, Some(2)));
        assert_eq!(page(&[most, 1], 2), (1, Some(most)));
        assert_eq!(page(&[most - 1, 1, 2], 5), (2, Some(1)));
        assert_eq!(page(&[most + 1], 2), (1, None));
        // What is left out stays left out, also where a smaller row follows.
        assert_eq!(page(&[1, most, 2], 5), (1, Some(1)));
    }
}
