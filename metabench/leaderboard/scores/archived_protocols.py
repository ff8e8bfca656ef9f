"""Protocols before the present one: their records are kept, scored and shown as archived, never beside others."""

from __future__ import annotations

from metabench.evaluation.protocol import ARCHIVED_PROTOCOLS, PROTOCOL


def is_archived(protocol: str) -> bool:
    """Whether `protocol` is an earlier one whose records are kept."""
    return protocol != PROTOCOL and protocol in ARCHIVED_PROTOCOLS


def is_scored(protocol: str) -> bool:
    """Whether rows of `protocol` can be scored here."""
    return protocol == PROTOCOL or is_archived(protocol)


def name_protocol(protocol: str) -> str:
    """For people: `protocol 1 (archived)`."""
    return f"protocol {protocol} (archived)" if is_archived(protocol) else f"protocol {protocol}"
