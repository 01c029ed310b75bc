"""https:// with a certificate that is trusted because the user says so, or not at all."""

from __future__ import annotations

import datetime
import ipaddress
import os
import pickle
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazyomics as lo
from lazyomics import lazy
from lazyomics.errors import RemoteFileError
from tests.comparing import assert_same_value
from tests.io.remote.range_server import Behaviour, serving

aiohttp = pytest.importorskip("aiohttp", reason="https:// is opened through aiohttp")
ROOT = Path(lo.__file__).parent.parent


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 that signs itself, as one file."""
    pytest.importorskip("cryptography", reason="makes a certificate")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure(layouts: Path, certificate: Path) -> Iterator[Behaviour]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(layouts.parent, tls=context) as told:
        yield told


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


@pytest.mark.parametrize("how", ["context", "unchecked"])
def test_values_are_those_of_the_file(
    secure: Behaviour, layouts: Path, certificate: Path, how: str
) -> None:
    options = {"ssl": trusting(certificate) if how == "context" else False}
    url = secure.url(layouts.name)
    assert url.startswith("https://")
    adata, expected = lo.read_h5ad(url, storage_options=options), lo.read_h5ad(layouts)
    assert_same_value(adata.obs, expected.obs, "obs")
    assert_same_value(adata.obsm["X_pca"], expected.obsm["X_pca"], "X_pca")
    assert_same_value(lazy.materialize(adata.X), lazy.materialize(expected.X), "X")
    for key in expected.layers:
        mine, other = adata.layers[key], expected.layers[key]
        assert_same_value(lazy.materialize(mine), lazy.materialize(other), key)
    assert 0 < secure.sent < 1.1 * layouts.stat().st_size + 2**20


def test_dropped_connections_are_tried_again(
    secure: Behaviour, layouts: Path, certificate: Path
) -> None:
    options = {"ssl": trusting(certificate)}
    secure.drop = 2
    x = lo.read_h5ad(secure.url(layouts.name), storage_options=options).layers["flat"]
    secure.drop = 3
    expected = lo.read_h5ad(layouts).layers["flat"]
    np.testing.assert_array_equal(x[5:900].compute(), expected[5:900].compute())
    assert secure.drop == 0


def test_an_unknown_certificate_is_refused_at_once(
    secure: Behaviour, layouts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("lazyomics.io.remote.ranges.time.sleep", pauses.append)
    with pytest.raises(RemoteFileError, match=r"https://127\S+layouts\.h5ad: .*certificate verify"):
        lo.read_h5ad(secure.url(layouts.name))
    assert pauses == []
    assert secure.requests == 0


def test_a_certificate_of_another_host_is_refused(
    secure: Behaviour, layouts: Path, certificate: Path
) -> None:
    url = secure.url(layouts.name).replace("127.0.0.1", "localhost")
    with pytest.raises(RemoteFileError, match=r"(?i)certificate verify failed.*localhost"):
        lo.read_h5ad(url, storage_options={"ssl": trusting(certificate)})
    assert secure.requests == 0


async def session_from_environment(**options: Any) -> Any:
    context = trusting(Path(os.environ["LAZYOMICS_TEST_CERTIFICATE"]))
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))


def test_contexts_do_not_travel_but_functions_do(
    secure: Behaviour, layouts: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, rows = secure.url(layouts.name), slice(10, 20)
    expected = lo.read_h5ad(layouts).layers["boxes"][rows].compute()
    adata = lo.read_h5ad(url, storage_options={"ssl": trusting(certificate)})
    with pytest.raises(TypeError, match=r"SSLContext .* SSL_CERT_FILE, or .*get_client"):
        pickle.dumps(adata)
    monkeypatch.setenv("LAZYOMICS_TEST_CERTIFICATE", str(certificate))
    adata = lo.read_h5ad(url, storage_options={"get_client": session_from_environment})
    sent = pickle.loads(pickle.dumps(adata))
    np.testing.assert_array_equal(sent.layers["boxes"][rows].compute(), expected)


def test_certificates_of_the_environment(
    secure: Behaviour, layouts: Path, certificate: Path
) -> None:
    """What a cluster's workers are started with; needs no options."""
    code = (
        "import sys, pickle, lazyomics as lo\n"
        "adata = pickle.loads(pickle.dumps(lo.read_h5ad(sys.argv[1])))\n"
        "print(repr(float(adata.X.sum().compute())))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, secure.url(layouts.name)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        env={**os.environ, "SSL_CERT_FILE": str(certificate)},
    )
    assert ran.returncode == 0, ran.stderr
    assert float(ran.stdout) == float(lo.read_h5ad(layouts).X.sum().compute())
