//! EACCEPT, as far as it can mean anything here: no page of an emulated enclave is added, trimmed or
//! restricted while it runs, so that none is pending or modified, and there is nothing to accept.
//!
//! The manual (SDM, volume 3D, EACCEPT) first refuses requests that make no sense, then compares what
//! the enclave expects with what the page is. That never agrees here.

use super::enclu::GeneralProtection;
use super::table::Thread;
use std::sync::atomic::Ordering::SeqCst;

/// The error code in RAX for these operands: SECINFO, and the page.
pub(super) fn accept(
    thread: &Thread,
    [secinfo, page, _]: [u64; 3],
) -> Result<u32, GeneralProtection> {
    let enclave = thread.enclave();
    let is_whole = secinfo.is_multiple_of(SECINFO) && page.is_multiple_of(PAGE);
    if !is_whole || !enclave.holds(secinfo) || !enclave.holds(page) {
        return Err(GeneralProtection);
    }
    // Through the emulator's own mapping: the page may be one that cannot be read.
    let offset = secinfo - enclave.base.load(SeqCst) as u64;
    let at = usize::try_from(offset).map_err(|_| GeneralProtection)?;
    let mut bytes = [0; 64];
    enclave.view().read(at, &mut bytes);
    answer(&bytes)
}

fn answer(secinfo: &[u8; 64]) -> Result<u32, GeneralProtection> {
    let (flags, reserved) = secinfo.split_at(8);
    let flags = flags.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let states = (flags & PENDING != 0, flags & MODIFIED != 0, flags & RESTRICTED != 0);
    let is_legal = match (flags >> 8 & 0xff, states) {
        (REGULAR, (pending, false, restricted)) => pending || restricted,
        (TCS | TRIM, (false, true, false)) => true,
        _ => false,
    };
    let is_defined = flags & !DEFINED == 0 && reserved.iter().all(|byte| *byte == 0);
    if is_legal && is_defined { Ok(PAGE_ATTRIBUTES_MISMATCH) } else { Err(GeneralProtection) }
}

const SECINFO: u64 = 64;
const PAGE: u64 = 4096;
const PENDING: u64 = 1 << 3;
const MODIFIED: u64 = 1 << 4;
/// PR: the rights of the page are being restricted.
const RESTRICTED: u64 = 1 << 5;
/// Rights, states, and the type of the page.
const DEFINED: u64 = 0xff3f;
const TCS: u64 = 1;
const REGULAR: u64 = 2;
const TRIM: u64 = 4;
const PAGE_ATTRIBUTES_MISMATCH: u32 = 19;

const _: () =
    assert!(sgx_isa::ErrorCode::PageAttributesMismatch as u32 == PAGE_ATTRIBUTES_MISMATCH);

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: u64, states: u64) -> Option<u32> {
        let mut secinfo = [0; 64];
        secinfo[..8].copy_from_slice(&(kind << 8 | states | 3).to_le_bytes());
        answer(&secinfo).ok()
    }

    #[test]
    fn no_page_is_in_the_state_that_a_request_expects() {
        let mismatch = Some(PAGE_ATTRIBUTES_MISMATCH);
        for states in [PENDING, RESTRICTED, PENDING | RESTRICTED] {
            assert_eq!(of(REGULAR, states), mismatch);
        }
        assert_eq!((of(TCS, MODIFIED), of(TRIM, MODIFIED)), (mismatch, mismatch));
    }

    #[test]
    fn a_request_that_expects_nothing_or_what_no_page_can_be_is_a_fault() {
        for states in [0, MODIFIED, PENDING | MODIFIED] {
            assert_eq!(of(REGULAR, states), None);
        }
        assert_eq!((of(TRIM, PENDING), of(TCS, 0), of(0, MODIFIED)), (None, None, None));
        let mut secinfo = [0; 64];
        secinfo[0] = 1 << 3;
        secinfo[1] = 2;
        assert!(answer(&secinfo).is_ok());
        secinfo[63] = 1;
        assert!(answer(&secinfo).is_err(), "reserved");
        secinfo[63] = 0;
        secinfo[2] = 1;
        assert!(answer(&secinfo).is_err(), "reserved");
    }
}
