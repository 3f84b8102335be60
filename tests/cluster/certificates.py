"""Certificates of a cluster, good ones and bad ones."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CERTIFICATE_AUTHORITY = x509.BasicConstraints(ca=True, path_length=0)
VALID = (timedelta(days=-1), timedelta(days=1))
EXPIRED = (timedelta(days=-2), timedelta(days=-1))


class Authority:
    """An authority whose certificates are trusted in a cluster."""

    def __init__(self) -> None:
        self._key, self._name = ec.generate_private_key(ec.SECP256R1()), _name("authority")
        self.certificate = self._sign(self._key, self._name, VALID, CERTIFICATE_AUTHORITY)

    def certify(self, folder: Path, valid: tuple[timedelta, timedelta] = VALID) -> tuple[str, ...]:
        """Make a certificate in a folder, and return the options that name its files, of minidl and of Dask."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(key, _name(folder.name), valid, x509.BasicConstraints(ca=False, path_length=None))
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        folder.mkdir()
        options = []
        for option, name, content in (
            ("--tls-ca-file", "authority.pem", self.certificate.public_bytes(serialization.Encoding.PEM)),
            ("--tls-cert", "own.pem", certificate.public_bytes(serialization.Encoding.PEM)),
            ("--tls-key", "own-key.pem", secret),
        ):
            (folder / name).write_bytes(content)
            options += [option, str(folder / name)]
        return tuple(options)

    def _sign(
        self,
        key: ec.EllipticCurvePrivateKey,
        subject: x509.Name,
        valid: tuple[timedelta, timedelta],
        constraints: x509.BasicConstraints,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + valid[0])
            .not_valid_after(now + valid[1])
            .add_extension(constraints, critical=True)
            .sign(self._key, hashes.SHA256())
        )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
