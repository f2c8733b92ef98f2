//! The measurement and the signature of an image.

use super::{BadImage, Measurement};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, Pkcs1v15Sign, RsaPrivateKey, RsaPublicKey};
use sgx_isa::{AttributesFlags, Sigstruct};
use sgxs::crypto::{SgxHashOps, SgxRsaOps};
use sgxs::sigstruct::{self, EnclaveHash};
use sha2::{Digest, Sha256};

/// What a processor measures while it loads the stream.
///
/// # Errors
/// A stream that is none.
pub fn measure(sgxs: &[u8]) -> Result<Measurement, BadImage> {
    let hash = EnclaveHash::from_stream::<_, Hasher>(&mut &sgxs[..])?;
    Ok(Measurement(hash.hash()))
}

/// A key that signs enclaves: whoever holds it is their vendor (MRSIGNER).
#[derive(Debug, Clone)]
pub struct Signer(RsaPrivateKey);

impl Signer {
    /// The key that everybody knows, for enclaves that need no vendor. Making a new one for each build
    /// takes longer than the build.
    ///
    /// # Panics
    /// If the file in this crate were none, which a test would show.
    #[must_use]
    pub fn throw_away() -> Self {
        Self::of_pem(include_str!("throw-away.pem")).expect("the file next to this one is a key")
    }

    /// Reads a key in PEM, as PKCS #1 writes it.
    ///
    /// # Errors
    /// A text that holds no key which SGX admits.
    pub fn of_pem(text: &str) -> Result<Self, BadImage> {
        let key = RsaPrivateKey::from_pkcs1_pem(text);
        let key = key.map_err(|error| BadImage::new(format!("not a key: {error}")))?;
        let is_admitted = key.size() * 8 == KEY_BITS && *key.e() == BigUint::from(3_u8);
        let why = "not a key of 3072 bits with exponent 3";
        is_admitted.then_some(Self(key)).ok_or_else(|| BadImage::new(why))
    }

    /// Signs a measurement for a 64-bit enclave, as one that may be debugged if `debug`.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign(&self, measurement: Measurement, debug: bool) -> Result<Sigstruct, BadImage> {
        let mut flags = AttributesFlags::MODE64BIT;
        flags.set(AttributesFlags::DEBUG, debug);
        let mut signer = sigstruct::Signer::new(EnclaveHash::new(measurement.0));
        // x87 and SSE always; the platform may add what its frames of the State Save Area can hold.
        signer.attributes_flags(flags, !0).attributes_xfrm(0x3, 0x3);
        let signed = signer.sign::<_, Hasher>(&Key(&self.0));
        signed.map_err(|error| BadImage::new(format!("cannot sign: {error}")))
    }
}

/// Whether a signature is by the key in it, as EINIT checks.
#[must_use]
pub fn is_signed(signature: &Sigstruct) -> bool {
    let modulus = BigUint::from_bytes_le(&signature.modulus);
    let Ok(key) = RsaPublicKey::new(modulus, BigUint::from(3_u8)) else { return false };
    let (first, second) = signature.signature_data();
    let hash = Sha256::new().chain_update(first).chain_update(second).finalize();
    let mut bytes = signature.signature.to_vec();
    bytes.reverse();
    signature.exponent == 3 && key.verify(Pkcs1v15Sign::new::<Sha256>(), &hash, &bytes).is_ok()
}

const KEY_BITS: usize = 3072;

/// SHA-256 as `sgxs` wants it.
struct Hasher(Sha256);

impl SgxHashOps for Hasher {
    fn new() -> Self {
        Self(Sha256::new())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// RSA as `sgxs` wants it: numbers in little-endian bytes.
struct Key<'a>(&'a RsaPrivateKey);

impl SgxRsaOps for Key<'_> {
    type Error = rsa::Error;

    fn len(&self) -> usize {
        KEY_BITS
    }

    fn sign_sha256_pkcs1v1_5_with_q1_q2<H: AsRef<[u8]>>(
        &self,
        hash: H,
    ) -> Result<(Vec<u8>, Vec<u8>, Vec<u8>), rsa::Error> {
        let signature = self.0.sign(Pkcs1v15Sign::new::<Sha256>(), hash.as_ref())?;
        let s = BigUint::from_bytes_be(&signature);
        // What spares EINIT the divisions: s^2 = q1 n + r, s r = q2 n + ..
        let square = &s * &s;
        let (q1, rest) = (&square / self.0.n(), &square % self.0.n());
        let q2 = (&s * rest) / self.0.n();
        Ok((s.to_bytes_le(), q1.to_bytes_le(), q2.to_bytes_le()))
    }

    fn verify_sha256_pkcs1v1_5<S: AsRef<[u8]>, H: AsRef<[u8]>>(
        &self,
        signature: S,
        hash: H,
    ) -> Result<(), rsa::Error> {
        let mut signature = signature.as_ref().to_vec();
        signature.reverse();
        let key = self.0.to_public_key();
        key.verify(Pkcs1v15Sign::new::<Sha256>(), hash.as_ref(), &signature)
    }

    fn e(&self) -> Vec<u8> {
        self.0.e().to_bytes_le()
    }

    fn n(&self) -> Vec<u8> {
        self.0.n().to_bytes_le()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_checked_as_the_processor_does() {
        let signer = Signer::throw_away();
        let mut signature = signer.sign(Measurement([7; 32]), true).unwrap();
        assert!(is_signed(&signature));
        let (s, n) = (BigUint::from_bytes_le(&signature.signature), signer.0.n().clone());
        let (q1, q2) =
            (BigUint::from_bytes_le(&signature.q1), BigUint::from_bytes_le(&signature.q2));
        assert_eq!(q1, (&s * &s) / &n);
        assert_eq!(q2, (&s * &s * &s - &q1 * &s * &n) / &n);
        signature.enclavehash[0] ^= 1;
        assert!(!is_signed(&signature));
    }
}
