from __future__ import annotations
from datetime import UTC, datetime
import time
from tokens.brought import PIN, WRONG_PIN, Brought
from ceremony.preflight import preflight
from ceremony.types import Mode
from ceremony.errors import TokenTrouble
from tui.commands.dispatch import dispatch


def attempt(f):
    t = time.monotonic()
    try:
        r = f()
    except TokenTrouble as e:
        r = f"{type(e).__name__} {e.rule}: {e.text}"
    return f"{r}"[:170] + f" [{time.monotonic() - t:.2f}]"


def test_x(brought: Brought, tmp_path) -> None:
    print("=====", brought.name)
    rsa = brought.certificates["rsa"]
    now = datetime.now(UTC)
    for kind, c in brought.certificates.items():
        t = brought.token()
        e = t.probe(c)
        print(
            kind,
            "before",
            [f"{f.severity} {f.rule} {f.text}" for f in preflight(e, c, now, Mode.PRODUCTION)],
        )
        r = t.login(brought.typed())
        e = r.evidence
        print(
            "after",
            [f"{f.severity} {f.rule} {f.text}" for f in preflight(e, c, now, Mode.PRODUCTION)],
        )
        print(
            e.library_manufacturer,
            "|",
            e.library_description,
            "|",
            e.library_version,
            "|",
            e.cryptoki,
            "|",
            e.token_label,
            e.token_serial,
            e.token_model,
            e.token_manufacturer,
            e.token_flags,
        )
        print(e.keys, len(e.mechanisms))
        print(
            attempt(lambda: t.sign(brought.request(kind))),
            attempt(lambda: t.sign(brought.request(kind)).outcome),
        )
        t.close()
    if brought.card:
        print("verifies", brought.card.verifies, "sigs", brought.card.signatures)
    for step in ("probe", "login", "sign", "again"):
        t = brought.token()

        def go(name):
            if name == step:
                brought.pull()
                print("  pulled before", name)

        go("probe")
        print("probe", attempt(lambda: t.probe(rsa).stage))
        if step == "probe":
            brought.insert()
            t.close()
            continue
        go("login")
        print("login", attempt(lambda: t.login(brought.typed()).outcome))
        if step != "login":
            go("sign")
            print("sign", attempt(lambda: t.sign(brought.request())))
            if step == "again":
                brought.pull()
                brought.insert()
                print("sign after pull+insert", attempt(lambda: t.sign(brought.request())))
        if step != "again":
            brought.insert()
        t.close()
        print(
            "again same object",
            attempt(lambda: t.probe(rsa).stage),
            attempt(lambda: t.login(brought.typed()).outcome),
            attempt(lambda: t.sign(brought.request()).outcome),
        )
        t.close()
    t = brought.token()
    if brought.card:
        brought.card.commands.clear()
    for i in range(3):
        t.probe(rsa)
        print("wrong", attempt(lambda: t.login(brought.typed(WRONG_PIN))))
    if brought.card:
        print("verifies", brought.card.verifies)
    print(
        "right",
        attempt(lambda: t.probe(rsa).pin_state),
        attempt(lambda: t.login(brought.typed()).outcome),
    )
    if brought.card:
        print("verifies", brought.card.verifies)
    t.close()
    dispatch(["token", "--machine", str(brought.machine(tmp_path))])
