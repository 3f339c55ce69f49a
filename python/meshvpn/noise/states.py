"""What the handshake knows after each token: shown on request, for learning and tests.

Whoever has the last chaining key has the session's keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Self, final

from meshvpn.noise import _display

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["States", "TokenState"]


class TokenState(NamedTuple):
    """The symmetric state after a token (Noise specification, section 5.2).

    Attributes:
        message: ``"initiation"``, ``"response"``, or ``"before"`` both.
        token: the token's name in the Noise specification, where it has one there.
        rule: what happened, in the whitepaper's words: ``Si``, ``Ei``, ``Sr`` and ``Er`` are static
            and ephemeral keys of initiator and responder, ``Q`` is the pre-shared key.
        hash: ``H``, the hash of everything so far, which both sides must agree on.
        chaining_key: ``C``, which keys are derived from: a secret from the first ``DH`` on.
    """

    message: str
    token: str
    rule: str
    hash: bytes
    chaining_key: bytes


@final
class States(tuple[TokenState, ...]):
    """The states after each token so far. A notebook shows them as a table.

    They are shown as they are: keep them out of logs.
    """

    __slots__ = ()

    @classmethod
    def revealed(cls, states: Iterable[tuple[str, bytes, bytes]]) -> Self:
        """Puts names to what the engine tells: token, hash and chaining key."""
        steps = zip(_STEPS, states, strict=False)
        return cls(
            TokenState(message, token, rule, *rest) for (message, rule), (token, *rest) in steps
        )

    def show(self) -> str:
        """A line for each token. A Python prompt shows it as it is printed."""
        return _display.states_table(self)

    def _repr_html_(self) -> str:
        return _display.states_html(self)


# Sections 5.4.2 and 5.4.3, in the order in which Noise goes through them.
_STEPS: Final = (
    ("before", "C := H := HASH(construction)"),
    ("before", "H := HASH(H || identifier)"),
    ("before", "H := HASH(H || Sr_pub)"),
    ("initiation", "C := KDF1(C, Ei_pub), H := HASH(H || Ei_pub)"),
    ("initiation", "(C, k) := KDF2(C, DH(Ei, Sr))"),
    ("initiation", "H := HASH(H || AEAD(k, 0, Si_pub, H))"),
    ("initiation", "(C, k) := KDF2(C, DH(Si, Sr))"),
    ("initiation", "H := HASH(H || AEAD(k, 0, timestamp, H))"),
    ("response", "C := KDF1(C, Er_pub), H := HASH(H || Er_pub)"),
    ("response", "C := KDF1(C, DH(Ei, Er))"),
    ("response", "C := KDF1(C, DH(Si, Er))"),
    ("response", "(C, t, k) := KDF3(C, Q), H := HASH(H || t)"),
    ("response", "H := HASH(H || AEAD(k, 0, nothing, H))"),
)
