//! The commonest tasks of a program with an ordered store, in `heliumdb`.
//!
//! The same in redb and fjall is in `bench-compare/examples`; docs/tasks.md shows all three side by side. Its
//! sections are the stretches below that begin with a numbered comment.

use heliumdb::{Durability, Readable, Result, Volume};

fn main() -> Result<()> {
    let folder = tempfile::tempdir().expect("a folder for the example");
    run(&folder.path().join("shop.he"))
}

/// Runs all of them on a new volume at `path`.
pub fn run(path: &std::path::Path) -> Result<()> {
    // 1. Open a store, or make it
    let volume = Volume::open_or_create(path)?;

    // 2. Open a table, or make it
    let stock = volume.open_or_create_datastore("stock")?;
    let orders = volume.open_or_create_datastore("orders")?;

    // 3. Set a value
    stock.put("apple", "10")?;
    stock.put("banana", "20")?;
    stock.put("cherry", "30")?;

    // 4. Get a value
    let apples = stock.get("apple")?;
    assert_eq!(apples.as_deref(), Some(&b"10"[..]));

    // 5. Look at a value without copying it
    let digits = stock.get_with("apple", |value| value.len())?;
    assert_eq!(digits, Some(2));

    // 6. Ask whether a key is there
    assert!(!stock.contains_key("durian")?);

    // 7. Delete a key
    let was_there = stock.delete("durian")?;
    assert!(!was_there);

    // 8. Remove a key and have its value
    let removed = stock.remove("cherry")?;
    assert_eq!(removed.as_deref(), Some(&b"30"[..]));

    // 9. Set a value only if there is none
    let there = stock.get_or_put("cherry", "5")?;
    assert_eq!(there, None);

    // 10. Change a value in one step
    let count = |old: &[u8]| std::str::from_utf8(old).ok()?.parse().ok();
    stock.update_fetch("apple", |old| {
        let old: u64 = old.and_then(count).unwrap_or(0);
        Some((old + 1).to_string().into_bytes())
    })?;

    // 11. Walk all items in order
    for item in stock.iter() {
        let (key, value) = item?;
        println!("{}: {} bytes", key.escape_ascii(), value.len());
    }

    // 12. Walk a range
    assert_eq!(stock.range("apple".."cherry").count(), 2);

    // 13. Walk the keys that begin with something
    assert_eq!(stock.prefix("ba").count(), 1);

    // 14. Walk backwards
    let newest: Result<Vec<_>> = stock.iter().rev().take(2).collect();
    assert_eq!(newest?[0].0, b"cherry");

    // 15. Find the first and the last item
    assert_eq!(stock.first()?.map(|(key, _)| key), Some(b"apple".to_vec()));
    assert_eq!(stock.last()?.map(|(key, _)| key), Some(b"cherry".to_vec()));

    // 16. Find what comes after a key
    let after = stock.next("apple")?;
    assert_eq!(after.map(|(key, _)| key), Some(b"banana".to_vec()));

    // 17. Count
    assert_eq!(stock.len(), 3);

    // 18. Write to several tables at once
    let mut batch = volume.batch();
    batch.put(&stock, "durian", "1")?;
    batch.put(&orders, "1", "durian")?;
    batch.commit(Durability::Synced)?;

    // 19. Read and write in a transaction
    volume.transact(|txn| {
        if let Some(apples) = txn.remove(&stock, "apple")? {
            txn.put(&orders, "2", &apples)?;
        }
        Ok(())
    })?;

    // 20. Read the state of one moment
    let snapshot = volume.snapshot()?;
    stock.put("banana", "0")?;
    let then = snapshot.get(&stock, "banana")?;
    assert_eq!(then.as_deref(), Some(&b"20"[..]));
    drop(snapshot);

    // 21. Delete a range
    let deleted = stock.delete_range("banana".."cz")?;
    assert_eq!(deleted, 2);

    // 22. Have everything on the medium
    volume.flush()?;

    // The end
    volume.close()
}
