//! The directory of a tree's pages: which stretch of keys is on which page.
//!
//! Invariant: pages follow each other in key order; each covers the keys from its low key up to
//! the next one's; the first one's is the empty key. A page is *stale* from the moment that
//! something in its stretch was found changed until another one has taken its place durably.

use crate::location::Location;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Page {
    pub(super) low: Vec<u8>,
    /// Key of the item.
    pub(super) id: u64,
    /// `None` if nothing was written for the stretch: it was empty, or there was no checkpoint.
    pub(super) at: Option<Location>,
    pub(super) count: u64,
    pub(super) stale: bool,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Directory {
    pub(super) pages: Vec<Page>,
}

impl Default for Directory {
    /// Of a tree of which nothing was written.
    fn default() -> Self {
        Self {
            pages: vec![Page {
                low: Vec::new(),
                id: 0,
                at: None,
                count: 0,
                stale: true,
            }],
        }
    }
}

impl Directory {
    /// Marks the pages that hold keys from `low` up to `high`.
    pub(super) fn mark(&mut self, low: &[u8], high: Option<&[u8]>) {
        let above = self.pages.partition_point(|page| *page.low <= *low);
        let mut from = above.saturating_sub(1);
        while let Some(page) = self.pages.get_mut(from) {
            page.stale = true;
            from += 1;
            let next = self.pages.get(from);
            if next.is_some_and(|next| high.is_some_and(|high| *next.low >= *high)) {
                break;
            }
        }
    }

    pub(super) fn locations(&self) -> impl Iterator<Item = Location> + '_ {
        self.pages.iter().filter_map(|page| page.at)
    }

    /// The next stale stretch from page `from` on: pages from one up to another.
    pub(super) fn stale_from(&self, from: usize) -> Option<(usize, usize)> {
        let pages = &self.pages;
        let start = (from..pages.len()).find(|&i| pages[i].stale)?;
        let end = (start..pages.len()).find(|&i| !pages[i].stale);
        Some((start, end.unwrap_or(pages.len())))
    }
}

impl Page {
    /// Of a tree without entries.
    pub(super) fn empty() -> Self {
        Self {
            low: Vec::new(),
            id: 0,
            at: None,
            count: 0,
            stale: false,
        }
    }
}
