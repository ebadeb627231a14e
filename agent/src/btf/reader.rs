//! One section of BTF: its types by number, and its strings.

const MAGIC: u16 = 0xeb9f;
const HEADER_BYTES: usize = 24;

/// A type, as far as offsets need it.
#[derive(Debug)]
pub(super) enum Kind {
    /// A struct or union.
    Composite {
        name: u32,
        bytes: u32,
        members: Vec<Member>,
    },
    /// An enumeration of 32-bit values: names and values.
    Enumeration(Vec<(u32, u32)>),
    /// A typedef, qualifier or tag of another type.
    Alias(u32),
    /// All else.
    Other,
}

/// A member of a struct or union.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) name: u32,
    pub(super) type_id: u32,
    bit_offset: u32,
    bits: u32,
}

impl Member {
    /// `None` for bit fields.
    pub(super) fn byte_offset(&self) -> Option<u32> {
        (self.bits == 0 && self.bit_offset.is_multiple_of(8)).then_some(self.bit_offset / 8)
    }
}

impl Kind {
    pub(super) fn members(&self) -> Option<&[Member]> {
        match self {
            Kind::Composite { members, .. } => Some(members),
            _ => None,
        }
    }
}

/// The types numbered from `first_id` on, and the strings from offset `first_string` on: a module's
/// section continues the kernel's.
#[derive(Debug)]
pub(super) struct Section {
    first_id: u32,
    kinds: Vec<Kind>,
    first_string: u32,
    strings: Vec<u8>,
}

impl Section {
    pub(super) fn parse(
        data: &[u8],
        first_id: u32,
        first_string: u32,
    ) -> Result<Self, &'static str> {
        let header = data.get(..HEADER_BYTES).ok_or("shorter than its header")?;
        if u16::from_ne_bytes([header[0], header[1]]) != MAGIC {
            return Err("wrong magic number");
        }
        let mut header = Words(&header[4..]);
        let header_bytes = header.next().ok_or("no header")?;
        let mut part = || -> Option<&[u8]> {
            let offset = header_bytes.checked_add(header.next()?)? as usize;
            let length = header.next()? as usize;
            data.get(offset..offset.checked_add(length)?)
        };
        let types = part().ok_or("types beyond its end")?;
        let strings = part().ok_or("strings beyond its end")?;
        Ok(Section {
            first_id,
            kinds: parse_types(types)?,
            first_string,
            strings: strings.to_vec(),
        })
    }

    /// The number that the next section's first type has.
    pub(super) fn next_id(&self) -> u32 {
        self.first_id + u32::try_from(self.kinds.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn string_bytes(&self) -> u32 {
        u32::try_from(self.strings.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn kind(&self, id: u32) -> Option<&Kind> {
        self.kinds.get(id.checked_sub(self.first_id)? as usize)
    }

    pub(super) fn string(&self, offset: u32) -> Option<&str> {
        let rest = self
            .strings
            .get(offset.checked_sub(self.first_string)? as usize..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        str::from_utf8(&rest[..end]).ok()
    }

    /// The numbers of all structs of this name. A kernel may hold several: which are equal in what
    /// matters, or they would not link.
    pub(super) fn structs_named<'a>(
        &'a self,
        wanted: &'a str,
        string: impl Fn(u32) -> &'a str + 'a,
    ) -> impl Iterator<Item = u32> + 'a {
        (self.first_id..)
            .zip(&self.kinds)
            .filter_map(move |(id, kind)| match kind {
                Kind::Composite { name, .. } if string(*name) == wanted => Some(id),
                _ => None,
            })
    }

    pub(super) fn enumerator<'a>(
        &'a self,
        wanted: &str,
        string: impl Fn(u32) -> &'a str,
    ) -> Option<u32> {
        self.kinds.iter().find_map(|kind| match kind {
            Kind::Enumeration(values) => values
                .iter()
                .find(|(name, _)| string(*name) == wanted)
                .map(|(_, value)| *value),
            _ => None,
        })
    }
}

fn parse_types(data: &[u8]) -> Result<Vec<Kind>, &'static str> {
    let mut words = Words(data);
    let mut kinds = Vec::new();
    while let Some(name) = words.next() {
        kinds.push(parse_type(name, &mut words)?);
    }
    Ok(kinds)
}

/// Kinds are numbered in include/uapi/linux/btf.h (`BTF_KIND_…`).
fn parse_type(name: u32, words: &mut Words<'_>) -> Result<Kind, &'static str> {
    const CUT_SHORT: &str = "a type is cut short";
    let info = words.next().ok_or(CUT_SHORT)?;
    let size_or_type = words.next().ok_or(CUT_SHORT)?;
    let count = (info & 0xffff) as usize;
    let with_bit_sizes = info >> 31 == 1;
    let trailing_words = match info >> 24 & 0x1f {
        // struct, union
        4 | 5 => {
            let members = (0..count)
                .map(|_| words.member(with_bit_sizes))
                .collect::<Option<_>>()
                .ok_or(CUT_SHORT)?;
            return Ok(Kind::Composite {
                name,
                bytes: size_or_type,
                members,
            });
        }
        // enum
        6 => {
            let values = (0..count)
                .map(|_| Some((words.next()?, words.next()?)))
                .collect::<Option<_>>()
                .ok_or(CUT_SHORT)?;
            return Ok(Kind::Enumeration(values));
        }
        // typedef, volatile, const, restrict, type tag
        8..=11 | 18 => return Ok(Kind::Alias(size_or_type)),
        // pointer, forward declaration, function, float
        2 | 7 | 12 | 16 => 0,
        // integer, variable, declaration tag
        1 | 14 | 17 => 1,
        // array
        3 => 3,
        // function prototype
        13 => 2 * count,
        // data section, 64-bit enum
        15 | 19 => 3 * count,
        _ => return Err("a kind of type that is not known"),
    };
    words.skip(trailing_words).ok_or(CUT_SHORT)?;
    Ok(Kind::Other)
}

/// 32-bit numbers in the machine's byte order.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn next(&mut self) -> Option<u32> {
        let (word, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_ne_bytes(*word))
    }

    fn skip(&mut self, words: usize) -> Option<()> {
        self.0 = self.0.get(words.checked_mul(4)?..)?;
        Some(())
    }

    fn member(&mut self, with_bit_sizes: bool) -> Option<Member> {
        let name = self.next()?;
        let type_id = self.next()?;
        let offset = self.next()?;
        let (bits, bit_offset) = if with_bit_sizes {
            (offset >> 24, offset & 0x00ff_ffff)
        } else {
            (0, offset)
        };
        Some(Member {
            name,
            type_id,
            bit_offset,
            bits,
        })
    }
}
