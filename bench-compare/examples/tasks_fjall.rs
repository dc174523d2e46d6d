//! The tasks of docs/tasks.md in fjall.

use anyhow::Result;
use fjall::{KeyspaceCreateOptions, PersistMode, Readable, SingleWriterTxDatabase};

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("shop.fjall");

    // 1. Open a store, or make it
    let database = SingleWriterTxDatabase::builder(path).open()?;

    // 2. Open a table, or make it
    let stock = database.keyspace("stock", KeyspaceCreateOptions::default)?;
    let orders = database.keyspace("orders", KeyspaceCreateOptions::default)?;

    // 3. Set a value
    stock.insert("apple", "10")?;
    stock.insert("banana", "20")?;
    stock.insert("cherry", "30")?;

    // 4. Get a value
    let apples = stock.get("apple")?;
    assert_eq!(apples.as_deref(), Some(&b"10"[..]));

    // 5. Look at a value without copying it
    let digits = stock.get("apple")?.map(|value| value.len());
    assert_eq!(digits, Some(2));

    // 6. Ask whether a key is there
    assert!(!stock.contains_key("durian")?);

    // 7. Delete a key
    stock.remove("durian")?;

    // 8. Remove a key and have its value
    let removed = stock.take("cherry")?;
    assert_eq!(removed.as_deref(), Some(&b"30"[..]));

    // 9. Set a value only if there is none
    let there = stock.fetch_update("cherry", |old| old.cloned().or_else(|| Some("5".into())))?;
    assert!(there.is_none());

    // 10. Change a value in one step
    let count = |old: &fjall::Slice| std::str::from_utf8(old).ok()?.parse().ok();
    stock.update_fetch("apple", |old| {
        let old: u64 = old.and_then(count).unwrap_or(0);
        Some((old + 1).to_string().into())
    })?;

    // 11. Walk all items in order
    for item in database.read_tx().iter(&stock) {
        let (key, value) = item.into_inner()?;
        println!("{}: {} bytes", key.escape_ascii(), value.len());
    }

    // 12. Walk a range
    assert_eq!(
        database.read_tx().range(&stock, "apple".."cherry").count(),
        2
    );

    // 13. Walk the keys that begin with something
    assert_eq!(database.read_tx().prefix(&stock, "ba").count(), 1);

    // 14. Walk backwards
    let newest: Result<Vec<_>, _> = database
        .read_tx()
        .iter(&stock)
        .rev()
        .take(2)
        .map(|item| item.key())
        .collect();
    assert_eq!(&newest?[0][..], b"cherry");

    // 15. Find the first and the last item
    let first = database
        .read_tx()
        .first_key_value(&stock)
        .map(|item| item.key())
        .transpose()?;
    assert_eq!(first.as_deref(), Some(&b"apple"[..]));
    let last = database
        .read_tx()
        .last_key_value(&stock)
        .map(|item| item.key())
        .transpose()?;
    assert_eq!(last.as_deref(), Some(&b"cherry"[..]));

    // 16. Find what comes after a key
    use std::ops::Bound::{Excluded, Unbounded};
    let mut after = database
        .read_tx()
        .range::<&str, _>(&stock, (Excluded("apple"), Unbounded));
    let after = after.next().map(|item| item.key()).transpose()?;
    assert_eq!(after.as_deref(), Some(&b"banana"[..]));

    // 17. Count
    assert_eq!(database.read_tx().len(&stock)?, 3);

    // 18. Write to several tables at once
    let mut write = database.write_tx();
    write.insert(&stock, "durian", "1");
    write.insert(&orders, "1", "durian");
    write.commit()?;

    // 19. Read and write in a transaction
    let mut write = database.write_tx();
    if let Some(apples) = write.take(&stock, "apple")? {
        write.insert(&orders, "2", apples);
    }
    write.commit()?;

    // 20. Read the state of one moment
    let snapshot = database.read_tx();
    stock.insert("banana", "0")?;
    let then = snapshot.get(&stock, "banana")?;
    assert_eq!(then.as_deref(), Some(&b"20"[..]));

    // 21. Delete a range
    let mut write = database.write_tx();
    let keys: Result<Vec<_>, _> = write
        .range(&stock, "banana".."cz")
        .map(|item| item.key())
        .collect();
    for key in keys? {
        write.remove(&stock, key);
    }
    write.commit()?;

    // 22. Have everything on the medium
    database.persist(PersistMode::SyncAll)?;

    // The end
    Ok(())
}
