"""From a copied image to a file that was verified as it was written.

The certificate table goes behind the image and its place into the directory. Then the file
is read again from its beginning: one read gives the digest, on the verifier's own path, and
the CheckSum, which goes in last (its field counts as zero in both).
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from ceremony.errors import Refused
from ceremony.ingest.feeding import feed
from ceremony.pe.layout import Layout
from ceremony.pe.verify import Verification
from ceremony.types import Finding, refusals
from tui.sbsigntools.draft import Draft

FIELD = struct.Struct("<I")


Judge = Callable[[Verification, int], tuple[Finding, ...]]


def finish(draft: Draft, layout: Layout, table: bytes, judge: Judge) -> tuple[Finding, ...]:
    """Complete a copied image with `table`, read it again and have it judged.

    `judge` is given the reading and what the CheckSum field says. Raises Refused on what it
    refuses, else returns what people should know.
    """
    start = layout.end + layout.padding if table else layout.end
    draft.cut(layout.end)
    draft.update(bytes(start - layout.end) + table)
    draft.patch(struct.pack("<II", start if table else 0, len(table)), layout.directory_at)
    draft.patch(FIELD.pack(0), layout.checksum_at)
    with draft.written() as file:
        verification = Verification(file.head, file.size)
        digest, total, octets = verification.sinks
        feed(file.chunks(), (digest,), (total, octets))
        draft.patch(FIELD.pack(verification.checksum), layout.checksum_at)
        (written,) = FIELD.unpack(file.reread(FIELD.size, layout.checksum_at))
    found = judge(verification, written)
    if faults := refusals(found):
        raise Refused(*faults)
    return found
