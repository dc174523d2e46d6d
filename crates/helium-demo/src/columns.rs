//! Rows as WiredTiger packs them: what raw cursors take and give.
//!
//! Packed keys compare as their columns do, so that the tables, the index and
//! `wt dump` all read the same rows.

use anyhow::{Context, Result, ensure};
use wiredtiger_testkit::pack;

/// Packs columns one after the other.
#[derive(Default)]
pub struct Columns(Vec<u8>);

impl Columns {
    /// A text column (`S`).
    pub fn text(mut self, text: &str) -> Self {
        self.0.extend(pack::string(text));
        self
    }

    /// A number column (`Q`).
    pub fn number(mut self, number: u64) -> Self {
        self.0.extend(pack::unsigned(number));
        self
    }

    /// The packed bytes.
    pub fn bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Reads columns one after the other.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads what was packed.
    pub fn new(packed: &'a [u8]) -> Self {
        Self(packed)
    }

    /// A text column.
    pub fn text(&mut self) -> Result<String> {
        let end = self
            .0
            .iter()
            .position(|byte| *byte == 0)
            .context("a text column without its end")?;
        let text =
            std::str::from_utf8(&self.0[..end]).context("a text column that is not UTF-8")?;
        self.0 = &self.0[end + 1..];
        Ok(text.to_owned())
    }

    /// A number column.
    pub fn number(&mut self) -> Result<u64> {
        let number = pack::unpack_unsigned(self.0).context("a number column that is none")?;
        // The packing of a number is unique, so its length is that of packing it again.
        self.0 = self
            .0
            .get(pack::unsigned(number).len()..)
            .context("a number column cut short")?;
        Ok(number)
    }

    /// Nothing is left.
    pub fn end(self) -> Result<()> {
        ensure!(
            self.0.is_empty(),
            "{} bytes behind the last column",
            self.0.len()
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_back() {
        let packed = Columns::default()
            .text("a")
            .number(0)
            .number(70_000)
            .text("")
            .bytes();
        let mut reader = Reader::new(&packed);
        assert_eq!(reader.text().unwrap(), "a");
        assert_eq!(reader.number().unwrap(), 0);
        assert_eq!(reader.number().unwrap(), 70_000);
        assert_eq!(reader.text().unwrap(), "");
        reader.end().unwrap();
    }

    #[test]
    fn what_is_cut_short_is_an_error() {
        assert!(Reader::new(b"ab").text().is_err());
        assert!(Reader::new(b"").number().is_err());
        assert!(Reader::new(b"a").end().is_err());
    }
}
