"""Files under a passphrase: AES-256-GCM over 1 MiB chunks, the key from scrypt. What was changed, cut short or reordered does not open.

"cordon-vault/v1" LF ‖ salt 16 ‖ chunks, each sealed under nonce = u64be(number) ‖ u32be(1 if last else 0)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from app.domain.errors import BadRequest, InvalidProof

MAGIC = b"cordon-vault/v1\n"
_CHUNK = 1 << 20
_TAG = 16
_SHORTEST = 12


def read_passphrase(path: Path) -> bytes:
    """The first line of a file; BadRequest if it is too short to protect anything."""
    passphrase = path.read_bytes().partition(b"\n")[0].strip()
    if len(passphrase) < _SHORTEST:
        raise BadRequest(f"the passphrase in {path} has {len(passphrase)} characters: {_SHORTEST} at least, better six random words")
    return passphrase


def is_sealed(path: Path) -> bool:
    """Whether a file begins like a sealed one."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def seal(plain: Path, target: BinaryIO, passphrase: bytes) -> None:
    """Write the sealed form of `plain` to `target`."""
    salt = os.urandom(16)
    cipher = _cipher(passphrase, salt)
    target.write(MAGIC + salt)
    with plain.open("rb") as file:
        target.writelines(cipher.encrypt(_nonce(number, last), chunk, MAGIC) for number, (chunk, last) in enumerate(_chunks(file, _CHUNK)))


def unseal(sealed: Path, target: BinaryIO, passphrase: bytes) -> None:
    """Write what `sealed` holds to `target`; InvalidProof if the passphrase is wrong or the file was changed."""
    with sealed.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise BadRequest(f"{sealed} is not sealed: leave --passphrase-file out")
        cipher = _cipher(passphrase, file.read(16))
        for number, (chunk, last) in enumerate(_chunks(file, _CHUNK + _TAG)):
            try:
                target.write(cipher.decrypt(_nonce(number, last), chunk, MAGIC))
            except InvalidTag as error:
                raise InvalidProof(f"{sealed} does not open: the passphrase is wrong, or the file was changed or cut short") from error


def _cipher(passphrase: bytes, salt: bytes) -> AESGCM:
    return AESGCM(Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(passphrase))


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(8, "big") + int(last).to_bytes(4, "big")


def _chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, bool]]:
    chunk = file.read(size)
    while True:
        following = file.read(size)
        yield chunk, not following
        if not following:
            return
        chunk = following
