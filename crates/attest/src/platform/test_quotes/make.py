"""Makes a root for quotes that nobody trusts, and all that hangs below it: run it to draw other keys.

Writes root.der, collateral.json, collateral_tdx.json, and certified.bin: what follows the signature in every quote of this
machine, which is the attestation key, the quoting enclave's report on it, and the machine's chain of
certificates. The private half of the attestation key goes to key.bin; the others are thrown away.

    pip install cryptography && python3 make.py
"""

import datetime
import hashlib
import json
import os
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

BEGIN = datetime.datetime(2026, 1, 1)
END = datetime.datetime(2126, 1, 1)
DATES = {"issueDate": "2026-01-01T00:00:00Z", "nextUpdate": "2125-12-31T00:00:00Z"}
FMSPC = bytes.fromhex("746c65617365")  # "tlease"
QE_SIGNER = bytes([0x51]) * 32


def key():
    return ec.generate_private_key(ec.SECP256R1())


def raw_point(private):
    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


def sign(private, data):
    r, s = decode_dss_signature(private.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def name(common):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])


def certificate(subject, public, issuer, issuer_key, is_ca, extension=None):
    usage = dict.fromkeys(
        ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
         "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"], False)
    usage |= {"key_cert_sign": True, "crl_sign": True} if is_ca else {"digital_signature": True}
    builder = (
        x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
        .public_key(public).serial_number(x509.random_serial_number())
        .not_valid_before(BEGIN).not_valid_after(END)
        .add_extension(x509.BasicConstraints(is_ca, None), True)
        .add_extension(x509.KeyUsage(**usage), True)
    )
    if extension:
        builder = builder.add_extension(extension, False)
    return builder.sign(issuer_key, hashes.SHA256())


def crl(issuer, issuer_key):
    builder = x509.CertificateRevocationListBuilder().issuer_name(name(issuer))
    builder = builder.last_update(BEGIN).next_update(END).add_extension(x509.CRLNumber(1), False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.DER).hex()


def der(tag, *parts):
    body = b"".join(parts)
    size = len(body)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
    return bytes([tag]) + length + body


def entry(*path, value):
    oid = bytes.fromhex("2a864886f84d010d01") + bytes(path)
    return der(0x30, der(0x06, oid), value)


def sgx_extension():
    """What Intel writes into the certificate of a machine: its identity and its security versions."""
    small = lambda number: der(0x02, bytes([number]))
    versions = [entry(2, i, value=small(0)) for i in range(1, 18)]
    versions.append(entry(2, 18, value=der(0x04, bytes(16))))
    flags = [entry(7, i, value=der(0x01, bytes([0]))) for i in (1, 2, 3)]
    value = der(
        0x30,
        entry(1, value=der(0x04, bytes(16))),
        entry(2, value=der(0x30, *versions)),
        entry(3, value=der(0x04, bytes(2))),
        entry(4, value=der(0x04, FMSPC)),
        entry(5, value=der(0x0A, bytes([1]))),
        entry(6, value=der(0x04, bytes(16))),
        entry(7, value=der(0x30, *flags)),
    )
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.840.113741.1.13.1"), value)


def pem(*certificates):
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in certificates)


def main():
    root_key, ca_key, machine_key, signer_key, attestation_key = (key() for _ in range(5))
    root_name, ca_name = "T-Lease test root: proves nothing", "Intel SGX PCK Platform CA"
    root = certificate(root_name, root_key.public_key(), root_name, root_key, True)
    ca = certificate(ca_name, ca_key.public_key(), root_name, root_key, True)
    machine = certificate(
        "A machine that does not exist", machine_key.public_key(), ca_name, ca_key, False,
        sgx_extension())
    signer = certificate("Test collateral", signer_key.public_key(), root_name, root_key, False)

    level = {"tcbDate": "2026-01-01T00:00:00Z", "tcbStatus": "UpToDate"}
    components = {"sgxtcbcomponents": [{"svn": 0}] * 16, "pcesvn": 0}
    of_domains = {"tdxtcbcomponents": [{"svn": 0}] * 16}
    module = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8}
    crls = {"root_ca_crl": crl(root_name, root_key), "pck_crl": crl(ca_name, ca_key)}

    def collateral(kind, components, also):
        tcb_info = json.dumps({
            "id": kind, "version": 3, **DATES, "fmspc": FMSPC.hex().upper(), "pceId": "0000",
            "tcbType": 0, "tcbEvaluationDataNumber": 1, **also,
            "tcbLevels": [{"tcb": components, **level}]})
        qe_identity = json.dumps({
            "id": "TD_QE" if kind == "TDX" else "QE", "version": 2, **DATES,
            "tcbEvaluationDataNumber": 1,
            "miscselect": "00000000", "miscselectMask": "FFFFFFFF",
            "attributes": "05" + "00" * 15, "attributesMask": "FF" * 8 + "00" * 8,
            "mrsigner": QE_SIGNER.hex().upper(), "isvprodid": 1,
            "tcbLevels": [{"tcb": {"isvsvn": 1}, **level}]})
        text = {
            "pck_crl_issuer_chain": pem(ca, root),
            **crls,
            "tcb_info_issuer_chain": pem(signer, root),
            "tcb_info": tcb_info,
            "tcb_info_signature": sign(signer_key, tcb_info.encode()).hex(),
            "qe_identity_issuer_chain": pem(signer, root),
            "qe_identity": qe_identity,
            "qe_identity_signature": sign(signer_key, qe_identity.encode()).hex(),
        }
        return json.dumps(text, indent=1).encode() + b"\n"

    report = bytearray(384)
    report[48] = 5  # INIT, MODE64BIT
    report[128:160] = QE_SIGNER
    report[256:260] = struct.pack("<HH", 1, 1)
    authentication = bytes(32)
    report[320:352] = hashlib.sha256(raw_point(attestation_key) + authentication).digest()
    chain = pem(machine, ca, root).encode()
    certified = (
        raw_point(attestation_key) + report + sign(machine_key, bytes(report))
        + struct.pack("<H", len(authentication)) + authentication
        + struct.pack("<HI", 5, len(chain)) + chain
    )

    here = os.path.dirname(os.path.abspath(__file__))
    files = {
        "root.der": root.public_bytes(Encoding.DER),
        "collateral.json": collateral("SGX", components, {}),
        "collateral_tdx.json": collateral(
            "TDX", components | of_domains, {"tdxModule": module, "tdxModuleIdentities": []}),
        "certified.bin": certified,
        "key.bin": attestation_key.private_numbers().private_value.to_bytes(32, "big"),
    }
    for file, content in files.items():
        with open(os.path.join(here, file), "wb") as out:
            out.write(content)


main()
