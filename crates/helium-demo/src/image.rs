//! Everything that is in the tables, as plain rows.

/// A row of `packages`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageRow {
    /// The package's name: the key.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its section.
    pub section: String,
    /// How many files it owns.
    pub files: u64,
    /// How many of them are installed.
    pub installed: u64,
    /// How many transactions have moved files of it.
    pub moves: u64,
}

/// A row of `planned` or `installed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRow {
    /// The package that owns the file.
    pub package: String,
    /// Where the file is.
    pub path: String,
    /// The MD5 sum of what is in it.
    pub digest: String,
}

/// A row of `ledger`: one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// Which worker.
    pub round: u64,
    /// Which of its threads.
    pub thread: u64,
    /// The thread's number for the transaction.
    pub number: u64,
    /// The package whose files it moved.
    pub package: String,
    /// How many it moved to `installed`; negative if back to `planned`.
    pub files: i64,
    /// Which of the package's moves it was, counted from 1.
    pub nth: u64,
}

/// All rows of all tables, each table in the order of its cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// `packages`, on the first volume.
    pub packages: Vec<PackageRow>,
    /// `planned`, on the first volume, in order of package and path.
    pub planned: Vec<FileRow>,
    /// `installed`, on the second volume, in order of path and package.
    pub installed: Vec<FileRow>,
    /// Package and path of each entry of the index on `installed`, in the index's order.
    pub index: Vec<(String, String)>,
    /// `ledger`, on the second volume.
    pub ledger: Vec<LedgerRow>,
}

impl Image {
    /// Rows of all tables together, index entries included.
    pub fn rows(&self) -> u64 {
        let rows = self.packages.len() + self.planned.len() + self.installed.len();
        (rows + self.index.len() + self.ledger.len()) as u64
    }
}
