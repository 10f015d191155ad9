"""Every rule of every area in one register; an id that stands in two areas is a bug."""

from __future__ import annotations

from ceremony.rules import Rule, air, app, att, key, med, pe, pol, qrm, sig, trn, uki

AREAS: tuple[dict[str, Rule], ...] = (
    air.RULES,
    app.RULES,
    att.RULES,
    key.RULES,
    med.RULES,
    pe.RULES,
    pol.RULES,
    qrm.RULES,
    sig.RULES,
    trn.RULES,
    uki.RULES,
)


def _merged() -> dict[str, Rule]:
    merged: dict[str, Rule] = {}
    for area in AREAS:
        if merged.keys() & area.keys():
            raise TypeError("a rule id stands in two areas")
        merged |= area
    return merged


ALL: dict[str, Rule] = _merged()


def lookup(rule_id: str) -> Rule | None:
    """Return the rule with this id, None where there is none."""
    return ALL.get(rule_id)
