"""The shift report: facts from the database become one page, or the same as JSON. Judges nothing, computes no statistic.

`window.py` says which stretch of time, `facts.py` asks the database, the composing modules (`production`, `defects`, `truth`,
`process`, `stations`, `lineage`, `complete`, `headline`) turn facts into frozen dataclasses, `compose.py` joins them;
`draw.py`, `render.py` and `page.html.j2` make the page.
"""
