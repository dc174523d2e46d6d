//! Iterating: with a function, and with an iterator.
#![expect(unsafe_code, reason = "functions that C calls")]

use std::{
    ffi::{c_int, c_void},
    sync::Arc,
};

use super::{
    guard::{answer, answer_address, answer_handle, find, number},
    layouts::{HeItem, HeIterT, HeT, IterateFn},
    pointers,
};
use crate::{
    code::{Code, Result},
    datastore::{Direction, while_reading},
    handle::{self, Object},
    iterator::{IteratorHandle, ShownItem, Source},
    limits::KEY_BYTES_MAX,
    volumes::OpenVolume,
};

const _: () = assert!(size_of::<ShownItem>() == size_of::<HeItem>());

/// Shows all items of this moment to a function, in order.
///
/// # Safety
///
/// `function` may be called with `argument`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_iterate(
    he: HeT,
    function: Option<IterateFn>,
    argument: *mut c_void,
) -> c_int {
    answer(|| {
        let found = find(he)?;
        let function = function.ok_or(Code::ARGUMENTS)?;
        let (source, _) = source(&found)?;
        // Each item is a copy that is shown once: what the function does to it changes nothing.
        let went_on = source.each(&mut |(key, value)| {
            let item = HeItem {
                key: key.as_mut_ptr().cast(),
                val: value.as_mut_ptr().cast(),
                key_len: key.len(),
                val_len: value.len(),
            };
            // SAFETY: as the caller says. Nothing of ours is locked.
            unsafe { function(argument, &item) == 0 }
        })?;
        if went_on {
            Ok(())
        } else {
            Err(Code::TERMINATED)
        }
    })
}

/// Opens an iterator that starts at the item's key, or at the first or last item if there is
/// none, and shows `len` bytes of each value from byte `offset` on.
///
/// # Safety
///
/// `seek` is null, or it and its key may be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_iter_open(
    he: HeT,
    seek: *mut HeItem,
    offset: usize,
    len: usize,
    backwards: c_int,
) -> HeIterT {
    answer_handle(|| {
        let found = find(he)?;
        // SAFETY: as the caller says.
        let seek = unsafe { seek_key(seek) }?;
        let direction = match backwards {
            0 => Direction::Forward,
            _ => Direction::Backward,
        };
        let (source, volume) = source(&found)?;
        let window = offset..offset.saturating_add(len);
        let parent = match found.transaction() {
            Ok(transaction) => transaction.parent,
            Err(_) => number(he),
        };
        let iterator = IteratorHandle::new(parent, volume, source, seek, direction, window);
        let number = handle::insert(Object::Iterator(iterator))?;
        let kept = handle::find(parent).and_then(|parent| parent.datastore()?.adopt(number));
        if kept.is_err() {
            handle::end(number);
        }
        kept.map(|()| number)
    })
}

/// # Safety
///
/// As for [`he_iter_open`].
unsafe fn seek_key<'a>(seek: *const HeItem) -> Result<&'a [u8]> {
    if seek.is_null() {
        return Ok(&[]);
    }
    // SAFETY: as the caller says.
    unsafe {
        let item = pointers::read(seek)?;
        if item.key_len > KEY_BYTES_MAX {
            return Err(Code::ARGUMENTS);
        }
        pointers::bytes(item.key, item.key_len)
    }
}

/// What is to be iterated over, and the volume that it is in.
fn source(object: &Object) -> Result<(Source, Arc<OpenVolume>)> {
    match object {
        Object::Datastore(datastore) => {
            if datastore.store.properties().unordered {
                return Err(Code::UNSUPPORTED);
            }
            let snapshot = datastore.store.snapshot().map_err(while_reading)?;
            Ok((Source::Datastore(snapshot), datastore.seat.volume.clone()))
        }
        Object::Transaction(transaction) => Ok((
            Source::Queue(transaction.items()?),
            transaction.shared.volume.clone(),
        )),
        Object::Iterator(_) => Err(Code::ARGUMENTS),
    }
}

/// The next item, which stays as it is until the next call; null at the end.
#[unsafe(no_mangle)]
pub extern "C" fn he_iter_next(iterator: HeIterT) -> *const ShownItem {
    answer_address(|| {
        let found = find(iterator)?;
        let next = found.iterator()?.next();
        if next == Err(Code::ARGUMENTS) {
            // Its datastore is closed. Now nobody looks at what it handed out any more.
            drop(found);
            handle::end(number(iterator));
        }
        next
    })
}

/// Closes an iterator; one that is closed already is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn he_iter_close(iterator: HeIterT) {
    answer(|| {
        let entry = handle::take(number(iterator), |object| object.iterator().is_ok())?;
        // It is gone if the datastore was closed first.
        if let Ok(parent) = handle::find(entry.iterator()?.parent)
            && let Ok(datastore) = parent.datastore()
        {
            datastore.disown(number(iterator));
        }
        Ok(())
    });
}
