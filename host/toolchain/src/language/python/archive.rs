//! All modules in one file: an archive in the format of ZIP, without compression, which the interpreter imports from.
//!
//! It has no times and no rights in it, and its order is that of the names.

use flate2::Crc;

use super::Files;

/// 1980-01-01, the first day that the format has a word for.
const DAY: u16 = (1 << 5) | 1;
/// The first version of the format that knows what is used here.
const VERSION: u16 = 10;
/// What stands before each file, before what is said of each at the end, and before the end itself.
const FILE: u32 = 0x0403_4b50;
const LISTED: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;

/// The archive of these files, by their names; an error if there is more than the format can hold.
pub(super) fn archive(files: &Files) -> Result<Vec<u8>, String> {
    let too_much = || "there is more of it than an archive holds".to_owned();
    let size = |bytes: usize| u32::try_from(bytes).map_err(|_| too_much());
    let (mut whole, mut list) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let at = size(whole.len())?;
        let mut crc = Crc::new();
        crc.update(bytes);
        let name_bytes = u16::try_from(name.len()).map_err(|_| too_much())?;
        let mut about = Vec::new();
        // Version, flags, method, time, day; then what it holds, and the length of its name and of nothing else.
        for half in [VERSION, 0, 0, 0, DAY] {
            about.extend(half.to_le_bytes());
        }
        for word in [crc.sum(), size(bytes.len())?, size(bytes.len())?] {
            about.extend(word.to_le_bytes());
        }
        about.extend(name_bytes.to_le_bytes());
        about.extend(0_u16.to_le_bytes());
        whole.extend(FILE.to_le_bytes());
        whole.extend(&about);
        whole.extend(name.as_bytes());
        whole.extend(bytes);
        list.extend(LISTED.to_le_bytes());
        list.extend(VERSION.to_le_bytes());
        list.extend(&about);
        // No remark, the one disk, no attributes.
        list.extend([0; 10]);
        list.extend(at.to_le_bytes());
        list.extend(name.as_bytes());
    }
    let (at, bytes) = (size(whole.len())?, size(list.len())?);
    let count = u16::try_from(files.len()).map_err(|_| too_much())?;
    whole.extend(list);
    whole.extend(END.to_le_bytes());
    whole.extend([0; 4]);
    whole.extend(count.to_le_bytes());
    whole.extend(count.to_le_bytes());
    whole.extend(bytes.to_le_bytes());
    whole.extend(at.to_le_bytes());
    whole.extend([0; 2]);
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_it_is_found_from_its_end() {
        let files = Files::from([("b/c.py".to_owned(), b"two".to_vec()), ("a.py".to_owned(), b"1".to_vec())]);
        let whole = archive(&files).unwrap();
        assert_eq!(whole, archive(&files).unwrap());
        let word = |at: usize| u32::from_le_bytes(whole[at..at + 4].try_into().unwrap());
        let half = |at: usize| usize::from(u16::from_le_bytes(whole[at..at + 2].try_into().unwrap()));
        let end = whole.len() - 22;
        assert_eq!((word(end), half(end + 10)), (END, 2));
        let mut at = word(end + 16) as usize;
        for (name, bytes) in &files {
            let name_bytes = half(at + 28);
            assert_eq!((word(at), &whole[at + 46..at + 46 + name_bytes]), (LISTED, name.as_bytes()));
            // The checksum of `two`, and its size, as any other program has them.
            assert!(name != "b/c.py" || (word(at + 16), word(at + 20), word(at + 24)) == (0x11ca_8a66, 3, 3));
            let file = word(at + 42) as usize;
            assert_eq!(word(file), FILE);
            let begins = file + 30 + name_bytes;
            assert_eq!(&whole[begins..begins + bytes.len()], bytes.as_slice());
            at += 46 + name_bytes;
        }
        assert_eq!(at, end);
        assert!(archive(&Files::from([("x".repeat(70_000), Vec::new())])).is_err());
    }
}
