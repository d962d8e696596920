"""TLS to PostgreSQL by the URL: a server's side of the handshake as PostgreSQL does it, with certificates of the test's own."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from streams.fates import Unavailable
from streams.wiring.adapters.database.connection import database_url, open_engine, reading

SSL_REQUEST = struct.pack("!ii", 8, 80877103)


class Server:
    """Says yes to SSLRequest (`speaks`), shakes hands, hangs up. seen: of each connection `plain`, `tls`, or what went wrong."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.speaks = True
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.seen: list[str] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.seen.append(self._meet(connection))

    def _meet(self, connection: socket.socket) -> str:
        if connection.recv(8) != SSL_REQUEST:
            return "plain"
        connection.sendall(b"S" if self.speaks else b"N")
        if not self.speaks:
            return "plain" if connection.recv(1) else "gone"
        try:
            with self._context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(1)
        except OSError as error:  # ssl.SSLError too
            return str(error)
        return "tls"

    def close(self) -> None:
        with contextlib.suppress(OSError):  # closed before
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


def certificate(folder: Path, name: str, host: x509.GeneralName) -> tuple[Path, Path]:
    """One that signs itself, so that it is its own root."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{name}.crt", folder / f"{name}.key"
    files[0].write_bytes(made.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """named: for 127.0.0.1; foreign: for another host."""
    folder = tmp_path_factory.mktemp("certificates")
    here = x509.IPAddress(IPv4Address("127.0.0.1"))
    return {"named": certificate(folder, "named", here), "foreign": certificate(folder, "foreign", x509.DNSName("db.example"))}


@pytest.fixture
def server(request: pytest.FixtureRequest, roots: dict[str, tuple[Path, Path]]) -> Iterator[Server]:
    found = Server(*roots[getattr(request, "param", "named")])
    yield found
    found.close()


def connect(server: Server, query: str, tmp_path: Path) -> str:
    """What the server has seen of it."""
    engine = open_engine(database_url(f"postgresql://u:p@127.0.0.1:{server.port}/db{query}", tmp_path))
    with pytest.raises(Unavailable), reading(engine):
        pass
    server.close()
    (seen,) = set(server.seen)
    return seen


@pytest.mark.parametrize(("query", "wanted"), [("", "tls"), ("?sslmode=disable", "plain"), ("?sslmode=require", "tls")])
def test_without_a_root_it_is_plain_or_only_encrypted(server: Server, query: str, wanted: str, tmp_path: Path) -> None:
    assert connect(server, query, tmp_path) == wanted


@pytest.mark.parametrize(("query", "wanted"), [("", "plain"), ("?sslmode=require", "gone")])
def test_a_server_without_tls_is_spoken_to_only_where_it_need_not(
    server: Server, query: str, wanted: str, tmp_path: Path
) -> None:
    server.speaks = False
    assert connect(server, query, tmp_path) == wanted


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_a_known_root_is_trusted(server: Server, mode: str, roots: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    assert connect(server, f"?sslmode={mode}&sslrootcert={roots['named'][0]}", tmp_path) == "tls"


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_another_root_is_not(server: Server, mode: str, roots: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    assert "alert" in connect(server, f"?sslmode={mode}&sslrootcert={roots['foreign'][0]}", tmp_path).lower()


@pytest.mark.parametrize("server", ["foreign"], indirect=True)
@pytest.mark.parametrize(("mode", "trusted"), [("verify-ca", True), ("verify-full", False)])
def test_only_verify_full_wants_the_hosts_name(
    server: Server, mode: str, trusted: bool, roots: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    assert (connect(server, f"?sslmode={mode}&sslrootcert={roots['foreign'][0]}", tmp_path) == "tls") is trusted


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sslmode=allow", r"\?sslmode=allow is not known: disable, prefer, require, verify-ca, verify-full"),
        ("sslmode=verify-full&sslrootcert=/nowhere/root.crt", "/nowhere/root.crt: there is no such file"),
        ("ssl_context=1", r"\?ssl_context= is not known: sslmode, sslrootcert, or host"),
        ("host=db.example", "a server stands before the name of the database"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(query: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        database_url(f"postgresql://u:p@127.0.0.1/db?{query}", Path())
