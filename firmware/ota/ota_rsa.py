"""A release's signature, RSA-3072 with PKCS#1 v1.5 and SHA-256. Loaded if the board has a public key."""

import asyncio
from binascii import unhexlify

from micropython import const

_BYTES = const(384)
_SHA256 = unhexlify("3031300d060960864801650304020105000420")


async def is_signed(digest, signature, modulus):
    """Whether the owner of the private key, with the exponent 65537, has signed it.

    Other tasks run in between: a stop waits for one multiplication.
    """
    value = signature
    for _ in range(16):
        value = value * value % modulus
        await asyncio.sleep_ms(0)
    value = value * signature % modulus
    end = b"\0" + _SHA256 + digest
    padded = b"\0\1" + b"\xff" * (_BYTES - 2 - len(end)) + end
    return signature < modulus and value.to_bytes(_BYTES, "big") == padded
