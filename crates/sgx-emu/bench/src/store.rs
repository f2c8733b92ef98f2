//! The application: a store of keys and values that answers requests, as small as one can be that is
//! still one. The less it does, the more a lease weighs.

use std::collections::BTreeMap;

/// Keys and values.
#[derive(Debug)]
pub(crate) struct Store(BTreeMap<Key, Value>);

type Key = [u8; KEY];
type Value = [u8; VALUE];

impl Store {
    /// A store with so many keys.
    pub(crate) fn with(keys: u64) -> Self {
        Self((0..keys).map(|number| (key(number), [0; VALUE])).collect())
    }

    /// Answers one request of [`REQUEST`] bytes by one of [`REPLY`] bytes.
    ///
    /// `None` if that is no request.
    pub(crate) fn answer(&mut self, request: &[u8], reply: &mut Vec<u8>) -> Option<()> {
        let (operation, rest) = request.split_first_chunk::<OPERATION>()?;
        let (key, rest) = rest.split_first_chunk::<KEY>()?;
        let (value, rest) = rest.split_first_chunk::<VALUE>()?;
        if !rest.is_empty() {
            return None;
        }
        let old = match u64::from_le_bytes(*operation) {
            GET => self.0.get(key).copied(),
            PUT => self.0.insert(*key, *value),
            _ => return None,
        };
        reply.extend_from_slice(&u64::from(old.is_some()).to_le_bytes());
        reply.extend_from_slice(&old.unwrap_or([0; VALUE]));
        Some(())
    }
}

/// So many requests for keys of a store that has so many, nine of ten of them reads. The same each time.
pub(crate) fn requests(count: u64, keys: u64) -> Vec<u8> {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::new();
    for number in 0..count {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        let operation = if number % 10 == 9 { PUT } else { GET };
        bytes.extend_from_slice(&operation.to_le_bytes());
        bytes.extend_from_slice(&key(x % keys));
        bytes.extend_from_slice(&[number.to_le_bytes()[0]; VALUE]);
    }
    bytes
}

fn key(number: u64) -> Key {
    // Spread, so that neighbours are not.
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut key = [0; KEY];
    key[..8].copy_from_slice(&spread.to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

const GET: u64 = 1;
const PUT: u64 = 2;
const OPERATION: usize = 8;
const KEY: usize = 16;
const VALUE: usize = 64;
/// Bytes of a request.
pub(crate) const REQUEST: usize = OPERATION + KEY + VALUE;
/// Bytes of an answer.
pub(crate) const REPLY: usize = OPERATION + VALUE;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_finds_its_key_and_what_is_put_is_got() {
        let mut store = Store::with(100);
        let requests = requests(50, 100);
        for request in requests.chunks(REQUEST) {
            let mut reply = Vec::new();
            store.answer(request, &mut reply).expect("a request");
            assert_eq!((reply.len(), reply[0]), (REPLY, 1));
        }
        // The tenth put nines under its key.
        let mut get = requests[9 * REQUEST..10 * REQUEST].to_vec();
        assert_eq!(get[0], 2);
        get[0] = 1;
        let mut reply = Vec::new();
        store.answer(&get, &mut reply).expect("a request");
        assert_eq!(reply[OPERATION], 9);
    }

    #[test]
    fn what_is_no_request_is_not_answered() {
        let mut store = Store::with(1);
        let good = requests(1, 1);
        let mut reply = Vec::new();
        assert_eq!(store.answer(&good[1..], &mut reply), None);
        assert_eq!(store.answer(&[&good[..], &[0]].concat(), &mut reply), None);
        let mut unknown = good.clone();
        unknown[0] = 3;
        assert_eq!(store.answer(&unknown, &mut reply), None);
        assert!(reply.is_empty());
    }
}
