//! What a store must do to be measured.

use anyhow::Result;

/// An ordered store under measurement. All calls come from several threads at once.
pub trait Engine: Send + Sync {
    /// Name in the table.
    fn name(&self) -> &'static str;
    /// Writes the items as the store does it best in bulk: one batch or transaction, not synced.
    fn load(&self, items: &[(Vec<u8>, Vec<u8>)]) -> Result<()>;
    /// Reads a value into `value`; false if it is not there.
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool>;
    /// Reads up to `items` items from `from` on; returns how many there were.
    fn scan(&self, from: &[u8], items: usize) -> Result<usize>;
    /// As [`Engine::scan`], by what its users iterate with.
    fn range(&self, from: &[u8], items: usize) -> Result<usize> {
        self.scan(from, items)
    }
    /// Writes one item, not synced.
    fn update(&self, key: &[u8], value: &[u8]) -> Result<()>;
    /// Writes one item and returns when it is durable.
    fn update_durably(&self, key: &[u8], value: &[u8]) -> Result<()>;
}
