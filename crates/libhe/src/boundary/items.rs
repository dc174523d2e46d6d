//! Reading and writing single items.
#![expect(unsafe_code, reason = "functions that C calls")]

use std::{
    ffi::{c_int, c_void},
    ptr,
};

use super::{
    guard::{answer, find, memory},
    layouts::{HeItem, HeItem22, HeT, MergeFn},
    pointers::{self, ValueBuffer},
};
use crate::{
    code::{Code, Result},
    datastore::{Direction, Told, check_value, while_writing},
    handle::Object,
    store::Mode,
};

/// `HE_I_COMPRESS` of version 2.2.
const ITEM_COMPRESS: u32 = 1;

/// Sets the value of a key.
///
/// # Safety
///
/// `item` is null, or it, its key and its value may be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_update(he: HeT, item: *const HeItem) -> c_int {
    // SAFETY: as the caller says.
    unsafe { put(he, item, Mode::Any) }
}

/// Sets the value of a key that must not be there.
///
/// # Safety
///
/// As for [`he_update`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_insert(he: HeT, item: *const HeItem) -> c_int {
    // SAFETY: as the caller says.
    unsafe { put(he, item, Mode::Absent) }
}

/// Sets the value of a key that must be there.
///
/// # Safety
///
/// As for [`he_update`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_replace(he: HeT, item: *const HeItem) -> c_int {
    // SAFETY: as the caller says.
    unsafe { put(he, item, Mode::Present) }
}

/// [`he_update`] for programs of version 2.2, whose items say whether to compress them.
///
/// # Safety
///
/// As for [`he_update`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_update_v2_2(he: HeT, item: *const HeItem22) -> c_int {
    // SAFETY: as the caller says.
    unsafe { put_with_flags(he, item, Mode::Any) }
}

/// [`he_insert`] for programs of version 2.2.
///
/// # Safety
///
/// As for [`he_update`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_insert_v2_2(he: HeT, item: *const HeItem22) -> c_int {
    // SAFETY: as the caller says.
    unsafe { put_with_flags(he, item, Mode::Absent) }
}

/// [`he_replace`] for programs of version 2.2.
///
/// # Safety
///
/// As for [`he_update`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_replace_v2_2(he: HeT, item: *const HeItem22) -> c_int {
    // SAFETY: as the caller says.
    unsafe { put_with_flags(he, item, Mode::Present) }
}

/// # Safety
///
/// As for [`he_update`].
unsafe fn put_with_flags(he: HeT, address: *const HeItem22, mode: Mode) -> c_int {
    let compressing = answer(|| {
        // SAFETY: as the caller says.
        let item = unsafe { pointers::read(address) }?;
        match &*find(he)? {
            Object::Datastore(datastore) if item.flags & ITEM_COMPRESS != 0 => datastore.compress(),
            _ => Ok(()),
        }
    });
    match compressing {
        // SAFETY: as the caller says; an item starts with what every version has.
        0 => unsafe { put(he, address.cast(), mode) },
        code => code,
    }
}

/// # Safety
///
/// As for [`he_update`].
unsafe fn put(he: HeT, item: *const HeItem, mode: Mode) -> c_int {
    answer(|| {
        memory()?;
        let found = find(he)?;
        // SAFETY: as the caller says.
        let (key, value) = unsafe {
            let item = pointers::read(item)?;
            let key = pointers::key(&item)?;
            (key, pointers::bytes(item.val, item.val_len)?)
        };
        match &*found {
            Object::Datastore(datastore) => datastore.put(key, value, mode),
            Object::Transaction(transaction) => transaction.put(key, value, mode),
            Object::Iterator(_) => Err(Code::ARGUMENTS),
        }
    })
}

/// Removes a key that must be there.
///
/// # Safety
///
/// `item` is null, or it and its key may be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_delete(he: HeT, item: *const HeItem) -> c_int {
    answer(|| {
        let found = find(he)?;
        // SAFETY: as the caller says.
        let key = unsafe { pointers::key(&pointers::read(item)?)? };
        match &*found {
            Object::Datastore(datastore) => datastore.delete(key),
            Object::Transaction(transaction) => transaction.delete(key),
            Object::Iterator(_) => Err(Code::ARGUMENTS),
        }
    })
}

/// Zero if a key is there.
///
/// # Safety
///
/// As for [`he_delete`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_exists(he: HeT, item: *const HeItem) -> c_int {
    answer(|| {
        let found = find(he)?;
        // SAFETY: as the caller says.
        let key = unsafe { pointers::key(&pointers::read(item)?)? };
        match &*found {
            Object::Datastore(datastore) => datastore.exists(key),
            Object::Transaction(transaction) => transaction.exists(key),
            Object::Iterator(_) => Err(Code::ARGUMENTS),
        }
    })
}

/// Reads up to `len` bytes of a value from byte `offset` on, and how long all of it is.
///
/// # Safety
///
/// `item` is null, or it may be read and written, its key read, and `len` bytes at its value
/// written. None of these overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_lookup(he: HeT, item: *mut HeItem, offset: usize, len: usize) -> c_int {
    answer(|| {
        let found = find(he)?;
        // SAFETY: as the caller says.
        let (key, buffer) = unsafe { key_and_buffer(item, offset, len) }?;
        match &*found {
            Object::Datastore(datastore) => {
                datastore.lookup(key, buffer.wanted(), |value| buffer.fill(value))
            }
            Object::Transaction(transaction) => {
                transaction.lookup(key, |value| buffer.fill(Told::whole(value)))
            }
            Object::Iterator(_) => Err(Code::ARGUMENTS),
        }
    })
}

/// Removes an item and reads its value as [`he_lookup`] does, as one step.
///
/// # Safety
///
/// As for [`he_lookup`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_delete_lookup(
    he: HeT,
    item: *mut HeItem,
    offset: usize,
    len: usize,
) -> c_int {
    answer(|| {
        let found = find(he)?;
        // SAFETY: as the caller says.
        let (key, buffer) = unsafe { key_and_buffer(item, offset, len) }?;
        match &*found {
            Object::Datastore(datastore) => {
                datastore.delete_lookup(key, |value| buffer.fill(Told::whole(value)))
            }
            Object::Transaction(transaction) => {
                transaction.delete_lookup(key, |value| buffer.fill(Told::whole(value)))
            }
            Object::Iterator(_) => Err(Code::ARGUMENTS),
        }
    })
}

/// # Safety
///
/// As for [`he_lookup`].
unsafe fn key_and_buffer<'a>(
    address: *mut HeItem,
    offset: usize,
    len: usize,
) -> Result<(&'a [u8], ValueBuffer)> {
    // SAFETY: as the caller says.
    unsafe {
        let item = pointers::read(address)?;
        let key = pointers::key(&item)?;
        Ok((key, ValueBuffer::new(address, &item, offset, len)?))
    }
}

/// Goes to the item after a key, or to the first for an empty one, and reads it.
///
/// # Safety
///
/// `item` is null, or it may be read and written, its key has room for 65,535 bytes, and its
/// value for `len`. None of these overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_next(he: HeT, item: *mut HeItem, offset: usize, len: usize) -> c_int {
    // SAFETY: as the caller says.
    unsafe { neighbour(he, item, offset, len, Direction::Forward) }
}

/// Goes to the item before a key, or to the last for an empty one, and reads it.
///
/// # Safety
///
/// As for [`he_next`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_prev(he: HeT, item: *mut HeItem, offset: usize, len: usize) -> c_int {
    // SAFETY: as the caller says.
    unsafe { neighbour(he, item, offset, len, Direction::Backward) }
}

/// # Safety
///
/// As for [`he_next`].
unsafe fn neighbour(
    he: HeT,
    address: *mut HeItem,
    offset: usize,
    len: usize,
    direction: Direction,
) -> c_int {
    answer(|| {
        let found = find(he)?;
        // SAFETY: as the caller says.
        let item = unsafe { pointers::read(address) }?;
        if item.key.is_null() {
            return Err(Code::ARGUMENTS);
        }
        // The key is overwritten: what is looked for is a copy.
        // SAFETY: as the caller says.
        let (from, buffer) = unsafe {
            let from = match item.key_len {
                0 => Vec::new(),
                _ => pointers::key(&item)?.to_vec(),
            };
            (from, ValueBuffer::new(address, &item, offset, len)?)
        };
        let show = |key: &[u8], value: Option<Told<'_>>| {
            // SAFETY: there is room for the longest key, says the caller, and this is none longer.
            unsafe { buffer.set_key(item.key, key) };
            if let Some(value) = value {
                buffer.fill(value);
            }
        };
        match &*found {
            Object::Datastore(datastore) => {
                datastore.neighbour(&from, (direction, buffer.wanted()), show)
            }
            Object::Transaction(transaction) => {
                transaction.neighbour(&from, direction, |key, value| {
                    show(key, value.map(Told::whole));
                })
            }
            Object::Iterator(_) => Err(Code::ARGUMENTS),
        }
    })
}

/// Makes a new value of an old one, as one step. The function finds the old value in the item
/// (null if there is none) and leaves the new one there, in memory of its own or in the old one's,
/// which is a copy. It may be called again if others write the same key, or if it does so itself.
/// Anything but zero leaves all as it was.
///
/// # Safety
///
/// `item` is null, or it and its key may be read; `function` may be called with `argument`, and
/// what it leaves in memory of its own may be read until the next call of it, or until this
/// returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_merge(
    he: HeT,
    item: *const HeItem,
    function: Option<MergeFn>,
    argument: *mut c_void,
) -> c_int {
    answer(|| {
        memory()?;
        let found = find(he)?;
        let function = function.ok_or(Code::ARGUMENTS)?;
        // SAFETY: as the caller says.
        let (key, key_address) = unsafe {
            let item = pointers::read(item)?;
            (pointers::key(&item)?, item.key)
        };
        let mut refused = Code::TERMINATED;
        let mut change = |old: Option<&[u8]>| {
            let lent = old.map(pointers::Lent::new);
            let mut item = HeItem {
                key: key_address,
                val: lent.as_ref().map_or(ptr::null_mut(), pointers::Lent::start),
                key_len: key.len(),
                val_len: old.map_or(0, <[u8]>::len),
            };
            // SAFETY: as the caller says. Nothing of ours is locked.
            if unsafe { function(argument, &mut item) } != 0 {
                return None;
            }
            let whole = lent
                .as_ref()
                .map_or(Ok(()), |lent| lent.check(item.val, item.val_len));
            // SAFETY: the function left it for us to read, or it is within the copy, which lives on.
            let new = whole.and_then(|()| unsafe { pointers::bytes(item.val, item.val_len) });
            match new.and_then(|new| check_value(new).map(|()| new.to_vec())) {
                Ok(new) => Some(new),
                Err(code) => {
                    refused = code;
                    None
                }
            }
        };
        let merged = match &*found {
            Object::Datastore(datastore) => {
                datastore.check_writable()?;
                datastore
                    .store
                    .merge(key, &mut change)
                    .map_err(while_writing)?
            }
            Object::Transaction(transaction) => transaction.merge(key, &mut change)?,
            Object::Iterator(_) => return Err(Code::ARGUMENTS),
        };
        if merged { Ok(()) } else { Err(refused) }
    })
}
