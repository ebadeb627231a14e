//! Where LVM keeps its metadata on a physical volume, as it lies there (`lib/label/label.h` and
//! `lib/format_text/layout.h` of LVM2): a label, which names the physical volume and its metadata areas, and in each
//! area a header, which names the group's text that is committed. All of it carries checksums.

use std::io;

use crc32fast::Hasher;

/// What a physical volume says of itself and of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// The physical volume's UUID.
    pub uuid: String,
    /// The group's metadata; `None` where this one keeps none.
    pub text: Option<String>,
}

const SECTOR: usize = 512;
/// The label is in one of the first four sectors.
const LABEL_SECTORS: usize = 4;
/// The length of a metadata area's header, behind which its texts begin.
const HEADER: u64 = 512;
/// What stands in that header, four bytes of checksum in.
pub const MAGIC: &[u8] = b" LVM2 x[5A%r0N*>";
/// A text of which the header says that it is not to be used.
const IGNORED: u32 = 1;
/// No group's metadata is longer: LVM's own areas have one MiB unless somebody asks for more.
const LONGEST: u64 = 64 << 20;

/// Reads what lies on a device of which `read` returns so many bytes from an offset on.
///
/// # Errors
/// It can't be read, or is not laid out as known, or a checksum is wrong: somebody may be writing it.
pub fn read(read: &dyn Fn(u64, u64) -> io::Result<Vec<u8>>) -> io::Result<Area> {
    let head = read(0, (LABEL_SECTORS * SECTOR) as u64)?;
    let mut sectors = (0..).zip(head.chunks_exact(SECTOR));
    let label = sectors.find(|(number, sector)| is_label(*number, sector));
    let (_, label) = label.ok_or_else(|| strange("it has no label of LVM's"))?;
    let header = usize::try_from(u32_at(label, 20)?).map_err(io::Error::other)?;
    let header = label
        .get(header..)
        .ok_or_else(|| strange("its label ends"))?;
    let uuid = header
        .get(..32)
        .and_then(|uuid| std::str::from_utf8(uuid).ok());
    let uuid = uuid.ok_or_else(|| strange("its UUID is none"))?;
    // Behind UUID and size: data areas, then metadata areas, each list up to an entry of zeroes.
    let mut lists = header.get(40..).unwrap_or_default().chunks_exact(16);
    let begin = |entry: &[u8]| u64_at(entry, 0);
    while begin(lists.next().ok_or_else(|| strange("its label ends"))?)? != 0 {}
    let mut text = None;
    for entry in lists {
        let start = begin(entry)?;
        if start == 0 {
            break;
        }
        text = text.or(committed(read, start)?);
    }
    Ok(Area {
        uuid: dashed(uuid),
        text,
    })
}

/// The text that an area's header says is the committed one.
fn committed(
    read: &dyn Fn(u64, u64) -> io::Result<Vec<u8>>,
    start: u64,
) -> io::Result<Option<String>> {
    let header = read(start, HEADER)?;
    let is_whole = checksum(header.get(4..).unwrap_or_default()) == u32_at(&header, 0)?;
    if !is_whole || !header[4..].starts_with(MAGIC) || u64_at(&header, 24)? != start {
        return Err(strange("the header of its metadata is none"));
    }
    let size = u64_at(&header, 32)?;
    let (offset, length) = (u64_at(&header, 40)?, u64_at(&header, 48)?);
    let (sum, flags) = (u32_at(&header, 56)?, u32_at(&header, 60)?);
    if offset == 0 || flags & IGNORED != 0 {
        return Ok(None);
    }
    let is_inside = offset >= HEADER && offset < size && length <= size - HEADER;
    if !is_inside || length > LONGEST {
        return Err(strange("its metadata is outside of its area"));
    }
    // The area is a ring: what does not fit in front of its end goes on behind the header.
    let first = length.min(size - offset);
    let mut text = read(start + offset, first)?;
    if first < length {
        text.extend(read(start + HEADER, length - first)?);
    }
    if checksum(&text) != sum {
        return Err(strange("its metadata is not what its header says"));
    }
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    Ok(Some(text))
}

fn is_label(number: u64, sector: &[u8]) -> bool {
    let is_here = u64_at(sector, 8).is_ok_and(|said| said == number);
    let is_whole = || u32_at(sector, 16).is_ok_and(|sum| checksum(&sector[20..]) == sum);
    let is_lvms = sector.starts_with(b"LABELONE") && sector[24..].starts_with(b"LVM2 001");
    is_lvms && is_here && is_whole()
}

/// LVM's checksum begins elsewhere than others do, and is not inverted (`lib/misc/crc.c`).
fn checksum(bytes: &[u8]) -> u32 {
    const BEGIN: u32 = 0xf597_a6cf;
    let mut hasher = Hasher::new_with_initial(!BEGIN);
    hasher.update(bytes);
    !hasher.finalize()
}

/// A UUID as LVM prints it.
fn dashed(uuid: &str) -> String {
    let mut text = String::new();
    for (number, letter) in uuid.chars().enumerate() {
        if [6, 10, 14, 18, 22, 26].contains(&number) {
            text.push('-');
        }
        text.push(letter);
    }
    text
}

fn u32_at(bytes: &[u8], at: usize) -> io::Result<u32> {
    let found = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    let found = found.ok_or_else(|| strange("it ends early"))?;
    Ok(u32::from_le_bytes(*found))
}

fn u64_at(bytes: &[u8], at: usize) -> io::Result<u64> {
    let found = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    let found = found.ok_or_else(|| strange("it ends early"))?;
    Ok(u64::from_le_bytes(*found))
}

fn strange(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests;
