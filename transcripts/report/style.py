"""The style sheet of the HTML report: for screens of any width, for A4, for black and white.

Verdict and mode stand in the margin of every printed page; where they warn, also as a strip
along its edge, which is repeated by browsers that know no margin boxes.
"""

from __future__ import annotations

import re

from transcripts.report.document import Banner

_PLAIN = re.compile(r"[^A-Za-z0-9 -]")


def sheet(banner: Banner) -> str:
    """Return the style sheet of one report."""
    left = _PLAIN.sub("", f"{banner.verdict} - {banner.mode}")
    right = _PLAIN.sub("", f"Ceremony {banner.ceremony}")
    return SHEET.strip().replace("@LEFT@", left).replace("@RIGHT@", right)


SHEET = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 0 1.25rem 3rem; background: #fff;
  color: #111; font: 1rem/1.5 system-ui, "Liberation Sans", Arial, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 1.5rem 0 .5rem; }
h2 { font-size: 1.35rem; line-height: 1.25; margin: 2.5rem 0 .75rem; padding-bottom: .25rem;
  border-bottom: 2px solid #111; }
h3 { font-size: 1.08rem; margin: 1.75rem 0 .5rem; }
p, ul, ol { margin: .5rem 0 1rem; }
li { margin: .2rem 0; }
a { color: #003e8a; text-underline-offset: .15em; }
a:focus-visible { outline: 3px solid #003e8a; outline-offset: 2px; }
code, pre { font-family: ui-monospace, "Liberation Mono", "DejaVu Sans Mono", monospace;
  font-size: .88em; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.4; }
strong.mark { border: 1.5px solid #111; padding: 0 .3em; white-space: nowrap; }
.banner { border: 3px solid #111; margin: 1.25rem 0 0; padding: .6rem 1rem; }
.banner strong { font-size: 1.2rem; letter-spacing: .04em; margin-right: .8rem; }
.banner span { display: block; }
.unsound .banner { background: #111; color: #fff; border-color: #111; }
.unsound .banner strong:first-child { border: 2px solid #fff; padding: 0 .4em; }
.claims { border-left: .5rem solid #111; padding: .2rem .8rem; font-weight: 700; }
.edge { display: none; }
.skip a { position: absolute; left: -100vw; }
.skip a:focus { position: static; }
nav ol { columns: 2; column-gap: 2rem; }
table { border-collapse: collapse; width: 100%; margin: .75rem 0 1.75rem; }
caption { text-align: left; font-weight: 700; padding: .25rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem .35rem 0;
  border-bottom: 1px solid #999; overflow-wrap: break-word; }
thead th { border-bottom: 2px solid #111; }
tbody th { font-weight: 600; }
.facts th { width: 14rem; font-weight: 400; color: #333; }
.short, .rule, .digest { white-space: nowrap; }
.lines { width: 64%; }
tr:target { background: #ffe9a8; outline: 2px solid #111; }
figure.qr { margin: 1rem 0; width: 15rem; max-width: 100%; }
figure.qr svg { shape-rendering: crispEdges; display: block; width: 100%; height: auto; }
figcaption { font-size: .9em; }
footer { border-top: 1px solid #999; margin-top: 3rem; font-size: .9em; }
@media screen and (max-width: 48em) {
  nav ol { columns: 1; }
  table, caption, tbody, tr, th, td { display: block; width: auto; }
  thead { position: absolute; left: -9999px; }
  tr { border-bottom: 1px solid #111; padding: .4rem 0; }
  th, td, .facts th, .lines { border: 0; padding: .15rem 0; width: auto; }
  .digest { white-space: normal; overflow-wrap: anywhere; }
  [data-head]::before { content: attr(data-head) ": "; color: #333; font-weight: 400; }
}
@page { size: A4; margin: 20mm 16mm 18mm 20mm;
  @top-left { content: "@LEFT@"; font: 700 9pt "Liberation Sans", Arial, sans-serif; }
  @top-right { content: "@RIGHT@"; font: 8pt "Liberation Mono", monospace; }
  @bottom-right { content: "Page " counter(page) " of " counter(pages);
    font: 9pt "Liberation Sans", Arial, sans-serif; } }
@media print {
  body { max-width: none; padding: 0; font-size: 9.5pt; line-height: 1.4; }
  body.unsound, body.practice { padding-left: 11mm; }
  .edge { display: block; position: fixed; left: 0; top: 0; bottom: 0; margin: 0; width: 8mm;
    writing-mode: vertical-rl; transform: rotate(180deg); text-align: center;
    font-weight: 700; font-size: 15pt; letter-spacing: .25em; border-left: 1.5pt solid #111; }
  .skip { display: none; }
  a { color: inherit; text-decoration: none; }
  h1 { font-size: 18pt; margin: 4mm 0 1mm; }
  .banner { margin-top: 0; }
  .unsound .banner { background: #fff; color: #111; border: 4pt double #111; }
  .unsound .banner strong:first-child { border-color: #111; }
  h2 { font-size: 13pt; margin: 7mm 0 2mm; }
  h3 { font-size: 11pt; margin-top: 5mm; }
  h2, h3, caption, .claims { break-after: avoid; }
  thead { display: table-header-group; }
  tr, figure, li, p, .banner, .small { break-inside: avoid; }
  thead, thead tr { break-after: avoid; }
  tbody tr:first-child { break-before: avoid; }
  p:has(+ table) { break-after: avoid; }
  .facts th { width: 38mm; }
  th, td { padding: 1.6pt 6pt 1.6pt 0; }
  code { font-size: 7.5pt; }
  pre { font-size: 7.2pt; }
  table { margin: 2mm 0 5mm; font-size: 8.5pt; }
  p, ul, ol { margin: 1mm 0 3mm; }
  nav ol { font-size: 9pt; }
  figure.qr { width: 50mm; }
}
"""
