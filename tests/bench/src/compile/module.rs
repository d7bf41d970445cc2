//! A module with more functions than can be written as text: its last function is a seed, and what
//! follows it has the seed's type and bodies of its own, byte by byte.

/// The ids of sections.
const FUNCTIONS: u8 = 3;
const CODE: u8 = 10;
const HEADER_BYTES: usize = 8;

/// A number as WebAssembly writes it, unsigned.
pub(super) fn number(mut n: u32, to: &mut Vec<u8>) {
    while n >= 0x80 {
        to.push(n.to_le_bytes()[0] | 0x80);
        n >>= 7;
    }
    to.push(n.to_le_bytes()[0]);
}

/// The module with a function for each of these bodies behind its last one, and of that one's type.
pub(super) fn with_functions(module: &[u8], bodies: &[Vec<u8>]) -> Vec<u8> {
    let more = u32::try_from(bodies.len()).unwrap();
    let (mut made, mut rest) = (module[..HEADER_BYTES].to_vec(), &module[HEADER_BYTES..]);
    while let Some((&id, after)) = rest.split_first() {
        rest = after;
        let bytes = read(&mut rest) as usize;
        let (section, after) = rest.split_at(bytes);
        rest = after;
        let mut own = section;
        let section = match id {
            FUNCTIONS => {
                let count = read(&mut own);
                // Types have numbers below 128 here, so each takes a byte.
                let seed = *own.last().unwrap();
                let mut longer = counted(count + more, own);
                longer.extend(std::iter::repeat_n(seed, bodies.len()));
                longer
            }
            CODE => {
                let count = read(&mut own);
                let mut longer = counted(count + more, own);
                for body in bodies {
                    number(u32::try_from(body.len()).unwrap(), &mut longer);
                    longer.extend_from_slice(body);
                }
                longer
            }
            _ => section.to_vec(),
        };
        made.push(id);
        number(u32::try_from(section.len()).unwrap(), &mut made);
        made.extend(section);
    }
    made
}

fn counted(count: u32, items: &[u8]) -> Vec<u8> {
    let mut section = Vec::new();
    number(count, &mut section);
    section.extend_from_slice(items);
    section
}

fn read(from: &mut &[u8]) -> u32 {
    let (mut n, mut shift) = (0, 0);
    loop {
        let (&byte, rest) = from.split_first().unwrap();
        *from = rest;
        n |= u32::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return n;
        }
    }
}
