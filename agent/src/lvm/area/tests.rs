//! A physical volume as LVM writes it.

use super::*;

const AREA: u64 = 4096;
const SIZE: u64 = 8192;

/// A device of 16 KiB with this text, `offset` bytes into its area.
fn device(text: &str, offset: u64) -> Vec<u8> {
    let mut device = vec![0; 16 << 10];
    let mut put = |at: u64, bytes: &[u8]| {
        let at = usize::try_from(at).unwrap();
        device[at..at + bytes.len()].copy_from_slice(bytes);
    };
    let first = usize::try_from(SIZE - offset).unwrap().min(text.len());
    put(AREA + offset, &text.as_bytes()[..first]);
    put(AREA + HEADER, &text.as_bytes()[first..]);
    let mut header = Vec::from(MAGIC);
    header.extend(1_u32.to_le_bytes());
    for number in [AREA, SIZE, offset, text.len() as u64] {
        header.extend(number.to_le_bytes());
    }
    header.extend(checksum(text.as_bytes()).to_le_bytes());
    header.resize(508, 0);
    put(AREA, &checksum(&header).to_le_bytes());
    put(AREA + 4, &header);

    let mut label = Vec::from(32_u32.to_le_bytes());
    label.extend(b"LVM2 001");
    label.extend(b"0123456789abcdefghijABCDEFGHIJ01");
    for number in [1 << 30, 1 << 20, 0, 0, 0, AREA, SIZE, 0, 0] {
        label.extend(u64::to_le_bytes(number));
    }
    label.resize(SECTOR - 20, 0);
    put(512, b"LABELONE");
    put(520, &1_u64.to_le_bytes());
    put(528, &checksum(&label).to_le_bytes());
    put(532, &label);
    device
}

fn read_all(device: &[u8]) -> io::Result<Area> {
    read(&|offset, length| {
        let offset = usize::try_from(offset).unwrap();
        let found = device.get(offset..offset + usize::try_from(length).unwrap());
        Ok(found.ok_or(io::ErrorKind::UnexpectedEof)?.to_vec())
    })
}

/// It begins there, and is not inverted at the end.
#[test]
fn the_checksum_is_lvms() {
    assert_eq!(checksum(b""), 0xf597_a6cf);
}

#[test]
fn the_committed_text_is_found_also_where_it_goes_around_the_end() {
    let text = "vg { seqno = 1 }\n".repeat(20);
    for offset in [512, 1024, SIZE - 512, SIZE - 17] {
        let area = read_all(&device(&text, offset)).unwrap();
        assert_eq!(area.uuid, "012345-6789-abcd-efgh-ijAB-CDEF-GHIJ01");
        assert_eq!(area.text.as_deref(), Some(text.as_str()), "{offset}");
    }
}

/// Whoever reads while LVM writes gets an error, never half of it.
///
/// Seen red with: `committed` not comparing the text's checksum.
#[test]
fn a_single_byte_that_is_wrong_is_seen() {
    let text = "vg { seqno = 1 }\n".repeat(20);
    let good = device(&text, 1024);
    let parts = [512..600, 4096..4160, 5120..5120 + text.len()];
    for at in parts.into_iter().flatten() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(read_all(&bad).is_err(), "{at}");
    }
    assert!(read_all(&vec![0; 16 << 10]).is_err());
    assert!(read_all(&good[..2048]).is_err());
}
