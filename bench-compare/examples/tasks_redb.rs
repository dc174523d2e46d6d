//! The tasks of docs/tasks.md in redb.

use anyhow::Result;
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};

const STOCK: TableDefinition<&str, &str> = TableDefinition::new("stock");
const ORDERS: TableDefinition<&str, &str> = TableDefinition::new("orders");

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("shop.redb");

    // 1. Open a store, or make it
    let database = Database::create(path)?;

    // 2. Open a table, or make it
    let write = database.begin_write()?;
    write.open_table(STOCK)?;
    write.open_table(ORDERS)?;
    write.commit()?;

    // 3. Set a value
    let write = database.begin_write()?;
    {
        let mut stock = write.open_table(STOCK)?;
        stock.insert("apple", "10")?;
        stock.insert("banana", "20")?;
        stock.insert("cherry", "30")?;
    }
    write.commit()?;

    // 4. Get a value
    let stock = database.begin_read()?.open_table(STOCK)?;
    let apples = stock.get("apple")?.map(|value| value.value().to_owned());
    assert_eq!(apples.as_deref(), Some("10"));

    // 5. Look at a value without copying it
    let digits = stock.get("apple")?.map(|value| value.value().len());
    assert_eq!(digits, Some(2));

    // 6. Ask whether a key is there
    assert!(stock.get("durian")?.is_none());

    // 7. Delete a key
    let write = database.begin_write()?;
    let was_there = write.open_table(STOCK)?.remove("durian")?.is_some();
    write.commit()?;
    assert!(!was_there);

    // 8. Remove a key and have its value
    let write = database.begin_write()?;
    let removed = write
        .open_table(STOCK)?
        .remove("cherry")?
        .map(|v| v.value().to_owned());
    write.commit()?;
    assert_eq!(removed.as_deref(), Some("30"));

    // 9. Set a value only if there is none
    let write = database.begin_write()?;
    {
        let mut stock = write.open_table(STOCK)?;
        let is_there = stock.get("cherry")?.is_some();
        if !is_there {
            stock.insert("cherry", "5")?;
        }
    }
    write.commit()?;

    // 10. Change a value in one step
    let write = database.begin_write()?;
    {
        let mut stock = write.open_table(STOCK)?;
        let old: u64 = stock
            .get("apple")?
            .map_or(Ok(0), |old| old.value().parse())?;
        stock.insert("apple", (old + 1).to_string().as_str())?;
    }
    write.commit()?;

    // 11. Walk all items in order
    let stock = database.begin_read()?.open_table(STOCK)?;
    for item in stock.iter()? {
        let (key, value) = item?;
        println!("{}: {} bytes", key.value(), value.value().len());
    }

    // 12. Walk a range
    assert_eq!(stock.range("apple".."cherry")?.count(), 2);

    // 13. Walk the keys that begin with something
    assert_eq!(stock.range("ba".."bb")?.count(), 1);

    // 14. Walk backwards
    let newest: Result<Vec<_>, _> = stock.iter()?.rev().take(2).collect();
    assert_eq!(newest?[0].0.value(), "cherry");

    // 15. Find the first and the last item
    assert_eq!(
        stock
            .first()?
            .map(|(key, _)| key.value().to_owned())
            .as_deref(),
        Some("apple")
    );
    assert_eq!(
        stock
            .last()?
            .map(|(key, _)| key.value().to_owned())
            .as_deref(),
        Some("cherry")
    );

    // 16. Find what comes after a key
    use std::ops::Bound::{Excluded, Unbounded};
    let after = stock
        .range::<&str>((Excluded("apple"), Unbounded))?
        .next()
        .transpose()?;
    assert_eq!(
        after.map(|(key, _)| key.value().to_owned()).as_deref(),
        Some("banana")
    );

    // 17. Count
    assert_eq!(stock.len()?, 3);

    // 18. Write to several tables at once
    let write = database.begin_write()?;
    write.open_table(STOCK)?.insert("durian", "1")?;
    write.open_table(ORDERS)?.insert("1", "durian")?;
    write.commit()?;

    // 19. Read and write in a transaction
    let write = database.begin_write()?;
    {
        let (mut stock, mut orders) = (write.open_table(STOCK)?, write.open_table(ORDERS)?);
        if let Some(apples) = stock.remove("apple")? {
            orders.insert("2", apples.value())?;
        }
    }
    write.commit()?;

    // 20. Read the state of one moment
    let snapshot = database.begin_read()?;
    let write = database.begin_write()?;
    write.open_table(STOCK)?.insert("banana", "0")?;
    write.commit()?;
    let then = snapshot
        .open_table(STOCK)?
        .get("banana")?
        .map(|v| v.value().to_owned());
    assert_eq!(then.as_deref(), Some("20"));

    // 21. Delete a range
    let write = database.begin_write()?;
    write
        .open_table(STOCK)?
        .retain_in("banana".."cz", |_, _| false)?;
    write.commit()?;

    // 22. Have everything on the medium
    // Each commit does, unless it is told otherwise by `set_durability`.

    // The end
    Ok(())
}
