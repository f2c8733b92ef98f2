//! The bound on how many repeated parts a frame may have: two bytes on the wire can stand for a
//! hundred in memory, so the bytes of a frame alone bound too little.

/// The most repeated elements in one frame: operations and questions, or messages and the entries
/// and leases of their pages.
pub const ELEMENTS_MAX: usize = 16_384;

/// The fields of `ToGranter` that may be repeated.
pub(crate) const TO_GRANTER: &[&[u64]] = &[&[3], &[4]];

/// The same of `FromGranter`: messages, and in them answer, page, entries, leases.
pub(crate) const FROM_GRANTER: &[&[u64]] = &[&[1, 4, 3, 1, 2]];

/// Whether `frame` has at most [`ELEMENTS_MAX`] fields on these paths of field numbers.
///
/// Stops counting where the bytes are no Protocol Buffers; whoever decodes them will say so.
pub(crate) fn within_bound(frame: &[u8], paths: &[&[u64]]) -> bool {
    paths.iter().fold(0, |total, path| count(frame, path, total)) <= ELEMENTS_MAX
}

/// `total`, plus the fields of `message` on `path`; stops soon after the bound.
fn count(message: &[u8], path: &[u64], mut total: usize) -> usize {
    let Some((number, path)) = path.split_first() else { return total };
    let mut rest = message;
    while let Some((field, after)) = field(rest)
        && total <= ELEMENTS_MAX
    {
        rest = after;
        if field.number == *number {
            total = count(field.body, path, total + 1);
        }
    }
    total
}

/// One field of a message: its number, and its bytes if it is of variable length.
struct Field<'a> {
    number: u64,
    body: &'a [u8],
}

/// The first field of `bytes` and what follows it.
fn field(bytes: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let (key, rest) = varint(bytes)?;
    let number = key >> 3;
    let (body, rest) = match key & 7 {
        0 => (&[][..], varint(rest)?.1),
        1 => (&[][..], rest.get(8..)?),
        2 => {
            let (len, rest) = varint(rest)?;
            rest.split_at_checked(usize::try_from(len).ok()?)?
        }
        5 => (&[][..], rest.get(4..)?),
        // Groups are no part of the contract, and 6 and 7 of no contract.
        _ => return None,
    };
    Some((Field { number, body }, rest))
}

/// A number of up to ten bytes with seven bits each, lowest first.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (index, byte) in (0_u32..10).zip(bytes) {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(usize::try_from(index).ok()? + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of variable length.
    fn nested(number: u8, body: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2];
        prost::encode_length_delimiter(body.len(), &mut field).unwrap();
        field.extend_from_slice(body);
        field
    }

    #[test]
    fn empty_operations_are_counted() {
        let at_bound = nested(3, &[]).repeat(ELEMENTS_MAX);
        assert!(within_bound(&at_bound, TO_GRANTER));
        let beyond = [at_bound, nested(4, &[])].concat();
        assert!(!within_bound(&beyond, TO_GRANTER));
    }

    #[test]
    fn leases_deep_in_a_page_are_counted() {
        let frame = |leases: usize| {
            let entry = nested(1, &nested(2, &[]).repeat(leases));
            nested(1, &nested(4, &nested(3, &entry)))
        };
        assert!(within_bound(&frame(ELEMENTS_MAX - 4), FROM_GRANTER));
        assert!(!within_bound(&frame(ELEMENTS_MAX - 3), FROM_GRANTER));
    }

    #[test]
    fn any_bytes_can_be_counted() {
        for bytes in [&[][..], &[0xff; 32], &[0x1a, 0xff, 0xff, 0xff, 0xff, 0x0f], &[0x1b], &[0x19]]
        {
            assert!(within_bound(bytes, TO_GRANTER));
        }
    }
}
