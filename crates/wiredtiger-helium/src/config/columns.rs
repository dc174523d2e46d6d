//! Whether names of columns fit the formats: WiredTiger checks this for its own objects
//! only.
//!
//! The parts of a table get fewer names than they have fields: an index's key ends with
//! the table's key, a column group's key has no names of its own. So only too many are
//! refused.

use super::Pairs;
use crate::error::{Error, Result};

/// Refuses `columns` (in brackets, or empty) if there are more than the two formats have
/// fields.
pub fn check(columns: &str, key_format: &str, value_format: &str) -> Result<()> {
    if columns.is_empty() {
        return Ok(());
    }
    let names = Pairs::new(columns).collect::<Result<Vec<_>>>()?.len();
    let fields = fields(key_format).zip(fields(value_format));
    match fields {
        Some((keys, values)) if names as u64 > keys + values => Err(Error::invalid(format!(
            "columns={columns} names {names} columns, but key_format={key_format} and \
                 value_format={value_format} have {keys} and {values} fields"
        ))),
        _ => Ok(()),
    }
}

/// Number of fields of a format; none if it cannot be told. A number in front of a string,
/// raw bytes or bits is their length, in front of anything else it repeats the field.
fn fields(format: &str) -> Option<u64> {
    let mut total = 0u64;
    let mut count: Option<u64> = None;
    for c in format.trim_start_matches(['@', '.', '<', '>']).chars() {
        match c {
            '0'..='9' => {
                let digit = u64::from(c as u8 - b'0');
                count = Some(count.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
                continue;
            }
            'S' | 's' | 'u' | 'U' | 't' => total += 1,
            'b' | 'B' | 'h' | 'H' | 'i' | 'I' | 'l' | 'L' | 'q' | 'Q' | 'r' | 'R' => {
                total = total.checked_add(count.unwrap_or(1))?;
            }
            _ => return None,
        }
        count = None;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_as_wiredtiger_packs_them() {
        for (format, expected) in [
            ("u", Some(1)),
            ("S", Some(1)),
            ("SiH", Some(3)),
            ("5s10u", Some(2)),
            ("8t", Some(1)),
            ("3i2Q", Some(5)),
            ("", Some(0)),
            ("5x", None),
            ("99999999999999999999999i", None),
        ] {
            assert_eq!(fields(format), expected, "{format}");
        }
    }

    #[test]
    fn no_more_columns_than_fields() {
        assert!(check("(a,b,c)", "S", "Si").is_ok());
        assert!(check("", "S", "Si").is_ok());
        assert!(check("(a)", "S", "Si").is_ok());
        assert!(check("(a,b,c,d)", "S", "Si").is_err());
    }
}
