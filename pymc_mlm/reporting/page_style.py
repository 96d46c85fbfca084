"""The style of a page of a report, on a screen and in print."""

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif;
  color: #1c2733; max-width: 62rem; margin: 2.5rem auto; padding: 0 1.5rem; background: #fff; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .4rem; padding-bottom: .3rem;
  border-bottom: 2px solid #24507a; color: #24507a; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; overflow-wrap: anywhere; }
nav ol { columns: 2; margin: 0; padding: .8rem 1rem .8rem 2.4rem; background: #f2f5f8; }
a { color: #24507a; }
p, li { max-width: 48rem; overflow-wrap: anywhere; }
p { white-space: pre-line; }
ul { padding-left: 1.3rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0;
  overflow-wrap: break-word; }
thead th { border-bottom: 1px solid #8696a7; vertical-align: bottom; }
tbody tr { border-bottom: 1px solid #e1e6eb; }
.number { text-align: right; white-space: nowrap; }
.facts th { font-weight: 600; width: 13rem; padding-right: 1.5rem; }
.facts td { overflow-wrap: anywhere; white-space: pre-line; }
svg { display: block; width: 100%; max-width: 45rem; height: auto; }
svg text { font-size: 13px; fill: #1c2733; }
svg .grid { stroke: #e1e6eb; } svg .zero { stroke: #1c2733; stroke-dasharray: 4 3; }
svg .bar { stroke: #24507a; stroke-width: 3; } svg circle { fill: #24507a; }
@page { size: A4; margin: 16mm; }
@media print {
  body { font-size: 10pt; margin: 0; padding: 0; max-width: none; }
  nav { display: none; }
  h2, h3 { break-after: avoid; }
  tr, svg { break-inside: avoid; }
  thead { display: table-header-group; }
  .wide { overflow: visible; }
  table { font-size: 8.5pt; }
  .number { white-space: normal; }
}
"""
