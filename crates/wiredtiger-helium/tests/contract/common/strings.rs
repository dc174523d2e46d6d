//! Short words for cursors with `key_format=S,value_format=S`.

use wiredtiger_testkit::{Cursor, Outcome, Result};

/// One call per operation, with key and value at once.
pub trait Strings {
    /// Insert.
    fn put(&self, key: &str, value: &str) -> Result<()>;
    /// Update.
    fn change(&self, key: &str, value: &str) -> Result<()>;
    /// Remove.
    fn take(&self, key: &str) -> Result<()>;
    /// Reserve.
    fn hold(&self, key: &str) -> Result<()>;
    /// Search: the value, if there is one.
    fn get(&self, key: &str) -> Result<Option<String>>;
    /// Search for the key alone.
    fn seek(&self, key: &str) -> Result<()>;
    /// All items as `key=value`, in order.
    fn list(&self) -> Result<Vec<String>>;
    /// All items as `key=value`, last first.
    fn list_back(&self) -> Result<Vec<String>>;
}

impl Strings for Cursor<'_> {
    fn put(&self, key: &str, value: &str) -> Result<()> {
        self.set_key_str(key)?;
        self.set_value_str(value)?;
        self.insert()
    }

    fn change(&self, key: &str, value: &str) -> Result<()> {
        self.set_key_str(key)?;
        self.set_value_str(value)?;
        self.update()
    }

    fn take(&self, key: &str) -> Result<()> {
        self.set_key_str(key)?;
        self.remove()
    }

    fn hold(&self, key: &str) -> Result<()> {
        self.set_key_str(key)?;
        self.reserve()
    }

    fn get(&self, key: &str) -> Result<Option<String>> {
        if self.seek(key).found()? {
            self.value_str().map(Some)
        } else {
            Ok(None)
        }
    }

    fn seek(&self, key: &str) -> Result<()> {
        self.set_key_str(key)?;
        self.search()
    }

    fn list(&self) -> Result<Vec<String>> {
        self.rows().map(|rows| rows.iter().map(show).collect())
    }

    fn list_back(&self) -> Result<Vec<String>> {
        self.rows_back().map(|rows| rows.iter().map(show).collect())
    }
}

fn show((key, value): &(Vec<u8>, Vec<u8>)) -> String {
    format!(
        "{}={}",
        String::from_utf8_lossy(key),
        String::from_utf8_lossy(value)
    )
}
