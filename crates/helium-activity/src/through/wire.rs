//! What readers and the process that has the volume open say to each other, to the byte.
//!
//! The first [frame](super::frame) of a reader says who it is and which version of this it speaks; the answer is the
//! volume, or a failure. Another version is refused with both.
//!
//! Invariant: each answer belongs to one request, and nothing is sent unasked but the last word to a reader that has to go.

use std::ops::Bound;

use heliumdb::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};

use super::frame::{Fields, Frame, whole};

pub(super) const MAGIC: &[u8] = b"helium reads";
pub(super) const VERSION: u32 = 1;

/// A request has two keys at most.
pub(super) const REQUEST_BYTES_MAX: usize = 2 * KEY_BYTES_MAX + 256;
/// Items are sent in chunks of about so many bytes.
pub(super) const CHUNK_BYTES: usize = 256 << 10;
/// A chunk ends with the item that fills it, which may be the longest.
pub(super) const ANSWER_BYTES_MAX: usize = CHUNK_BYTES + KEY_BYTES_MAX + VALUE_BYTES_MAX + 256;

/// What a reader wants of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Keys and values.
    Items,
    /// Keys alone: no value is read.
    Keys,
    /// Keys, and how long their values are.
    Lengths,
}

/// Items in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) datastore: u32,
    pub(super) low: Bound<Vec<u8>>,
    pub(super) high: Bound<Vec<u8>>,
    pub(super) backward: bool,
    pub(super) wanted: Wanted,
    /// No more than so many.
    pub(super) most: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Hello {
        version: u32,
    },
    /// The datastores from the one of that number in their order on.
    Datastores {
        from: u32,
    },
    Figures,
    Get {
        datastore: u32,
        key: Vec<u8>,
    },
    /// The first chunk of a range: who wants more asks for the rest of it.
    Range(Range),
    /// The first chunk of all items, of a datastore that has no order.
    Walk {
        datastore: u32,
    },
    /// The next chunk of that.
    More,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) version: u32,
    pub(super) id: [u8; 16],
    pub(super) url: Vec<u8>,
    pub(super) process: u64,
    /// Ids of datastores from here on were not given yet.
    pub(super) next_id: u32,
    pub(super) datastores: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) id: u32,
    pub(super) name: Vec<u8>,
    pub(super) attributes: Vec<u8>,
    pub(super) compress: bool,
    pub(super) unordered: bool,
    /// Items that it has now.
    pub(super) items: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: Vec<u8>,
    pub(super) value_bytes: u32,
    /// Empty unless it was wanted.
    pub(super) value: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Hello(Hello),
    Datastores {
        more: bool,
        all: Vec<About>,
    },
    Figures(Vec<(Vec<u8>, u64)>),
    Value(Option<Vec<u8>>),
    Items {
        more: bool,
        all: Vec<Entry>,
    },
    /// Nothing follows.
    Failed {
        kind: Vec<u8>,
        message: Vec<u8>,
    },
}

impl Request {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut frame;
        match self {
            Self::Hello { version } => {
                frame = Frame::new(1);
                frame.bytes(MAGIC).number(*version);
            }
            Self::Datastores { from } => {
                frame = Frame::new(2);
                frame.number(*from);
            }
            Self::Figures => frame = Frame::new(3),
            Self::Get { datastore, key } => {
                frame = Frame::new(4);
                frame.number(*datastore).bytes(key);
            }
            Self::Range(range) => {
                frame = Frame::new(5);
                frame.number(range.datastore).bound(&range.low);
                frame.bound(&range.high).byte(u8::from(range.backward));
                frame.byte(range.wanted as u8).long(range.most);
            }
            Self::Walk { datastore } => {
                frame = Frame::new(6);
                frame.number(*datastore);
            }
            Self::More => frame = Frame::new(7),
        }
        frame.finish()
    }

    /// What is behind the length.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        whole(bytes, |kind, fields| {
            Some(match kind {
                1 => {
                    let magic = fields.bytes()?;
                    let version = fields.number()?;
                    (magic == MAGIC).then_some(Self::Hello { version })?
                }
                2 => Self::Datastores {
                    from: fields.number()?,
                },
                3 => Self::Figures,
                4 => Self::Get {
                    datastore: fields.number()?,
                    key: fields.bytes()?,
                },
                5 => Self::Range(Range {
                    datastore: fields.number()?,
                    low: fields.bound()?,
                    high: fields.bound()?,
                    backward: fields.flag()?,
                    wanted: match fields.byte()? {
                        0 => Wanted::Items,
                        1 => Wanted::Keys,
                        2 => Wanted::Lengths,
                        _ => return None,
                    },
                    most: fields.long()?,
                }),
                6 => Self::Walk {
                    datastore: fields.number()?,
                },
                7 => Self::More,
                _ => return None,
            })
        })
    }
}

impl About {
    pub(super) fn encode(&self, frame: &mut Frame) {
        frame.number(self.id).bytes(&self.name);
        frame.bytes(&self.attributes).long(self.items);
        frame.byte(u8::from(self.compress));
        frame.byte(u8::from(self.unordered));
    }

    fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            id: fields.number()?,
            name: fields.bytes()?,
            attributes: fields.bytes()?,
            items: fields.long()?,
            compress: fields.flag()?,
            unordered: fields.flag()?,
        })
    }
}

/// Where an answer with more to come says so.
pub(super) const MORE_AT: usize = 5;

pub(super) fn push_entry(frame: &mut Frame, key: &[u8], value_bytes: usize, value: &[u8]) {
    frame.bytes(key).number(value_bytes as u32).bytes(value);
}

impl Answer {
    /// Of answers that are not made piece by piece.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut frame;
        match self {
            Self::Hello(hello) => {
                frame = Frame::new(101);
                frame.number(hello.version);
                hello.id.iter().for_each(|byte| {
                    frame.byte(*byte);
                });
                frame.bytes(&hello.url).long(hello.process);
                frame.number(hello.next_id).number(hello.datastores);
            }
            Self::Datastores { more, all } => {
                frame = Frame::new(102);
                frame.byte(u8::from(*more));
                all.iter().for_each(|about| about.encode(&mut frame));
            }
            Self::Figures(figures) => {
                frame = Frame::new(103);
                for (name, figure) in figures {
                    frame.bytes(name).long(*figure);
                }
            }
            Self::Value(value) => {
                frame = Frame::new(104);
                frame.byte(u8::from(value.is_some()));
                if let Some(value) = value {
                    frame.bytes(value);
                }
            }
            Self::Items { more, all } => {
                frame = Frame::new(105);
                frame.byte(u8::from(*more));
                for entry in all {
                    push_entry(
                        &mut frame,
                        &entry.key,
                        entry.value_bytes as usize,
                        &entry.value,
                    );
                }
            }
            Self::Failed { kind, message } => {
                frame = Frame::new(106);
                frame.bytes(kind).bytes(message);
            }
        }
        frame.finish()
    }

    /// What is behind the length.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        whole(bytes, |kind, fields| {
            Some(match kind {
                101 => Self::Hello(Hello {
                    version: fields.number()?,
                    id: fields.take(16)?.try_into().ok()?,
                    url: fields.bytes()?,
                    process: fields.long()?,
                    next_id: fields.number()?,
                    datastores: fields.number()?,
                }),
                102 => Self::Datastores {
                    more: fields.flag()?,
                    all: fields.each(About::decode)?,
                },
                103 => {
                    Self::Figures(fields.each(|fields| Some((fields.bytes()?, fields.long()?)))?)
                }
                104 => Self::Value(match fields.flag()? {
                    true => Some(fields.bytes()?),
                    false => None,
                }),
                105 => Self::Items {
                    more: fields.flag()?,
                    all: fields.each(|fields| {
                        Some(Entry {
                            key: fields.bytes()?,
                            value_bytes: fields.number()?,
                            value: fields.bytes()?,
                        })
                    })?,
                },
                106 => Self::Failed {
                    kind: fields.bytes()?,
                    message: fields.bytes()?,
                },
                _ => return None,
            })
        })
    }
}
