"""The way to a running scheduler, and who is let in."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ...errors import InputError
from ...escaping import escaped, shown

if TYPE_CHECKING:
    from distributed import Security

INSTALL = "pip install 'minidl-cli[distributed]'"
# The options that name files, and where Dask's own configuration has them, below distributed.comm.tls.
FILES = {"--tls-ca-file": "ca-file", "--tls-cert": "client.cert", "--tls-key": "client.key"}
# What cannot be left out: a key may stand in the certificate's file.
NEEDED = ("--tls-ca-file", "--tls-cert")


@dataclass(frozen=True)
class Access:
    """The way to a running scheduler, which has been checked as far as that goes without asking it.

    Attributes:
        address: such as `tls://10.0.0.1:8786`.
        host: the part of it that names the machine.
        port: the number after that.
        security: the certificates.
    """

    address: str
    host: str
    port: int
    security: "Security"

    @classmethod
    def of(
        cls,
        address: str,
        *,
        tls_ca_file: str | Path | None = None,
        tls_cert: str | Path | None = None,
        tls_key: str | Path | None = None,
        insecure: bool = False,
    ) -> "Access":
        """Return the way to a scheduler.

        A scheduler runs whatever code it is sent, as do its workers, and what they answer is run here. So there has to
        be TLS, by which both sides prove who they are, unless the scheduler is on this machine or `insecure` says
        that everyone on the network is trusted.

        Args:
            address: such as `tls://10.0.0.1:8786`.
            tls_ca_file: the certificate of the authority that signed those of scheduler and workers; by default what
                Dask's configuration names, as for the next two.
            tls_cert: this side's certificate.
            tls_key: its key.
            insecure: whether a scheduler on another machine may be without TLS.

        Raises:
            InputError: the address is none, it is not secure, or a certificate cannot be used; or dask is missing.
        """
        protocol, host, port = _parts(address)
        # As it was understood here, whatever else Dask would take it for.
        address = f"{protocol}://{f'[{host}]' if ':' in host else host}:{port}"
        given = dict(zip(FILES, (tls_ca_file, tls_cert, tls_key), strict=True))
        if protocol == "tls":
            if insecure:
                raise InputError(f"--address {shown(address)}: is secure; leave out --insecure")
            return cls(address, host, port, _certified(given))
        if named := [option for option, file in given.items() if file]:
            raise InputError(f"--address {shown(address)}: only tls:// takes {', '.join(named)}")
        if not (insecure or _is_this_machine(host)):
            raise InputError(
                f"--address {shown(address)}: without TLS, whoever reaches the scheduler can run programs on its "
                "workers, and here; use tls:// with certificates (docs/cluster.md shows how), or --insecure in a "
                "network of which you trust everyone"
            )
        return cls(address, host, port, security_class()(require_encryption=False))


def security_class() -> "type[Security]":
    """Return Dask's description of certificates.

    Raises:
        InputError: dask is missing, or what makes certificates.
    """
    try:
        import cryptography  # noqa: F401 (Dask imports it for temporary certificates)
        from distributed import Security
    except ImportError as error:
        raise InputError(f"--engine dask: needs {error.name}: {INSTALL}") from error
    return Security


def _parts(address: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(address)
        protocol, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        protocol, host, port = "", None, None
    if protocol not in ("tls", "tcp") or not host or not port:
        raise InputError(f"--address {shown(address)}: is no address; write one such as tls://10.0.0.1:8786")
    return protocol, host, port


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _certified(given: dict[str, str | Path | None]) -> "Security":
    """Return the certificates that options or Dask's configuration name."""
    names = dict(zip(FILES, ("tls_ca_file", "tls_client_cert", "tls_client_key"), strict=True))
    security = security_class()(
        require_encryption=True, **{names[option]: str(file) for option, file in given.items() if file}
    )
    used: dict[str, str | None] = {option: getattr(security, name) for option, name in names.items()}
    missing = [f"{option} (or distributed.comm.tls.{FILES[option]})" for option in NEEDED if not used[option]]
    if missing:
        raise InputError(f"tls:// needs certificates: {', '.join(missing)}; docs/cluster.md shows how to make them")
    for option, file in used.items():
        if file is not None and not Path(file).is_file():
            raise InputError(f"{option} {escaped(file)}: there is no such file")
    _check_dates([file for option, file in used.items() if file and option in NEEDED])
    try:
        security.get_connection_args("client")
    except (OSError, ssl.SSLError) as error:
        named = ", ".join(escaped(file) for file in used.values() if file)
        raise InputError(f"{named}: no certificates that can be used: {_reason(error)}") from error
    return security


def _check_dates(files: Sequence[str]) -> None:
    from cryptography.x509 import load_pem_x509_certificates

    for file in files:
        try:
            last = min(each.not_valid_after_utc for each in load_pem_x509_certificates(Path(file).read_bytes()))
        except (OSError, ValueError) as error:
            raise InputError(f"{escaped(file)}: is no certificate that can be read (in the format PEM)") from error
        if last < datetime.now(UTC):
            raise InputError(f"{escaped(file)}: the certificate has expired, on {last:%Y-%m-%d}")


def _reason(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or str(error)
