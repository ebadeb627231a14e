//! Reads past the page cache, as LVM writes past it.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

const BLOCK: usize = 4096;

/// Aligned as O_DIRECT wants it, whatever the size of a sector.
#[repr(C, align(4096))]
struct Block([u8; BLOCK]);

/// Opens a device to be read so.
///
/// # Errors
/// It can't be opened.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).custom_flags(libc::O_DIRECT).open(path)
}

/// So many bytes from an offset on, whatever these are.
///
/// # Errors
/// They can't be read, or the device ends before.
pub(crate) fn read(file: &File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut block = Box::new(Block([0; BLOCK]));
    let mut start = offset - offset % BLOCK as u64;
    let mut skip = usize::try_from(offset - start).map_err(io::Error::other)?;
    let mut read = Vec::with_capacity(length);
    while read.len() < length {
        file.read_exact_at(&mut block.0, start)?;
        let end = BLOCK.min(skip + length - read.len());
        read.extend_from_slice(&block.0[skip..end]);
        (start, skip) = (start + BLOCK as u64, 0);
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_range_of_a_file_is_read() {
        let mut file = tempfile::tempfile().unwrap();
        let all: Vec<u8> = (0..251).cycle().take(3 * BLOCK).collect();
        io::Write::write_all(&mut file, &all).unwrap();
        for (offset, length) in [(0_u16, 512_u16), (4095, 2), (100, 8192), (8000, 4288)] {
            let read = read(&file, offset.into(), length.into()).unwrap();
            assert_eq!(read, all[offset.into()..usize::from(offset + length)]);
        }
        assert!(read(&file, 8192, 4097).is_err());
    }
}
