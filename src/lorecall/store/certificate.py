"""What says that something was forgotten: signed, and checked without the store.

A DSSE envelope (github.com/secure-systems-lab/dsse) with an Ed25519 signature. Its payload has
random names, numbers and hashes of weights: no text, no person's name, and no hash of a text.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lorecall.core.files import write_text
from lorecall.errors import IntegrityError
from lorecall.store.keyring.keys import KeyStore
from lorecall.store.recipe import canonical

PAYLOAD_TYPE = "application/vnd.lorecall.forget.v1+json"
FORGOTTEN, RESIDUES, UNSEARCHED = "forgotten", "residues found", "forgotten, not searched"
NOT_COVERED = (
    "copies that were made of the store, of its keys or of exports before this was forgotten",
    "what other records say of the same matter: this speaks of records, not of facts",
    "bytes that the file system or the disk keeps of files that were removed or overwritten",
    "a holder of the store who does not run this program as it is",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate of forgetting, as it was signed.

    Args:
        payload: What it says.
        envelope: It, as it is stored: a DSSE envelope in JSON.

    Examples:
        >>> import lorecall
        >>> with lorecall.Store.open("people") as store:
        ...     ada = store.person("ada")
        ...     _ = ada.remember("history.jsonl", user="ann")
        ...     certificate = ada.forget(like="day 3")
        >>> certificate.verdict, len(certificate.payload["records"])
        ('forgotten', 1)
        >>> from lorecall.store import Certificate
        >>> Certificate.checked(certificate.envelope) == certificate  # without the store
        True
    """

    payload: dict[str, object]
    envelope: str

    @property
    def verdict(self) -> str:
        """What came of it: `forgotten`, or what is still to be looked at."""
        return str(self.payload["verdict"])

    @property
    def key(self) -> str:
        """Whose signature it is: the public key, as hexadecimal digits."""
        return str(self.payload["key"])

    @property
    def sha256(self) -> str:
        """The hash of the envelope."""
        return hashlib.sha256(self.envelope.encode()).hexdigest()

    def save(self, path: str | Path) -> None:
        """Write it to a file."""
        write_text(Path(path), self.envelope)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file, and check the signature.

        Raises:
            IntegrityError: It is no certificate, or was changed.
        """
        try:
            return cls.checked(Path(path).read_text(encoding="utf-8"))
        except UnicodeDecodeError as reason:
            raise _refused("a file that is no text") from reason

    @classmethod
    def signed(cls, payload: dict[str, object], keys: KeyStore) -> Self:
        """Sign what a certificate says, in the store's name."""
        content = canonical(payload | {"key": keys.public_key.hex()}).encode()
        signature = {
            "keyid": hashlib.sha256(keys.public_key).hexdigest(),
            "sig": base64.b64encode(keys.sign(_signed_bytes(content))).decode(),
        }
        envelope = {
            "payload": base64.b64encode(content).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [signature],
        }
        return cls(payload=json.loads(content), envelope=canonical(envelope))

    @classmethod
    def checked(cls, envelope: str) -> Self:
        """Check an envelope's signature; that needs no store and no network.

        Whose key it is cannot be told from it: compare `key` with the one that the store's holder
        has made known.

        Raises:
            IntegrityError: It is no certificate, or was changed.
        """
        try:
            outer = json.loads(envelope)
            content = base64.b64decode(outer["payload"], validate=True)
            signature = base64.b64decode(outer["signatures"][0]["sig"], validate=True)
            payload = json.loads(content)
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(payload["key"]))
        except (ValueError, KeyError, TypeError, IndexError, binascii.Error) as reason:
            raise _refused(f"something else ({type(reason).__name__})") from reason
        if outer.get("payloadType") != PAYLOAD_TYPE:
            raise _refused(f"one of type {str(outer.get('payloadType'))[:60]!r}")
        try:
            key.verify(signature, _signed_bytes(content))
        except InvalidSignature:
            raise _refused("one that was changed after it was signed") from None
        return cls(payload=payload, envelope=envelope)


def _signed_bytes(content: bytes) -> bytes:
    """Return what DSSE signs: the type and the payload, each with its length."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(content), content)


def _refused(got: str) -> IntegrityError:
    return IntegrityError(
        "a certificate must be as it was signed",
        expected="a DSSE envelope with its Ed25519 signature",
        got=got,
        next_step="Ask the store's holder for the certificate again.",
    )
