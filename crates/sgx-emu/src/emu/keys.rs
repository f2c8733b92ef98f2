//! Reports and keys, as EREPORT and EGETKEY make them, from a platform key that everybody knows.
//!
//! Enclaves of one machine can verify each other's reports, and keys differ wherever hardware makes
//! them differ. None of them is a secret.

use super::table::Identity;
use super::view::{bytes_at, write_at};
use aes::Aes128;
use cmac::{Cmac, Mac};
use sgx_isa::{
    Attributes, AttributesFlags, Keyname, Keypolicy, Keyrequest, Miscselect, Report, Targetinfo,
};

/// EREPORT with its operands RBX (target), RCX (data) and RDX (output); `None` is a fault.
pub(super) fn report(identity: &Identity, [target, data, output]: [u64; 3]) -> Option<()> {
    let aligned =
        target.is_multiple_of(512) && data.is_multiple_of(128) && output.is_multiple_of(512);
    if !aligned {
        return None;
    }
    let target = Targetinfo::try_copy_from(bytes_at(target, Targetinfo::UNPADDED_SIZE)?)?;
    let mut report = Report {
        cpusvn: CPU_SVN,
        miscselect: Miscselect::from_bits_truncate(identity.miscselect),
        attributes: attributes(identity),
        mrenclave: identity.mrenclave,
        mrsigner: identity.mrsigner,
        isvprodid: identity.isv_prod_id,
        isvsvn: identity.isv_svn,
        reportdata: bytes_at(data, 64)?.try_into().ok()?,
        keyid: KEY_ID,
        ..Report::default()
    };
    let key = report_key(&target.measurement, target.attributes, target.miscselect.bits(), &KEY_ID);
    report.mac = mac(&key, &[report.mac_data()]);
    let bytes: &[u8] = report.as_ref();
    write_at(output, &bytes[..Report::UNPADDED_SIZE])
}

/// EGETKEY with its operands RBX (request) and RCX (output): an error code, or `None` for a fault.
pub(super) fn key(identity: &Identity, [request, output, _]: [u64; 3]) -> Option<u32> {
    if !request.is_multiple_of(512) || !output.is_multiple_of(16) {
        return None;
    }
    let request = Keyrequest::try_copy_from(bytes_at(request, Keyrequest::UNPADDED_SIZE)?)?;
    let key = if request.keyname == Keyname::Report as u16 {
        report_key(&identity.mrenclave, attributes(identity), identity.miscselect, &request.keyid)
    } else if request.keyname == Keyname::Seal as u16 {
        if request.isvsvn > identity.isv_svn {
            return Some(INVALID_ISVSVN);
        }
        if request.cpusvn > CPU_SVN {
            return Some(INVALID_CPUSVN);
        }
        seal_key(identity, &request)
    } else {
        // The others belong to Intel's own enclaves.
        return Some(INVALID_ATTRIBUTE);
    };
    write_at(output, &key)?;
    Some(0)
}

fn report_key(
    mrenclave: &[u8; 32],
    attributes: Attributes,
    miscselect: u32,
    key_id: &[u8; 32],
) -> [u8; 16] {
    derive(
        Keyname::Report,
        &[
            mrenclave,
            &attributes.flags.bits().to_le_bytes(),
            &attributes.xfrm.to_le_bytes(),
            &miscselect.to_le_bytes(),
            &CPU_SVN,
            key_id,
        ],
    )
}

fn seal_key(identity: &Identity, request: &Keyrequest) -> [u8; 16] {
    let policy = request.keypolicy;
    let if_named = |flag, value: [u8; 32]| if policy.contains(flag) { value } else { [0; 32] };
    // INIT, DEBUG and the lower two components of the extended state always count.
    let flags = identity.attributes & (request.attributemask[0] | 0x3);
    let xfrm = identity.xfrm & (request.attributemask[1] | 0x3);
    derive(
        Keyname::Seal,
        &[
            &if_named(Keypolicy::MRENCLAVE, identity.mrenclave),
            &if_named(Keypolicy::MRSIGNER, identity.mrsigner),
            &identity.isv_prod_id.to_le_bytes(),
            &request.isvsvn.to_le_bytes(),
            &flags.to_le_bytes(),
            &xfrm.to_le_bytes(),
            &(identity.miscselect & request.miscmask).to_le_bytes(),
            &policy.bits().to_le_bytes(),
            &request.cpusvn,
            &request.keyid,
        ],
    )
}

fn derive(name: Keyname, dependencies: &[&[u8]]) -> [u8; 16] {
    let name = (name as u16).to_le_bytes();
    let mut parts = vec_of_name(&name);
    parts[1..=dependencies.len()].copy_from_slice(dependencies);
    mac(&PLATFORM_KEY, &parts[..=dependencies.len()])
}

/// An array long enough for every list of dependencies: a handler must not allocate.
fn vec_of_name(name: &[u8; 2]) -> [&[u8]; 12] {
    let mut parts: [&[u8]; 12] = [&[]; 12];
    parts[0] = name;
    parts
}

fn mac(key: &[u8; 16], parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = Cmac::<Aes128>::new(key.into());
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn attributes(identity: &Identity) -> Attributes {
    let flags = AttributesFlags::from_bits_truncate(identity.attributes);
    Attributes { flags, xfrm: identity.xfrm }
}

/// In place of the key that is burnt into a processor.
const PLATFORM_KEY: [u8; 16] = *b"emulated: no key";
const KEY_ID: [u8; 32] = *b"emulated: one life of a machine.";
const CPU_SVN: [u8; 16] = [0; 16];

const INVALID_ATTRIBUTE: u32 = 2;
const INVALID_CPUSVN: u32 = 32;
const INVALID_ISVSVN: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(mrenclave: u8) -> Identity {
        Identity {
            mrenclave: [mrenclave; 32],
            mrsigner: [9; 32],
            attributes: 7,
            xfrm: 3,
            miscselect: 0,
            isv_prod_id: 0,
            isv_svn: 0,
        }
    }

    #[repr(align(512))]
    struct Page<const N: usize>([u8; N]);

    fn address<const N: usize>(page: &Page<N>) -> u64 {
        page.0.as_ptr().expose_provenance() as u64
    }

    fn report_of(from: u8, to: u8) -> Report {
        let target = identity(to);
        let target = Targetinfo {
            measurement: target.mrenclave,
            attributes: attributes(&target),
            ..Targetinfo::default()
        };
        let mut page = Page([0; 512]);
        let bytes: &[u8] = target.as_ref();
        page.0[..bytes.len()].copy_from_slice(bytes);
        let (data, output) = (Page([5; 64]), Page([0; 432]));
        report(&identity(from), [address(&page), address(&data), address(&output)]).unwrap();
        Report::try_copy_from(&output.0).unwrap()
    }

    fn key_of(who: u8, request: &Keyrequest) -> [u8; 16] {
        let mut page = Page([0; 512]);
        let bytes: &[u8] = request.as_ref();
        page.0[..bytes.len()].copy_from_slice(bytes);
        let output = Page([0; 16]);
        assert_eq!(key(&identity(who), [address(&page), address(&output), 0]), Some(0));
        output.0
    }

    #[test]
    fn only_the_target_of_a_report_can_verify_it() {
        let report = report_of(1, 2);
        let request = Keyrequest {
            keyname: Keyname::Report as u16,
            keyid: report.keyid,
            ..Keyrequest::default()
        };
        let expected = |who| mac(&key_of(who, &request), &[report.mac_data()]);
        assert_eq!((report.mrenclave, report.reportdata), ([1; 32], [5; 64]));
        assert_eq!(expected(2), report.mac);
        assert_ne!(expected(1), report.mac);
        assert_ne!(expected(3), report.mac);
    }

    #[test]
    fn seal_keys_depend_on_what_the_policy_names() {
        let request = |keypolicy| Keyrequest {
            keyname: Keyname::Seal as u16,
            keypolicy,
            ..Keyrequest::default()
        };
        let (own, vendor) = (request(Keypolicy::MRENCLAVE), request(Keypolicy::MRSIGNER));
        assert_ne!(key_of(1, &own), key_of(2, &own));
        assert_eq!(key_of(1, &vendor), key_of(2, &vendor));
        assert_ne!(key_of(1, &own), key_of(1, &vendor));
    }
}
